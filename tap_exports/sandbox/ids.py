"""Identifiers that are the same in every run of the sandbox."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from uuid import UUID

ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_SHORT_LENGTH = 22


def uuids(prefix: str, kind: int, start: int = 1) -> Iterator[str]:
    """Yield UUIDs of version 7 shape such as `019760a0-0050-7000-8000-000000000050`, for ever.

    Args:
        prefix: the first 8 hexadecimal digits.
        kind: the second group (16 bits); tells the resources of a provider apart.
        start: the first number of the last group.
    """
    for number in itertools.count(start):
        yield f"{prefix}-{kind:04x}-7000-8000-{number:012x}"


def named_uuid(name: str) -> UUID:
    """Return the UUID (version 4 shape) that always belongs to `name`."""
    return UUID(bytes=hashlib.sha256(name.encode()).digest()[:16], version=4)


def short(uuid: UUID) -> str:
    """Return the 22 characters of a shortuuid: the UUID as a number in base 57, most significant digit first."""
    number, digits = uuid.int, ""
    while number:
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits.rjust(_SHORT_LENGTH, ALPHABET[0])


def long(text: str) -> UUID:
    """Return the UUID of a shortuuid.

    Raises:
        ValueError: the text has another length, a character outside the alphabet, or more than 128 bits.
    """
    if len(text) != _SHORT_LENGTH:
        msg = f"{text!r} has not {_SHORT_LENGTH} characters"
        raise ValueError(msg)
    number = 0
    for digit in text:
        number = number * len(ALPHABET) + ALPHABET.index(digit)
    return UUID(int=number)
