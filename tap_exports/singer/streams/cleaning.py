"""Records of jobs and lists without the keys and signed URLs that a provider may repeat in them (P7)."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tap_exports.engine.model import Row
from tap_exports.engine.publish.lines import ENCODER
from tap_exports.engine.secrets import Redactor


def cleaned(
    rows: Sequence[Row], redactor: Redactor, free_texts: Collection[str], user_fields: Collection[str]
) -> list[Row]:
    """Return records without secrets; those without any stay the same objects.

    All of them are looked at as one text first, then each as one: values are cleaned only where something was found.

    Args:
        rows: A page, which stays as it is.
        redactor: Knows the secrets.
        free_texts: Fields whose texts lose the query of any URL.
        user_fields: Fields that stay as they came.
    """
    has_texts = any(name in row for name in free_texts for row in rows)
    if not has_texts and not _suspects(redactor, rows, user_fields):
        return list(rows)
    return [_cleaned(row, redactor, free_texts, user_fields) for row in rows]


def _cleaned(row: Row, redactor: Redactor, free_texts: Collection[str], user_fields: Collection[str]) -> Row:
    said = {name: row[name] for name in free_texts if isinstance(row.get(name), str)}
    if not said and not _suspects(redactor, [row], user_fields):
        return row
    kept = {name: row[name] for name in user_fields if name in row}
    return {**redactor.cut_signed(row), **{name: redactor.cut(text) for name, text in said.items()}, **kept}


def _suspects(redactor: Redactor, rows: Sequence[Row], user_fields: Collection[str]) -> bool:
    blank = dict.fromkeys(user_fields)  # a merge costs a third of leaving fields out
    told = [row | blank for row in rows] if blank else rows
    try:
        return redactor.suspects(ENCODER.encode(told).decode())
    except UnicodeEncodeError:  # halves of surrogate pairs
        return True
