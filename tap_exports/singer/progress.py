"""A progress bar on stderr."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class Bar(Protocol):
    """A visible row counter."""

    def update(self, rows: int, /) -> object:
        """Add a number of rows."""


class Silent:
    """A bar that shows nothing."""

    def __enter__(self) -> Silent:  # noqa: PYI034 - typing.Self is not in Python 3.10
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""

    def update(self, rows: int, /) -> None:
        """Do nothing."""


def progress(setting: str, stream: str) -> AbstractContextManager[Bar]:
    """Return a bar that counts the rows of a stream; leaving its context removes it.

    Args:
        setting: `auto` (only on a terminal), `always` or `never`.
        stream: The stream's name.
    """
    if setting == "never" or (setting == "auto" and not sys.stderr.isatty()):
        return Silent()
    from tqdm import tqdm  # noqa: PLC0415 - imported only where a bar is shown

    return tqdm(desc=stream, unit=" rows", unit_scale=True, leave=False, file=sys.stderr)
