"""Compare landed rows with the truth, by the declared kind of each column."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tools.loader_proof.cases import Row, Stream

MISSING = "(no column)"


def differences(stream: Stream, expected: list[Row], landed: list[Row]) -> Counter[str]:
    """Count what differs: kinds of loss, worded for the table, each with the number of values.

    Args:
        stream: Columns, kinds and key of both sides.
        expected: Rows that must be there.
        landed: Rows read back from the destination; column names may differ in case.

    Returns:
        Empty when every row and every value is equal.
    """
    folded = [{name.casefold(): value for name, value in row.items()} for row in landed]
    by_key: dict[tuple[str, ...], Row] = {_key(stream, row): row for row in folded}
    found: Counter[str] = Counter()
    found["rows more"] = max(0, len(landed) - len(expected))
    for row in expected:
        other = by_key.get(_key(stream, {name.casefold(): value for name, value in row.items()}))
        if other is None:
            found["rows lost"] += 1
        else:
            found.update(_row(stream, row, other))
    return +found


def renamed(stream: Stream, landed: list[Row]) -> list[str]:
    """Return the columns that are there only under another spelling."""
    names = set(landed[0]) if landed else set(stream.columns)
    return [name for name in stream.columns if name not in names]


def _key(stream: Stream, row: Row) -> tuple[str, ...]:
    return tuple(str(row.get(name.casefold())) for name in stream.keys)


def _row(stream: Stream, expected: Row, landed: Row) -> list[str]:
    pairs = ((kind, expected.get(name), landed.get(name.casefold(), MISSING)) for name, kind in stream.columns.items())
    return [_loss(want, got) for kind, want, got in pairs if not _equal(kind, want, got)]


def _equal(kind: str, want: Any, got: Any) -> bool:
    if want is None or got is None:
        return want is got
    try:
        return SAME[kind](want, got)
    except (ValueError, InvalidOperation, TypeError):
        return False


def _loss(want: Any, got: Any) -> str:
    return f"{_short(want)} → {_short(got)}"


def _short(value: Any) -> str:
    shown = (
        str(value)
        if isinstance(value, Decimal) or value == MISSING
        else json.dumps(value, ensure_ascii=True, default=str)
    )
    return shown if len(shown) < 50 else f"{shown[:24]}…{len(shown)} characters"  # noqa: PLR2004 - a table cell's width


def _instant(value: str) -> datetime:
    read = datetime.fromisoformat(value.replace("Z", "+00:00").replace(".123+", ".123000+"))
    return read if read.tzinfo else read.replace(tzinfo=timezone.utc)


def _document(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _same_boolean(want: Any, got: Any) -> bool:
    return got in {True, False} and want == bool(got)


SAME: dict[str, Callable[[Any, Any], bool]] = {
    "text": lambda want, got: isinstance(got, str) and want == got,
    "integer": lambda want, got: isinstance(got, int) and want == got,
    "number": lambda want, got: Decimal(str(want)) == Decimal(str(got)),
    "boolean": _same_boolean,
    "datetime": lambda want, got: _instant(want) == _instant(got),
    "date": lambda want, got: want == got[:10],
    "object": lambda want, got: want == _document(got),
    "open_object": lambda want, got: want == _document(got),
    "array": lambda want, got: want == _document(got),
}
