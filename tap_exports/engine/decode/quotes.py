"""The proof that all quotes of a piece of CSV text open, close or are doubled: pyarrow says nothing of others."""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tap_exports.engine.decode.records import Grammar

_SAMPLE, _RARE = 1 << 16, 600  # bytes in which the quotes are counted, and how many are few


def is_strict(data: bytes, end: int, grammar: Grammar) -> bool:
    """Tell whether text is made of whole records without text behind a closing quote.

    Args:
        data: Text that begins at a record, and anything behind it.
        end: Where the text ends, behind a line end.
        grammar: Delimiter and quote; no escape, no comment.
    """
    if not grammar.quote or data.find(grammar.quote, 0, end) < 0:
        return True
    if data.count(grammar.quote, 0, min(end, _SAMPLE)) <= _RARE and _all_in_pairs(data[:end], grammar):
        return True
    whole = pa.Array.from_buffers(pa.binary(), 1, [None, pa.py_buffer(struct.pack("<ii", 0, end)), pa.py_buffer(data)])
    match: Any = pc.match_substring_regex
    return bool(match(whole, _strict(grammar))[0].as_py())


def _all_in_pairs(text: bytes, grammar: Grammar) -> bool:
    """Tell whether what lies outside quotes is bounded by delimiters: quick where quotes are rare.

    False also where a quote stands within a field that began without one.
    """
    bounds = frozenset(grammar.delimiter + b"\r\n")
    first, *others = text.split(grammar.quote)[::2]
    inner = all(not each or (each[0] in bounds and each[-1] in bounds) for each in others)
    return inner and (not first or first[-1] in bounds) and text.count(grammar.quote) % 2 == 0


@lru_cache(maxsize=16)
def _strict(grammar: Grammar) -> str:
    """Return the pattern of a text of strict records, for an engine whose time is linear."""
    quote, mark = (re.escape(each.decode()) for each in (grammar.quote, grammar.delimiter))
    quoted = f"{quote}[^{quote}]*(?:{quote}{quote}[^{quote}]*)*{quote}"
    return rf"\A(?:(?:{quoted}|[^{quote}{mark}\r\n][^{mark}\r\n]*)?(?:{mark}|\r\n?|\n))*\z"
