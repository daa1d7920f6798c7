"""Files of JSON rows, in the shapes that providers may use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, BinaryIO

from tap_exports.sandbox.web import to_json


def write_json(file: BinaryIO, rows: Iterable[Any], root: str) -> None:
    """Write rows one by one, UTF-8.

    Args:
        file: where to.
        rows: any JSON values.
        root: `array`, `jsonl`, or the name of the key under which an object holds the array.
    """
    lines = root == "jsonl"
    head, tail = ("", "") if lines else ("[", "]") if root == "array" else (f'{{"{root}":[', "]}")
    file.write(head.encode())
    file.writelines(_piece(row, first=number == 0, lines=lines) for number, row in enumerate(rows))
    file.write(tail.encode())


def _piece(row: Any, *, first: bool, lines: bool) -> bytes:
    text = to_json(row, ascii_only=False)
    return text + b"\n" if lines else text if first else b"," + text
