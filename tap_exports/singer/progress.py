"""Progress on stderr, for people at a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class Bar(Protocol):
    """Counts rows where people see it."""

    def update(self, rows: int, /) -> object:
        """Count some more rows."""


class Silent:
    """Counts nothing."""

    def __enter__(self) -> Silent:  # noqa: PYI034 - typing.Self is not in Python 3.10
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind."""

    def update(self, rows: int, /) -> None:
        """Do nothing."""


def progress(setting: str, stream: str) -> AbstractContextManager[Bar]:
    """Return a bar that counts the rows of a stream; it is gone once the stream is done.

    Args:
        setting: `auto` (only on a terminal), `always` or `never`.
        stream: The stream's name.
    """
    if setting == "never" or (setting == "auto" and not sys.stderr.isatty()):
        return Silent()
    from tqdm import tqdm  # noqa: PLC0415 - for people at a terminal only

    return tqdm(desc=stream, unit=" rows", unit_scale=True, leave=False, file=sys.stderr)
