"""Progress on stderr, for people at a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tqdm import tqdm

if TYPE_CHECKING:
    from typing_extensions import Never

    Bar = tqdm[Never]

# `None` is tqdm's own way to say: only on a terminal.
DISABLED = {"auto": None, "always": False, "never": True}


def progress(setting: str, stream: str) -> Bar:
    """Return a bar that counts the rows of a stream; it is gone once the stream is done.

    Args:
        setting: `auto`, `always` or `never`.
        stream: The stream's name.
    """
    return tqdm(desc=stream, unit=" rows", unit_scale=True, leave=False, file=sys.stderr, disable=DISABLED[setting])
