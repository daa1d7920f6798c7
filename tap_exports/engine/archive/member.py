"""One file inside an archive, readable until the next one is asked for; and which names a member may have."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tap_exports.errors import BadContentError

CHUNK_BYTES = 256 * 1024
_LONGEST_NAME = 4096
_DRIVE = re.compile(r"[A-Za-z]:")


class Member:
    """A regular file of an archive, as a stream of bytes.

    Attributes:
        path: Its checked name: relative, `/` between its parts, without `.` and `..`.
    """

    def __init__(self, path: str, chunks: Iterator[bytes]) -> None:
        """Take over the bytes, which nobody else reads."""
        self.path = path
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int = CHUNK_BYTES) -> bytes:
        """Return the next bytes, at most `size`; empty at the proper end.

        Raises:
            BadContentError: The bytes are cut, or differ from their checksum or their length.
            LimitError: The archive unpacks to more than it may.
        """
        if not self._rest:
            self._rest = next(self._chunks, b"")
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece

    def chunks(self) -> Iterator[bytes]:
        """Yield the rest of the bytes."""
        return iter(self.read, b"")


def checked_name(name: str) -> str:
    """Return the name of a member without empty parts and `.`.

    Raises:
        BadContentError: It is absolute, climbs with `..`, or is no name at all; a slash may lean either way.
    """
    shown = ascii(name[:80])
    plain = name.replace("\\", "/")
    if plain.startswith("/") or _DRIVE.match(plain):
        raise BadContentError(f"member {shown} has an absolute path")
    if ".." in plain.split("/"):
        raise BadContentError(f"member {shown} climbs out of the archive")
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if not parts or "\0" in name or len(name) > _LONGEST_NAME:
        raise BadContentError(f"member {shown} has no usable name")
    return "/".join(parts)
