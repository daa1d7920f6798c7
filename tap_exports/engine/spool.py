"""Spool of downloads that wait to be read: private files in a directory of this process.

The directory is locked while its process lives. The next start removes every directory whose lock is free, so
what a crash leaves needs no check of age or process id. On Windows, which has no such lock, it stays.
"""

from __future__ import annotations

import contextlib
import errno
import io
import itertools
import os
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tap_exports.engine.appender import Appender
from tap_exports.errors import ConfigError, LimitError, NoRoomError, StopError

if sys.platform != "win32":
    import fcntl

PREFIX = "tap-exports-spool-"
MARKER = ".spool"  # a directory without it is not removed, whatever its name
MEBIBYTE = 1024 * 1024
FILES_PER_ANSWER = 16  # files whose size is read per call of `has_room`, on average
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_SLUG_CHARACTERS = 60


class SpoolFile:
    """A file being written, with its digest; a thread hashes and writes while the next bytes arrive.

    Attributes:
        path: Path of the file, mode 0600.
    """

    def __init__(
        self, path: Path, max_bytes: int, claim: Callable[[Path, int], None] = lambda _path, _size: None
    ) -> None:
        """Create the file; it must not exist. `claim` is told the size that it will have, and 0 once it is complete."""
        self.path = path
        self._max_bytes = max_bytes
        self._claim = claim
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._raw = io.FileIO(descriptor, "wb")
        self._file = io.BufferedWriter(self._raw)
        self._content = Appender(self._file)

    @property
    def size(self) -> int:
        """Return the number of bytes appended so far."""
        return self._content.size

    @property
    def sha256(self) -> str:
        """Return the hex digest; complete only after `close`."""
        return self._content.sha256

    def expect(self, size: int) -> None:
        """Refuse a size before its first byte arrives, and reserve it.

        Raises:
            LimitError: The file would outgrow `spool_max_mb`.
            NoRoomError: It is downloaded ahead of its turn, and the files in the spool leave no room for it.
        """
        if size > self._max_bytes:
            raise LimitError(f"{size} bytes are more than `spool_max_mb` ({self._max_bytes // MEBIBYTE} MiB) allows")
        self._claim(self.path, size)

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            LimitError: The file would outgrow `spool_max_mb`.
            StopError: The disk is full.
        """
        self.expect(self.size + len(data))
        try:
            self._content.append(data)
        except OSError as error:
            raise self._failed(error) from error

    def restart(self) -> None:
        """Empty the file."""
        try:
            self._content.settle()
            self._content.release()
            self._file.seek(0)
            self._file.truncate()
        except OSError as error:
            raise self._failed(error) from error
        self._content = Appender(self._file)

    def close(self) -> None:
        """Write all buffered bytes and close the file.

        Raises:
            StopError: The disk is full.
        """
        try:
            self._content.settle()
            self._content.release()
            self._file.close()
        except OSError as error:
            raise self._failed(error) from error
        self._claim(self.path, 0)

    def discard(self) -> None:
        """Remove the file, whatever its state."""
        self._content.release()
        with contextlib.suppress(OSError):
            self._raw.close()  # not through the buffer: a full disk would fail again
        self.path.unlink(missing_ok=True)
        self._claim(self.path, 0)

    def _failed(self, error: OSError) -> StopError:
        if error.errno in _FULL:
            return StopError(
                f"the disk of `spool_dir` ({self.path.parent.parent}) is full after {self.size} bytes of a file"
            )
        return StopError(f"`spool_dir` ({self.path.parent.parent}) cannot be written: {error.strerror}")


class Spool:
    """The downloads of one process.

    Args:
        directory: The setting `spool_dir`; None or empty means the system's directory for temporary files.
        max_mb: The setting `spool_max_mb`: no file may be larger, and none that nobody waits for takes all beyond it.

    Raises:
        ConfigError: The directory cannot be used.
    """

    def __init__(self, directory: str | None = None, max_mb: int = 4096) -> None:
        """Remove the spools of dead processes, then create the directory."""
        root = Path(directory or tempfile.gettempdir())
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            remove_stale(root)
            self.directory, self._lock = _new_directory(root)
        except OSError as error:
            raise ConfigError(f"`spool_dir` ({root}) cannot be used: {error.strerror}") from None
        self._max_bytes = max_mb * MEBIBYTE
        self._numbers = itertools.count(1)
        self._is_full = False
        self._answers_left = 0
        self._claims: dict[Path, int] = {}
        self._most = 0  # what the spool holds at most: files that were removed are subtracted only by a look
        self._guard = threading.Lock()

    def create(self, name: str, *, ahead: bool = False) -> SpoolFile:
        """Return a new empty file; its name on disk is a number and the safe characters of `name`.

        Args:
            name: Of the file.
            ahead: Whether nobody waits for it: it must not take the spool beyond its budget.
        """
        return SpoolFile(self.path(name), self._max_bytes, partial(self._claim, ahead=ahead))

    def path(self, name: str) -> Path:
        """Return where a new file may be made; its name is a number and the safe characters of `name`."""
        slug = re.sub(r"[^a-z0-9.]+", "_", name.lower()).strip("._")[-_SLUG_CHARACTERS:]
        return self.directory / f"{next(self._numbers):06d}-{slug or 'file'}"

    def _claim(self, path: Path, size: int, *, ahead: bool) -> None:
        """Reserve the bytes that a file is going to have; 0 ends the reservation, its bytes then count themselves.

        Raises:
            NoRoomError: There is no room for a file ahead of its turn.
        """
        with self._guard:
            known = self._claims.get(path, 0)
            if not size:
                self._claims.pop(path, None)
            elif size > known:
                if ahead and self._most + size - known > self._max_bytes:
                    self._most = sum(self._sizes())
                if ahead and self._most + size - known > self._max_bytes:
                    msg = f"the spool has no room for {size} bytes ahead of their turn (`spool_max_mb`)"
                    raise NoRoomError(msg)
                self._claims[path] = size
                self._most += size - known

    @property
    def used(self) -> int:
        """Return the bytes on disk or announced; a file counts until it is removed."""
        return sum(self._sizes())

    def _sizes(self) -> list[int]:
        claims = dict(self._claims)
        return [max(_size(entry), claims.get(self.directory / entry.name, 0)) for entry in os.scandir(self.directory)]

    @property
    def has_room(self) -> bool:
        """Return whether another download may start ahead of its reader; False once the spool is closed.

        With many files on disk one scan serves several calls: a thousand jobs would else read a million file sizes.
        """
        self._answers_left -= 1
        if self._answers_left < 0:
            try:
                sizes = self._sizes()
            except FileNotFoundError:
                return False
            self._is_full, self._answers_left = sum(sizes) >= self._max_bytes, len(sizes) // FILES_PER_ANSWER
        return not self._is_full

    def close(self) -> None:
        """Remove the directory; safe to call twice, and while workers still use it."""
        shutil.rmtree(self.directory, ignore_errors=True)
        self._answers_left = 0
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def remove_stale(root: Path) -> None:
    """Remove the spools of dead processes of this user; nothing else in `root` is touched."""
    for path in root.glob(f"{PREFIX}*"):
        if _is_ours(path) and (lock := _locked(path)) is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)


def _new_directory(root: Path) -> tuple[Path, int | None]:
    """Create a directory and return it with its lock; it is renamed once locked, so none is ever seen unlocked."""
    made = Path(tempfile.mkdtemp(prefix=f".{PREFIX}", dir=root))
    lock = _locked(made)
    (made / MARKER).touch(mode=0o600)
    return made.rename(root / made.name.removeprefix(".")), lock


def _is_ours(path: Path) -> bool:
    """Return whether a directory is a spool of this user: it has the marker and the owner."""
    try:
        owner = path.lstat().st_uid
    except OSError:
        return False
    return (path / MARKER).is_file() and (sys.platform == "win32" or owner == os.geteuid())


def _locked(path: Path) -> int | None:
    """Return a descriptor that holds the lock of a directory, or None if another process holds it."""
    if sys.platform == "win32":
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # not a directory, or removed by another start
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except FileNotFoundError:
        return 0
