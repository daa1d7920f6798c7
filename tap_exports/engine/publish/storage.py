"""Objects in any fsspec storage: written under a temporary name, then renamed after their content."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fsspec.core import url_to_fs
from fsspec.utils import get_protocol

from tap_exports.engine.appender import Appender
from tap_exports.engine.publish.drafts import remove_stale, temporary_name
from tap_exports.errors import ConfigError, StopError, TapError

_DIGEST_DIGITS = 16
_DIGESTS = (
    "ETag",
    "md5Hash",
    "crc32c",
    "content_md5",
    "etag",
)  # of the objects of S3, Google, Azure, as fsspec names them


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as its storage shows it.

    Attributes:
        size: Its bytes.
        digest: What tells its content from another one of that size, as the storage words it; None where it has none.
    """

    size: int
    digest: str | None = None


class Storage:
    """The storage of parts.

    Args:
        root: A folder, as a path or as any URL that fsspec knows.
        prefix: Prefix of object names; may contain slashes.
        options: Arguments of fsspec's file system.

    Raises:
        ConfigError: fsspec does not know the protocol, or the package for it is not installed.
    """

    def __init__(self, root: str, prefix: str = "", options: Mapping[str, Any] | None = None) -> None:
        """Open the file system; nothing is created yet."""
        try:
            self._fs, folder = url_to_fs(root, **(options or {}))
        except (ImportError, ValueError, TypeError) as error:
            msg = f'config: batch_config.storage.root: cannot use "{get_protocol(root)}": {type(error).__name__}'
            raise ConfigError(f"{msg}; an extra such as tap-exports[s3] may be missing") from error
        self._stem = f"{folder.rstrip('/')}/{prefix}"

    def clear(self) -> None:
        """Remove the drafts that killed runs left behind."""
        remove_stale(self._fs, self._stem)

    def look(self, url: str) -> Stored | None:
        """Return the object of an URL as the storage itself shows it now, None where there is none.

        Raises:
            StopError: The storage cannot be read.
        """
        path = self._fs._strip_protocol(url)  # noqa: SLF001 - fsspec has no other name for it
        with explained(self._fs, path, "read"):
            return look(self._fs, path)

    def remove(self, url: str) -> None:
        """Remove an object; never fails."""
        with contextlib.suppress(Exception):
            self._fs.rm_file(self._fs._strip_protocol(url))  # noqa: SLF001 - as above

    def draft(self, name: str, extension: str) -> Draft:
        """Begin an object.

        Args:
            name: Prefix of its final name.
            extension: Extension of its final name, with the dot.

        Raises:
            StopError: The storage cannot be written.
        """
        return Draft(self._fs, f"{self._stem}{name}", extension)


@dataclass(frozen=True, slots=True)
class _Names:
    """Temporary name of an object, and the fixed pieces of its final name."""

    stem: str
    extension: str
    temporary: str


class Draft:
    """A file for one writer; it gets its final name when it is complete.

    Its temporary name tells leftovers of a crash from parts; see `drafts`. A thread writes, so a later call may raise
    the error of an earlier one.
    """

    def __init__(self, fs: Any, stem: str, extension: str) -> None:  # noqa: ANN401 - fsspec ships no types
        """Create the temporary object."""
        self._fs = fs
        self._names = _Names(stem, extension, temporary_name(stem))
        self._discarded = False
        with explained(fs, stem):
            self._file = self._opened()
        self._content = Appender(self._file)

    def _opened(self) -> Any:  # noqa: ANN401 - a file of any storage
        """Open the temporary object; create its folder only if needed: an object storage would create a bucket."""
        try:
            return self._fs.open(self._names.temporary, "wb")
        except FileNotFoundError:
            self._fs.makedirs(self._names.stem.rpartition("/")[0], exist_ok=True)
            return self._fs.open(self._names.temporary, "wb")

    @property
    def closed(self) -> bool:
        """Return whether the object is closed for writing; False once it is discarded, as writes are then ignored."""
        return bool(self._file.closed) and not self._discarded

    def write(self, data: Any) -> int:  # noqa: ANN401 - whatever is a buffer
        """Append bytes; after `discard` they are ignored, since a codec may still write when it is closed.

        Raises:
            StopError: The storage cannot be written.
        """
        content = bytes(data)  # a codec reuses its buffer
        if not self._discarded:
            with explained(self._fs, self._names.stem):
                self._content.append(content)
        return len(content)

    def tell(self) -> int:
        """Return the bytes appended so far."""
        return self._content.size

    def flush(self) -> None:
        """Do nothing: an object is used only after `publish`."""

    def publish(self) -> str:
        """Complete the object under its final name and return its URL.

        The name is `<stem>-<first 16 hex digits of SHA-256><extension>`. An object of that name and size has the
        same content and a target may be reading it, so it is not replaced.

        Raises:
            StopError: The storage cannot be written.
        """
        with explained(self._fs, self._names.stem):
            self._content.settle()
            self._content.release()
            final = f"{self._names.stem}-{self._content.sha256[:_DIGEST_DIGITS]}{self._names.extension}"
            self._file.close()
            if self._holds(final):
                self._fs.rm_file(self._names.temporary)
            else:
                self._fs.mv(self._names.temporary, final)
        return str(self._fs.unstrip_protocol(final))

    def keep(self) -> str:
        """Complete the object under its temporary name and return its URL.

        Raises:
            StopError: The storage cannot be written.
        """
        with explained(self._fs, self._names.stem):
            self._content.settle()
            self._content.release()
            self._file.close()
        return str(self._fs.unstrip_protocol(self._names.temporary))

    def _holds(self, final: str) -> bool:
        there = look(self._fs, final)
        return there is not None and there.size == self._content.size

    def discard(self) -> None:
        """Remove the temporary object; never fails."""
        self._discarded = True
        self._content.release()
        with contextlib.suppress(Exception):
            self._file.close()
        with contextlib.suppress(Exception):
            self._fs.rm_file(self._names.temporary)


def look(fs: Any, path: str) -> Stored | None:  # noqa: ANN401 - fsspec ships no types
    """Return an object as the storage itself shows it now, None where there is none.

    Lists of folders that the file system remembers are forgotten before: a loader may have removed what they name.
    """
    fs.invalidate_cache(fs._parent(path))  # noqa: SLF001 - fsspec has no other name for it
    try:
        found: Mapping[str, Any] = fs.info(path)
    except FileNotFoundError:
        return None
    digest = next((str(found[name]).strip('"') for name in _DIGESTS if found.get(name)), None)
    return Stored(int(found["size"]), digest)


@contextlib.contextmanager
def explained(fs: Any, path: str, verb: str = "write") -> Iterator[None]:  # noqa: ANN401 - as above
    """Turn what a storage raises into a message.

    Raises:
        StopError: The storage failed.
    """
    try:
        yield
    except TapError:
        raise
    except Exception as error:
        if type(error).__module__ == "builtins" and not isinstance(error, OSError):
            raise  # a defect: what storages raise beside OSError is of their own packages
        told = error.strerror if isinstance(error, OSError) else None
        msg = f"batch_config.storage: cannot {verb} {fs.unstrip_protocol(path)}: {told or type(error).__name__}"
        raise StopError(f"{msg}; check its credentials, permissions and free space") from error
