"""An archive's members, whatever its container: its first bytes tell, not its name."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from tap_exports.engine.archive.member import Member
from tap_exports.engine.archive.tars import read_tar_gz
from tap_exports.engine.archive.zips import read_zip
from tap_exports.engine.unpacked import ArchiveLimits, Meter
from tap_exports.errors import BadContentError

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_GZIP = b"\x1f\x8b"


def read_members(path: Path, limits: ArchiveLimits) -> Generator[Member, None, None]:
    """Yield the regular files of a zip or tar.gz in its own order, each readable until the next one is asked for.

    A member that is not read costs nothing in a zip; in a tar.gz its bytes are passed over. Memory does not grow with
    the number of members. Archives inside the archive are members like others and are not opened.

    Args:
        path: The archive.
        limits: What it may hold.

    Raises:
        BadContentError: It is neither, is cut or damaged, or has a member that is a link, a device, or climbs out.
        LimitError: It holds more than it may.
    """
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(0)
        meter = Meter(limits, path.stat().st_size)
        if start in _ZIP:
            yield from read_zip(file, meter)
        elif start.startswith(_GZIP):
            yield from read_tar_gz(file, meter)
        else:
            raise BadContentError("the bytes are neither a zip nor a gzip archive")
