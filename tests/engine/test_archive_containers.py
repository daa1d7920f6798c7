from __future__ import annotations

import gzip
import io
import random
import re
import stat
import struct
import tarfile
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tap_exports.engine.archive import ArchiveLimits, read_members
from tap_exports.engine.archive import zips as zip_reader
from tap_exports.errors import BadContentError, LimitError
from tests.engine.archives import (
    FILES,
    LINK,
    Make,
    contents,
    on_disk,
    regzipped,
    tarred,
    tarred_as,
    zipped,
    zipped_as,
)

BOTH = pytest.mark.parametrize("make", [zipped, tarred])
NOISE = random.Random(1).randbytes(700_000)  # noqa: S311 - bytes that do not compress


@BOTH
def test_every_file_arrives_whole_and_in_order(tmp_path: Path, make: Make) -> None:
    files = {**FILES, "empty.bin": b"", "large.bin": NOISE, "deep/" * 40 + "x.txt": b"x", "Grüße/東京.yaml": b"a: 1\n"}
    assert list(contents(tmp_path, make(files)).items()) == list(files.items())


@BOTH
def test_a_member_may_be_left_unread_or_half_read(tmp_path: Path, make: Make) -> None:
    """Whatever was read of one member, the next one begins where it should."""
    members = read_members(on_disk(tmp_path, make({"a": NOISE, "b": NOISE, "c": b"last"})), ArchiveLimits())
    assert next(members).path == "a"
    assert next(members).read(10) == NOISE[:10]
    assert next(members).read() == b"last"


@BOTH
def test_an_empty_archive_has_no_members(tmp_path: Path, make: Make) -> None:
    assert contents(tmp_path, make({})) == {}


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_each_tar_format_is_read(tmp_path: Path, form: int) -> None:
    files = {"a/" + "b" * 90 + "/" + "c" * 90: b"long name", "x": b"y" * 1000}
    assert contents(tmp_path, tarred(files, form)) == files


def test_stored_members_are_read(tmp_path: Path) -> None:
    assert contents(tmp_path, zipped(FILES, zipfile.ZIP_STORED)) == FILES


def test_zip64_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive with sizes beyond 32 bits has them in a field of its own."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    archive = zipped({"a": NOISE, "b": b"small"})
    assert zip_reader._END64_SIGNATURE in archive
    assert contents(tmp_path, archive) == {"a": NOISE, "b": b"small"}


def test_directories_are_no_files(tmp_path: Path) -> None:
    assert contents(tmp_path, zipped({"a/": b"", "a/b": b"1"})) == {"a/b": b"1"}
    assert contents(tmp_path, tarred_as("./", tarfile.DIRTYPE)) == {}


@pytest.mark.parametrize(("given", "shown"), [("./a//b", "a/b"), ("a/./b", "a/b"), ("a..b", "a..b"), ("..a", "..a")])
@BOTH
def test_names_lose_what_says_nothing(tmp_path: Path, make: Make, given: str, shown: str) -> None:
    assert contents(tmp_path, make({given: b""})) == {shown: b""}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../a", "climbs out"),
        ("a/../../b", "climbs out"),
        ("a\\..\\..\\b", "climbs out"),
        ("/etc/passwd", "absolute"),
        ("\\\\host\\share", "absolute"),
        ("C:\\a", "absolute"),
        ("c:a", "absolute"),
        (".", "no usable name"),
    ],
)
@BOTH
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, make: Make, name: str, message: str) -> None:
    with pytest.raises(BadContentError, match=message):
        contents(tmp_path, make({"fine": b"", name: b""}))


@pytest.mark.parametrize("mode", [LINK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_a_link_or_device_in_a_zip_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(BadContentError, match=r"^member 'x' is a link or a device$"):
        contents(tmp_path, zipped_as("x", mode))


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (tarfile.SYMTYPE, "a symbolic link"),
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a device"),
        (tarfile.GNUTYPE_SPARSE, "a sparse file"),
        (b"V", "of an unknown kind"),
    ],
)
def test_a_link_or_device_in_a_tar_is_refused(tmp_path: Path, kind: bytes, what: str) -> None:
    with pytest.raises(BadContentError, match=f"^member 'x' is {what}$"):
        contents(tmp_path, tarred_as("x", kind))


@BOTH
def test_a_cut_archive_is_never_read_as_a_whole_one(tmp_path: Path, make: Make) -> None:
    """Wherever an archive is cut, reading it fails: never fewer members without a word."""
    archive = make(FILES)
    for length in range(4, len(archive)):
        with pytest.raises(BadContentError):
            contents(tmp_path, archive[:length])


