"""Where the durable ledger is kept: a local file with a lock, an object of any fsspec storage, or nowhere."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from fsspec.core import url_to_fs
from fsspec.utils import get_protocol

from tap_exports.errors import LedgerError

try:
    import fcntl
except ImportError:  # Windows has no fcntl: nothing is locked there
    fcntl = None  # type: ignore[assignment] # None there, and asked for before use

LOCK_SECONDS = 5  # a run that was told to end takes up to 3 s
LOOK_SECONDS = 0.1
UNUSED_SECONDS = 90 * 86_400
NOWHERE = "none"


class Place(Protocol):
    """Where the bytes of a durable ledger are; any method may raise OSError."""

    @property
    def name(self) -> str:
        """Return what messages call it."""

    def lock(self) -> None:
        """Take it for this process until `close` or the end of the process.

        Raises:
            LedgerError: Another process has it.
        """

    def read(self) -> bytes | None:
        """Return the bytes, or None where there are none yet."""

    def write(self, data: bytes) -> None:
        """Replace the bytes; on return they outlive the process and the machine's power."""

    def close(self) -> None:
        """Release it; call nothing else afterwards."""


class Nowhere:
    """Keeps nothing."""

    name = NOWHERE

    def lock(self) -> None:
        """Do nothing."""

    def read(self) -> None:
        """Return None."""

    def write(self, data: bytes) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class LocalPlace:
    """A file, replaced as a whole; its lock is a file beside it and ends with the process, however that ends.

    Args:
        path: The file; missing folders are created.
    """

    def __init__(self, path: Path) -> None:
        """Touch nothing yet."""
        self._path = path.expanduser().resolve()
        self._lock: int | None = None

    @property
    def name(self) -> str:
        """Return the path."""
        return str(self._path)

    def lock(self) -> None:
        """Take the lock; wait for a run that is about to end.

        Raises:
            LedgerError: Another process has it.
        """
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        deadline = time.monotonic() + LOCK_SECONDS
        while not self._is_locked():
            if time.monotonic() >= deadline:
                raise LedgerError(self._taken())
            time.sleep(LOOK_SECONDS)

    @property
    def _lock_path(self) -> Path:
        return self._path.with_name(f"{self._path.name}.lock")

    def _is_locked(self) -> bool:
        """Try to take the lock; one whose file was removed meanwhile is none."""
        opened = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if fcntl is not None:
                fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)  # of the process: a forked one does not hold it
            is_current = os.fstat(opened).st_ino == self._lock_path.stat().st_ino
        except (BlockingIOError, PermissionError, FileNotFoundError):
            is_current = False
        if not is_current:
            os.close(opened)
            return False
        self._lock = opened
        os.ftruncate(opened, 0)
        os.write(opened, b"%d\n" % os.getpid())
        return True

    def _taken(self) -> str:
        owner = self._lock_path.read_text(encoding="utf-8").strip()
        return (
            f"another run (process {owner}) has the ledger {self._path}: two at once would create the same jobs twice. "
            "Wait for it to end, or give this run a `ledger` of its own or `ledger: none`; nothing was requested"
        )

    def read(self) -> bytes | None:
        """Return the bytes, or None where there are none yet."""
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None

    def write(self, data: bytes) -> None:
        """Write a temporary file, rename it, and have both reach the disk."""
        temporary = self._path.with_name(f".{self._path.name}.tmp")  # under the lock there is one writer
        try:
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
        finally:
            temporary.unlink(missing_ok=True)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def exists(self) -> bool:
        """Return whether there is a ledger."""
        return self._path.is_file()

    def remove(self) -> None:
        """Remove it once another place holds what it held; the lock stays until `close`."""
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


class RemotePlace:
    """An object of any fsspec storage, written whole. Nothing is locked there.

    Args:
        url: Its URL.

    Raises:
        LedgerError: fsspec does not know the protocol, or the package for it is not installed.
    """

    def __init__(self, url: str) -> None:
        """Open the file system; nothing is read yet."""
        self.name = _shown(url)
        try:
            self._fs, self._path = url_to_fs(url)
        except (ImportError, ValueError, TypeError) as error:
            msg = f'config: ledger: cannot use "{get_protocol(url)}": {type(error).__name__}'
            raise LedgerError(f"{msg}; an extra such as tap-exports[s3] may be missing") from error

    def lock(self) -> None:
        """Do nothing."""

    def read(self) -> bytes | None:
        """Return the bytes, or None where there are none yet."""
        try:
            with _explained():
                data: bytes = self._fs.cat_file(self._path)
        except FileNotFoundError:
            return None
        return data

    def write(self, data: bytes) -> None:
        """Write the object in one request."""
        with _explained():
            self._fs.pipe_file(self._path, data)

    def close(self) -> None:
        """Do nothing."""


def place_of(setting: str | None, name: str) -> Place:
    """Return where the ledger of a configuration is; touches nothing.

    Args:
        setting: The setting `ledger`: a path, a URL, `none`, or None for the default.
        name: File name in the user's state directory; used for the default.

    Raises:
        LedgerError: No storage is known for the URL.
    """
    if setting is None:
        return LocalPlace(state_folder() / name)
    if is_nowhere(setting):
        return Nowhere()
    if "://" not in setting:
        return LocalPlace(Path(setting))
    protocol, _, path = setting.partition("://")
    return LocalPlace(Path(path)) if protocol.lower() in {"file", "local"} else RemotePlace(setting)


def is_nowhere(setting: str | None) -> bool:
    """Return whether the setting `ledger` turns the ledger off."""
    return setting is not None and setting.strip().lower() == NOWHERE


def state_folder() -> Path:
    """Return the folder of this program's state, by the XDG Base Directory specification."""
    given = Path(os.environ.get("XDG_STATE_HOME", ""))  # relative paths are invalid there
    return (given if given.is_absolute() else Path("~/.local/state").expanduser()) / "tap-exports"


def sweep(folder: Path) -> None:
    """Remove what no run of the last months used: configurations whose dates change leave one file each."""
    with contextlib.suppress(OSError):
        for path in folder.glob("*.json*"):
            if time.time() - path.stat().st_mtime > UNUSED_SECONDS:
                path.unlink()


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Raise OSError for whatever a storage raises; its message may hold credentials, so only its type is told."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:
        raise OSError(type(error).__name__) from error


def _shown(url: str) -> str:
    """Return a URL without user, password and query."""
    protocol, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{protocol}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"
