"""Archives made for tests, good and bad, and what is read of them."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tap_exports.engine.archive import ArchiveLimits, read_members

FILES = {"manifest.yaml": b"format_version: '1.0'\n", "products/a.yaml": b"id: 1\n", "products/a.png": b"\x89PNG" * 9}
Make = Callable[[Mapping[str, bytes]], bytes]


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return out.getvalue()


def zipped_as(name: str, mode: int) -> bytes:
    """Return a zip with one member of an odd mode, such as a link."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo(name)
        info.create_system, info.external_attr = 3, (mode | 0o644) << 16
        archive.writestr(info, b"/etc/passwd")
    return out.getvalue()


def tarred(files: Mapping[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=form, compresslevel=1) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def tarred_as(name: str, kind: bytes) -> bytes:
    """Return a tar.gz with one member of an odd kind."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    return out.getvalue()


def regzipped(archive: bytes, change: Callable[[bytearray], None]) -> bytes:
    """Return a tar.gz whose tar was changed."""
    tar = bytearray(gzip.decompress(archive))
    change(tar)
    return gzip.compress(bytes(tar), 1)


def on_disk(folder: Path, content: bytes) -> Path:
    path = folder / "archive"
    path.write_bytes(content)
    return path


def contents(folder: Path, archive: bytes, limits: ArchiveLimits | None = None) -> dict[str, bytes]:
    """Return all files of an archive."""
    members = read_members(on_disk(folder, archive), limits or ArchiveLimits())
    return {member.path: b"".join(member.chunks()) for member in members}


LINK = stat.S_IFLNK