@BOTH
def test_damage_never_passes_for_other_content(tmp_path: Path, make: Make) -> None:
    """A flipped bit is refused, or it changed nothing but what nobody reads (times, owners)."""
    archive = make(FILES)
    for at in range(len(archive)):
        damaged = bytearray(archive)
        damaged[at] ^= 0x10
        try:
            found = contents(tmp_path, bytes(damaged))
        except (BadContentError, LimitError):
            continue
        assert list(found.values()) == list(FILES.values())


def test_a_tar_without_its_end_is_cut(tmp_path: Path) -> None:
    """An intact gzip layer proves nothing about the tar inside."""
    whole = tarred({"a": b"1"})
    with pytest.raises(BadContentError, match=r"^the tar\.gz is cut$"):
        contents(tmp_path, regzipped(whole, lambda tar: tar.__delitem__(slice(1024, None))))


def test_bytes_after_the_end_of_a_tar_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadContentError, match="bytes after its end"):
        contents(tmp_path, regzipped(tarred({"a": b"1"}), lambda tar: tar.extend(b"more")))


@pytest.mark.parametrize("size", [b"-0000000001\0", b"99999999999\0", b"\xff" * 12, b"12 34567890\0"])
def test_a_tar_header_with_no_usable_size_is_refused(tmp_path: Path, size: bytes) -> None:
    def change(tar: bytearray) -> None:
        tar[124:136] = size
        tar[148:156] = b" " * 8
        tar[148:156] = b"%06o\0 " % sum(tar[:512])

    with pytest.raises(BadContentError):
        contents(tmp_path, regzipped(tarred({"a": b"1"}), change))


def test_a_huge_pax_header_is_refused_before_it_is_read(tmp_path: Path) -> None:
    archive = tarred({"é" * 600_000: b""})
    with pytest.raises(BadContentError, match="has a header of 12"):
        contents(tmp_path, archive)


def lie(archive: bytes, field: int, value: int) -> bytes:
    """Return a zip whose directory says something else of its first member; `field` is the offset in the entry."""
    changed = bytearray(archive)
    at = changed.index(b"PK\x01\x02")
    struct.pack_into("<L", changed, at + field, value)
    return bytes(changed)


@pytest.mark.parametrize(("field", "value"), [(24, 10), (24, 10_000_000), (20, 10), (16, 1), (42, 7)])
def test_a_zip_that_lies_about_a_member_is_refused(tmp_path: Path, field: int, value: int) -> None:
    """Length, packed length, checksum and place are all held against what is there."""
    with pytest.raises(BadContentError):
        contents(tmp_path, lie(zipped({"a": NOISE[:1000] * 3}), field, value))


@pytest.mark.parametrize(("more", "message"), [(1, "its packed length is wrong"), (10_000, "reaches beyond")])
def test_a_member_ends_where_it_says(tmp_path: Path, more: int, message: str) -> None:
    """Bytes behind the packed ones belong to somebody else, also where the content is right."""
    archive = zipped({"a": b"1" * 1000, "b": b"2"})
    at = archive.index(b"PK\x01\x02") + 20
    packed = struct.unpack_from("<L", archive, at)[0]
    with pytest.raises(BadContentError, match=message):
        contents(tmp_path, lie(archive, 20, packed + more))


def test_each_byte_of_a_tar_header_is_held_against_its_checksum(tmp_path: Path) -> None:
    """An intact gzip layer does not make a damaged header right."""
    whole = tarred({"a": b"1"})
    ends_the_checksum = {154, 155}
    for at in sorted({*range(512)} - ends_the_checksum):

        def flip(tar: bytearray, at: int = at) -> None:
            tar[at] ^= 0x01

        with pytest.raises(BadContentError):
            contents(tmp_path, regzipped(whole, flip))


def test_a_zip_that_lies_about_its_members_is_refused(tmp_path: Path) -> None:
    archive = bytearray(zipped(FILES))
    struct.pack_into("<2H", archive, len(archive) - 14, 2, 2)
    with pytest.raises(BadContentError, match="has 3 entries and says 2"):
        contents(tmp_path, bytes(archive))


@pytest.mark.parametrize("offset", [10_000, 2**62, 2**63 - 1, 2**63, 2**64 - 1])
def test_a_member_far_behind_the_end_is_refused(tmp_path: Path, offset: int) -> None:
    """Zip64 has room for places that no file has, and that no system lets a program seek to."""
    archive = zipped({"a": b"1"})
    directory, end = archive.index(b"PK\x01\x02"), archive.index(b"PK\x05\x06")
    entry = bytearray(archive[directory:end] + struct.pack("<2HQ", 1, 8, offset))
    struct.pack_into("<H", entry, 30, 12)
    struct.pack_into("<L", entry, 42, 0xFFFFFFFF)
    record = bytearray(archive[end:])
    struct.pack_into("<L", record, 12, len(entry))
    with pytest.raises(BadContentError, match=r"^member 'a' reaches beyond the zip's data$"):
        contents(tmp_path, archive[:directory] + bytes(entry) + bytes(record))


