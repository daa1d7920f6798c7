"""Names of tables and columns in the database: as they come, unless DuckDB cannot have them or tell them apart."""

from __future__ import annotations

import json
from collections.abc import Iterable


def quoted(name: str) -> str:
    """Return a name as an identifier."""
    return '"' + name.replace('"', '""') + '"'


def original(name: str, note: str | None) -> str:
    """Return what a name stands for: the comment holds it where the two differ."""
    try:
        found = json.loads(note) if note else name
    except ValueError:  # a comment of the user's own
        return name
    return found if isinstance(found, str) else name


def free(name: str, taken: Iterable[str]) -> str:
    """Return a name that DuckDB can have: without NUL, not empty, and another one than those taken in any case."""
    folded = {each.casefold() for each in taken}
    plain = name.replace("\0", "_") or "_"
    choices = (plain, *(f"{plain}_{number}" for number in range(2, len(folded) + 3)))
    return next(each for each in choices if each.casefold() not in folded)
