"""How much an archive may hold (P8): bytes, ratio, members; counted on what really comes out, never on its headers."""

from __future__ import annotations

from dataclasses import dataclass

from tap_exports.errors import LimitError

MEBIBYTE = 1024 * 1024
FREE_BYTES = MEBIBYTE  # a ratio says nothing of an archive that is small even when unpacked


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """The limits of one archive.

    Attributes:
        max_mb: Unpacked mebibytes, all members (`archive_max_mb`).
        max_ratio: Unpacked bytes per packed byte, over the whole archive (`archive_max_ratio`).
        max_members: Members of any kind.
    """

    max_mb: int = 4096
    max_ratio: int = 200
    max_members: int = 1_000_000

    def check(self, size: int, packed_bytes: int) -> None:
        """Refuse what unpacks to too much.

        Args:
            size: Unpacked bytes so far.
            packed_bytes: Bytes that hold them.

        Raises:
            LimitError: There are more than allowed.
        """
        if size > self.max_mb * MEBIBYTE:
            raise LimitError(f"it unpacks to more than {self.max_mb} MiB (archive_max_mb)")
        if size > max(FREE_BYTES, packed_bytes * self.max_ratio):
            raise LimitError(f"it unpacks to more than {self.max_ratio} times its size (archive_max_ratio)")


class Meter:
    """Counts what one pass over an archive unpacks.

    Args:
        limits: What is allowed.
        packed_bytes: Size of the archive.
    """

    def __init__(self, limits: ArchiveLimits, packed_bytes: int) -> None:
        """Start at zero."""
        self._limits, self._packed_bytes = limits, packed_bytes
        self._bytes = self._members = 0

    def add(self, size: int) -> None:
        """Count unpacked bytes.

        Raises:
            LimitError: There are more than the limits allow.
        """
        self._bytes += size
        self._limits.check(self._bytes, self._packed_bytes)

    def member(self) -> None:
        """Count a member.

        Raises:
            LimitError: There are too many.
        """
        self._members += 1
        if self._members > self._limits.max_members:
            raise LimitError(f"it has more than {self._limits.max_members} members")