def test_two_names_for_one_member_are_refused(tmp_path: Path) -> None:
    """The directory's name and the member's own must agree: readers would differ on what they see."""
    archive = zipped({"aaaa": b"1"})
    with pytest.raises(BadContentError, match="not where the zip's directory says"):
        contents(tmp_path, archive.replace(b"aaaa", b"bbbb", 1))


@pytest.mark.parametrize(("field", "value", "message"), [(8, 1, "encrypted"), (10, 12, "method 12")])
def test_a_zip_that_cannot_be_read_says_so(tmp_path: Path, field: int, value: int, message: str) -> None:
    archive = bytearray(zipped({"a": b"1"}))
    struct.pack_into("<H", archive, archive.index(b"PK\x01\x02") + field, value)
    with pytest.raises(BadContentError, match=message):
        contents(tmp_path, bytes(archive))


@BOTH
def test_an_archive_that_unpacks_too_far_is_stopped(tmp_path: Path, make: Make) -> None:
    """The limits hold for what comes out, whatever the headers say; 1 MiB is free of the ratio."""
    bomb = make({"zeros": bytes(30_000_000)})
    with pytest.raises(LimitError, match=re.escape("more than 100 times its size (archive_max_ratio)")):
        contents(tmp_path, bomb, ArchiveLimits(max_ratio=100))
    with pytest.raises(LimitError, match=re.escape("more than 20 MiB (archive_max_mb)")):
        contents(tmp_path, bomb, ArchiveLimits(max_mb=20, max_ratio=100_000))
    assert contents(tmp_path, make({"zeros": bytes(900_000)}), ArchiveLimits(max_ratio=1)) == {"zeros": bytes(900_000)}


def test_a_bomb_with_a_small_header_is_stopped(tmp_path: Path) -> None:
    """A member that says 10 bytes and unpacks to 30 MB ends at its first piece."""
    with pytest.raises(BadContentError, match="length or checksum"):
        contents(tmp_path, lie(zipped({"zeros": bytes(30_000_000)}), 24, 10))


@BOTH
def test_an_archive_inside_is_a_file(tmp_path: Path, make: Make) -> None:
    inner = make({"zeros": bytes(30_000_000)})
    assert contents(tmp_path, make({"inner.zip": inner})) == {"inner.zip": inner}


@BOTH
def test_too_many_members_are_refused(tmp_path: Path, make: Make) -> None:
    with pytest.raises(LimitError, match=r"^it has more than 2 members$"):
        contents(tmp_path, make({"a": b"", "b": b"", "c": b""}), ArchiveLimits(max_members=2))


@BOTH
def test_memory_does_not_grow_with_members(tmp_path: Path, make: Make) -> None:
    """Five thousand members take the memory of one."""
    path = on_disk(tmp_path, make({f"section/{number:06d}.yaml": b"a: 1" for number in range(5_000)}))
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_members(path, ArchiveLimits(max_ratio=1000)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 5_000
    assert peak < 1_500_000


@pytest.mark.parametrize("content", [b"", b"<html>", gzip.compress(b"not a tar", mtime=0), b"PK\x03\x04", b"\x1f\x8b"])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BadContentError):
        contents(tmp_path, content)


@pytest.mark.parametrize("size", ["9" * 5000, "0" * 4999 + "1", "-1", "1.0", "\u0661", ""])
def test_a_pax_size_that_is_no_number_is_refused(tmp_path: Path, size: str) -> None:
    """A pax header holds numbers as text of any length; none of that many digits is a size."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("a")
        info.pax_headers = {"size": size}
        archive.addfile(info)
    with pytest.raises(BadContentError, match=r"^the tar\.gz has a damaged pax header$"):
        contents(tmp_path, out.getvalue())


def test_a_pax_header_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    whole = tarred({"é" * 60: b"1"})
    for old, new in ((b" path=", b" path "), (b"\n", b" ")):

        def change(tar: bytearray, old: bytes = old, new: bytes = new) -> Any:  # noqa: ANN401 - what slices give
            at = tar.index(old)
            tar[at : at + len(old)] = new

        with pytest.raises(BadContentError, match="damaged pax header"):
            contents(tmp_path, regzipped(whole, change))
