"""Binary members kept in a storage that fsspec knows, named by their content: no path of the archive is used."""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import fsspec

from tap_exports.engine.archive.media import known_suffix
from tap_exports.engine.archive.member import Member
from tap_exports.engine.spool import SpoolFile
from tap_exports.errors import ConfigError, StopError, TapError


@dataclass(frozen=True, slots=True)
class Stored:
    """One file that was read.

    Attributes:
        size: Bytes.
        sha256: Hex digest.
        url: Where it is kept, None without a storage.
    """

    size: int
    sha256: str
    url: str | None = None


class Store:
    """A folder of a storage.

    Args:
        url: The setting: a path, or an URL that fsspec knows.
        setting: Its name, for messages.
        create: Makes a file in the spool.

    Raises:
        ConfigError: fsspec does not know the URL, or lacks the package for it.
    """

    def __init__(self, url: str, setting: str, create: Callable[[str], SpoolFile]) -> None:
        """Connect to nothing yet."""
        self._setting = setting
        self._create = create
        try:
            self._storage, self._root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise ConfigError(f"{setting}: {error}") from None

    def keep(self, member: Member) -> Stored:
        """Store a member, unless the storage has its bytes already.

        The name is that of the content, so a second run stores nothing twice. A name never stands for half a file: the
        bytes come under a temporary one first.

        Raises:
            StopError: The storage refused.
        """
        file = self._create("asset")
        try:
            for chunk in member.chunks():
                file.write(chunk)
            file.close()
            name = f"{self._root}/{file.sha256[:2]}/{file.sha256}{known_suffix(member.path)}"
            self._put(file, name)
            return Stored(file.size, file.sha256, str(self._storage.unstrip_protocol(name)))
        finally:
            file.discard()

    def _put(self, file: SpoolFile, name: str) -> None:
        temporary = f"{name}.{uuid.uuid4().hex}.part"
        try:
            if self._size(name) == file.size:
                return
            self._storage.makedirs(name.rpartition("/")[0], exist_ok=True)
            try:
                self._storage.put_file(str(file.path), temporary)
                self._storage.mv(temporary, name)
            except BaseException:
                self._remove(temporary)
                raise
        except TapError:
            raise
        except Exception as error:  # each storage has errors of its own
            raise StopError(f"{self._setting} cannot be written: {type(error).__name__}: {error}") from error

    def _size(self, name: str) -> int | None:
        try:
            info: dict[str, Any] = self._storage.info(name)
        except FileNotFoundError:
            return None
        return info.get("size")

    def _remove(self, name: str) -> None:
        """Remove what is left of a file; that it fails must not hide why it has to."""
        with contextlib.suppress(Exception):
            self._storage.rm_file(name)


def digest(member: Member) -> Stored:
    """Return size and digest of a member that is not stored."""
    sha256, size = hashlib.sha256(), 0
    for chunk in member.chunks():
        sha256.update(chunk)
        size += len(chunk)
    return Stored(size, sha256.hexdigest())
