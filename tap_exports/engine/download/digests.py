"""Digests that a reply gives of its bytes: what they cover, and whether the bytes that came have them.

All cover bytes as they travel, any `Content-Encoding` included. `Repr-Digest` and `Digest` (RFC 9530, RFC 3230),
`x-goog-hash`, `x-ms-blob-content-md5` are of the whole representation, in a 206 too; `Content-Digest`, `Content-MD5`
and `x-amz-checksum-*` are of what one reply brings, which is the whole in a 200.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Iterator, Mapping
from typing import Protocol

from tap_exports.engine.http.encoding import codings

Digests = Mapping[str, bytes]

# By their names in headers, the strongest first; crc32c and the like are compared between replies, not computed.
_SIZES = {"sha512": 64, "sha256": 32, "sha1": 20, "md5": 16, "crc32": 4}
_ALIASES = {"sha": "sha1"}
_OF_WHOLE = ("Repr-Digest", "Digest", "X-Goog-Hash")
_AMAZON = ("sha512", "sha256", "sha1", "md5", "crc64nvme", "crc32c", "crc32")


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class Sum:
    """The digest of the bytes so far, beside the one that they should have.

    Attributes:
        algorithm: Such as `sha256`.
    """

    def __init__(self, algorithm: str, expected: bytes) -> None:
        """Start with nothing."""
        self.algorithm = algorithm
        self._expected = expected
        self._hash: _Hash = _Crc32() if algorithm == "crc32" else hashlib.new(algorithm, usedforsecurity=False)

    @classmethod
    def of(cls, digests: Digests) -> Sum | None:
        """Return the sum for the strongest digest that can be computed, or None."""
        known = (name for name, size in _SIZES.items() if len(digests.get(name, b"")) == size)
        return next((cls(name, digests[name]) for name in known), None)

    def update(self, data: bytes) -> None:
        """Add bytes."""
        self._hash.update(data)

    @property
    def fits(self) -> bool:
        """Return whether the bytes so far have the digest."""
        return self._hash.digest() == self._expected


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


def of_whole(headers: Mapping[str, str]) -> Digests:
    """Return the digests of the whole representation by algorithm; what is malformed is left out."""
    pairs = [pair for name in _OF_WHOLE for pair in _pairs(headers, name)]
    pairs += [("md5", headers.get("X-Ms-Blob-Content-Md5", ""))]
    return _read(pairs)


def of_reply(headers: Mapping[str, str]) -> Digests:
    """Return the digests of the bytes that this very reply brings."""
    pairs = [*_pairs(headers, "Content-Digest"), ("md5", headers.get("Content-MD5", ""))]
    # A composite checksum, of the checksums of parts, ends with `-` and their number: no bytes have it.
    pairs += [(name, headers.get(f"X-Amz-Checksum-{name}", "")) for name in _AMAZON]
    return _read(pairs)


def differ(one: Digests, other: Digests) -> bool:
    """Return whether two replies give different digests of one algorithm: they are about different bytes."""
    return any(one[name] != other[name] for name in one.keys() & other.keys())


def _pairs(headers: Mapping[str, str], name: str) -> Iterator[tuple[str, str]]:
    """Yield algorithm and base64 text of a list such as `sha-256=:…:, md5=…`."""
    stored = headers.get("X-Goog-Stored-Content-Encoding", "")
    if name == "X-Goog-Hash" and codings(stored) != codings(headers.get("Content-Encoding", "")):
        return  # of the bytes as they are stored, which the store unpacked on their way
    for item in headers.get(name, "").split(","):
        key, _, value = item.partition("=")
        algorithm = key.strip().lower().replace("-", "")
        yield _ALIASES.get(algorithm, algorithm), value.strip().strip(":")


def _read(pairs: list[tuple[str, str]]) -> Digests:
    return {name: value for name, text in pairs if (value := _decoded(text))}


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
