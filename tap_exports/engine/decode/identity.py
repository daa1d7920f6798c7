"""Whether a file is this export's: it has to show the columns that are known for it (P1).

A delivery that arrived whole proves nothing of its contents: error texts and error objects come with status 200, and
other products' files under a right URL. Known are the columns of the catalog, which came from the provider's
definition, a sample or the settings `schema` and `expect_columns`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from tap_exports.engine.decode.layout import Layout, excerpt
from tap_exports.errors import BadContentError, ColumnsError

KNOWN_SHARE, OWN_SHARE = 3, 2  # almost none: a third of the known columns or fewer, and half of the file's own
_ONE_WORD = re.compile(r"[^\W\d][\w.-]*")
_REMEDY = "if it is right, run --discover again, or set `schema` for its columns"


def refuse_stranger(names: Sequence[str], spelt: Sequence[str], layout: Layout, file: str) -> None:
    """Stop where names of columns are not those of this export.

    Args:
        names: Property names, of the header of a file or the keys of its first rows.
        spelt: The same names as the file has them: what differs in case only is known, though it gets another name.
        layout: Knows the columns.
        file: For the message.

    Raises:
        BadContentError: Almost none of the known columns is there.
    """
    folded = {name.casefold() for name in (*names, *spelt)}
    found = sum(name.casefold() in folded for name in layout.own)
    if layout.own and _are_almost_none(found, len(layout.own), len(names)):
        shown = ", ".join(f'"{excerpt(name)}"' for name in names[:3])
        what = f"it shows {shown}, almost none of the known columns"
        raise BadContentError(f"{file}: it is not this export's: {what}; {_REMEDY}")


def refuse_missing(names: Collection[str], layout: Layout, file: str) -> None:
    """Stop where a header lacks an expected column; JSON has none, so that all its rows are looked at instead.

    Raises:
        ColumnsError: It is.
    """
    if missing := sorted(layout.expected.difference(names)):
        raise ColumnsError(f"{file}: expect_columns: {', '.join(missing)} missing", missing)


def _are_almost_none(shown: int, known: int, of: int) -> bool:
    return shown == 0 or (shown * KNOWN_SHARE <= known and shown * OWN_SHARE <= of)


def _knows_nothing(layout: Layout) -> bool:
    """Return whether no column is known that a file could be recognised by."""
    return not layout.own and not layout.expected


def refuse_text(names: Sequence[str], rest: bytes, layout: Layout, file: str) -> None:
    """Stop at text that could be a message as well as a table, where nothing is known of the export.

    Args:
        names: The columns of its header.
        rest: The beginning of what follows the header.
        layout: What is known.
        file: For the message.

    Raises:
        BadContentError: One column without rows, or one whose name is no single word.
    """
    if _knows_nothing(layout) and len(names) == 1 and not (rest.strip() and _ONE_WORD.fullmatch(names[0])):
        what = f'"{excerpt(names[0])}" is all that its header shows'
        raise BadContentError(f"{file}: nothing tells it from an error text: {what}; {_REMEDY}")
