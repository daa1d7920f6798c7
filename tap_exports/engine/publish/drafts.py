"""Temporary names of objects: whose they are, and which ones nobody will complete."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import socket
import sys
import zlib
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

LOGGER = logging.getLogger("tap-exports.batches")
TEMPORARY = ".tmp"
_HOST = zlib.crc32(socket.gethostname().encode()) & 0xFFFF
_START = secrets.token_hex(2)[:3]  # tells this process from an earlier one that had its number
_NAME = re.compile(rf"\.([0-9a-f]{{4}})([0-9a-f]{{6}})([0-9a-f]{{3}})[0-9a-f]{{3}}{re.escape(TEMPORARY)}$")
_FOREIGN_AGE = timedelta(days=1)  # a run elsewhere may be writing: only its own machine can tell that it is dead


def temporary_name(stem: str) -> str:
    """Return `<stem>.<16 hex digits>.tmp`: machine, process and chance, so that two runs never share a name."""
    return f"{stem}.{_HOST:04x}{os.getpid() & 0xFFFFFF:06x}{_START}{secrets.token_hex(2)[:3]}{TEMPORARY}"


def remove_stale(fs: Any, stem: str) -> None:  # noqa: ANN401 - fsspec ships no types
    """Remove the drafts that killed runs left behind, never those of this process or of one that lives. Never fails.

    Args:
        fs: The file system.
        stem: Folder and prefix of all objects of this configuration.
    """
    found: Iterable[str] = ()
    with contextlib.suppress(Exception):  # no right to list, or no such folder yet
        found = fs.glob(f"{stem}*{TEMPORARY}")
    for path in found:
        with contextlib.suppress(Exception):  # another run was faster
            if _is_stale(fs, path):
                fs.rm_file(path)
                LOGGER.info("removed %s, which a run that was killed left behind", path.rpartition("/")[2])


def _is_stale(fs: Any, path: str) -> bool:  # noqa: ANN401 - as above
    match = _NAME.search(path)
    if match is None:
        return False
    if int(match[1], 16) == _HOST and sys.platform != "win32":
        number = int(match[2], 16)
        return match[3] != _START if number == os.getpid() & 0xFFFFFF else not _lives(number)
    changed: datetime = fs.modified(path)
    changed = changed if changed.tzinfo else changed.replace(tzinfo=timezone.utc)
    return datetime.now(timezone.utc) - changed > _FOREIGN_AGE


def _lives(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
