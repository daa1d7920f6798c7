"""Hostile archives, the whole tap: a clear error within memory and disk, nothing outside the spool, nothing executed.

`tests/engine/test_archive_*.py` hold every case of names, links, devices, lying headers, bombs and YAML; here are the
limits that only a process can show.
"""

from __future__ import annotations

import base64
import io
import os
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.engine.archives import regzipped, tarred, tarred_as, zipped, zipped_as
from tests.faults.witness import STREAMS, Witness, at_files
from tests.process.child import Child
from tests.tap.harness import Json, arguments_of

Watched = Callable[..., Witness]
RECORDS = STREAMS["closient"]
MEBIBYTE = 1 << 20
MOST_KILOBYTES = 400_000
ZEROS = bytes(30 * MEBIBYTE)


def nested(depth: int) -> bytes:
    """Return archives within archives around a bomb: none of them is opened, each is a file."""
    inner = zipped({"a.bin": bytes(MEBIBYTE)})
    for _ in range(depth):
        inner = zipped({"a.zip": inner})
    return inner


def lying(files: Mapping[str, bytes]) -> bytes:
    """Return a zip that says of each member that it unpacks to ten bytes."""
    archive = bytearray(zipped(files))
    for name, data in files.items():
        size = len(data).to_bytes(4, "little")
        assert archive.count(size) >= 2, name
        archive = archive.replace(size, (10).to_bytes(4, "little"))
    return bytes(archive)


def crowded(members: int) -> bytes:
    """Return a zip of many empty members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(members):
            archive.writestr(zipfile.ZipInfo(f"{number}"), b"")
    return out.getvalue()


def bad_checksum() -> bytes:
    """Return a zip with one flipped bit in a stored member."""
    return zipped({"a.yaml": b"id: 12345\n"}, zipfile.ZIP_STORED).replace(b"id: 12345\n", b"id: 12344\n")


def listed(path: Path, members: int) -> None:
    """Write a zip whose directory lists many empty members; who only counts them reads nothing else."""
    entry = struct.Struct("<4s6H3L5H2L")
    with path.open("wb") as file:
        at = file.write(zipped({"0": b""})[:31])
        for name in (b"%d" % number for number in range(members)):
            file.write(entry.pack(b"PK\x01\x02", *bytes(9), len(name), *bytes(6)) + name)
        size, end = file.tell() - at, file.tell()
        file.write(struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, members, members, size, at))
        file.write(struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1))
        file.write(struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0))


def laughs() -> bytes:
    """Return YAML in which ten lines stand for a billion values."""
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 11))]
    return "\n".join(lines).encode()


def said_to_be_large() -> bytes:
    """Return a tar.gz whose only member says that it has 8 GiB."""

    def change(tar: bytearray) -> None:
        tar[124:136] = b"77777777777\0"
        tar[148:156] = b" " * 8
        tar[148:156] = b"%06o\0 " % sum(tar[:512])

    return regzipped(tarred({"a.yaml": b"a: 1"}), change)


EVIL = "/tmp/evil.yaml"  # noqa: S108 - where the archive wants it
LINK = 0o120000
DEVICE = 0o020000
HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "zip bomb": (lambda: zipped({"a.png": ZEROS}), "archive_max_ratio"),
    "tar bomb": (lambda: tarred({"a.png": ZEROS}), "archive_max_mb"),
    "larger than allowed": (lambda: zipped({"a.png": os.urandom(9 * MEBIBYTE)}), "archive_max_mb"),
    "lying header": (lambda: lying({"a.png": ZEROS}), "'a.png' is damaged: length or checksum differ"),
    "lying header in a tar": (said_to_be_large, "the tar.gz is cut"),
    "cut": (lambda: zipped({"a.yaml": b"a: 1"})[:-30], "the zip is cut"),
    "cut tar": (lambda: tarred({"a.yaml": b"a: 1"})[:-9], "the tar.gz is cut"),
    "bad checksum": (bad_checksum, "member 'a.yaml' is damaged: length or checksum differ"),
    "absolute": (lambda: zipped({EVIL: b"a: 1"}), "has an absolute path"),
    "absolute in a tar": (lambda: tarred({EVIL: b"a: 1"}), "has an absolute path"),
    "climbs": (lambda: zipped({"a/../../evil.yaml": b"a: 1"}), "climbs out of the archive"),
    "climbs in a tar": (lambda: tarred({"a/../../evil.yaml": b"a: 1"}), "climbs out of the archive"),
    "backslashes": (lambda: zipped({"..\\evil.yaml": b"a: 1"}), "climbs out of the archive"),
    "symbolic link": (lambda: zipped_as("evil", LINK), "is a link or a device"),
    "symbolic link in a tar": (lambda: tarred_as("evil", b"2"), "is a symbolic link"),
    "hard link": (lambda: tarred_as("evil", b"1"), "is a hard link"),
    "device": (lambda: tarred_as("evil", b"3"), "is a device"),
    "device in a zip": (lambda: zipped_as("evil", DEVICE), "is a link or a device"),
    "two of one name": (lambda: tarred({"a.yaml": b"a: 1", "./a.yaml": b"a: 2"}), "two members of one name"),
    "alias bomb": (lambda: zipped({"a.yaml": laughs()}), "a.yaml: an item is larger than 64 MiB, aliases written out"),
    "alias of itself": (lambda: zipped({"a.yaml": b"&a [*a]"}), "a.yaml: line 1: the alias 'a' stands for nothing"),
    "unknown tag": (lambda: zipped({"a.yaml": b"!mine {a: 1}"}), "the tag '!mine' is not followed"),
    "duplicate keys": (lambda: zipped({"a.yaml": b"a: 1\na: 2\n"}), "a.yaml: "),
    "executed": (lambda: zipped({"a.yaml": b"!!python/object/apply:os.mkdir ['evil']"}), "is not followed"),
    "deep YAML": (lambda: zipped({"a.yaml": b"[" * 100_000}), "a.yaml: "),
}


def measured(watched: Witness, folder: Path, config: Json) -> tuple[int, str, str, int]:
    """Run the tap in a folder; return exit code, messages, log and its peak of memory in kilobytes."""
    (folder / "cwd").mkdir()
    arguments, environment = arguments_of(folder, config), {"LOGLEVEL": "DEBUG"}
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = Child(
            arguments, stdout=out.fileno(), stderr=err.fileno(), environment=environment, folder=folder / "cwd"
        )
        peak = peak_of(process)
    texts = [(folder / name).read_text() for name in ("out", "err")]
    watched.search(*texts)
    return process.wait(), texts[0], texts[1], peak


def peak_of(process: Child | subprocess.Popen[str]) -> int:
    """Return the peak of a process's memory in kilobytes, once it has ended."""
    peak = 0
    while process.poll() is None:
        peak = max(peak, high_water(process.pid))
        time.sleep(0.01)
    return peak


def high_water(pid: int) -> int:
    """Return the peak of a process in kilobytes; what `wait4` tells begins at that of the process that started it."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:  # it has just ended
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def served(archive: bytes, folder: Path, witness: Watched) -> tuple[Witness, Json]:
    watched = witness(at_files({"replace": {"base64": base64.b64encode(archive).decode()}}))
    config = watched.config("closient", archive_max_mb=8, spool_dir=str(folder / "spool"), verify_counts="off")
    config["closient"]["organization_ids"] = config["closient"]["organization_ids"][:1]
    return watched, config


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_archive(tmp_path: Path, witness: Watched, case: str) -> None:
    """One clear line, no row, bounded memory; the spool is empty and nothing else was written."""
    make, message = HOSTILE[case]
    watched, config = served(make(), tmp_path, witness)
    code, out, err, peak = measured(watched, tmp_path, config)
    errors = [line for line in err.splitlines() if "| ERROR " in line]
    assert (code, any(message in line for line in errors)) == (1, True), errors
    assert f'"type":"RECORD","stream":"{RECORDS}"' not in out
    assert peak < MOST_KILOBYTES
    assert {p.name for p in tmp_path.iterdir()} == {"config.json", "cwd", "err", "out", "spool"}
    assert list((tmp_path / "cwd").iterdir()) + list((tmp_path / "spool").iterdir()) == []
    assert not Path(EVIL).exists()


@pytest.mark.parametrize(
    ("make", "files"), [(lambda: nested(4), ["a.zip"]), (lambda: crowded(30_000), [str(n) for n in range(30_000)])]
)
def test_large_but_harmless(tmp_path: Path, witness: Watched, make: Callable[[], bytes], files: list[str]) -> None:
    """Archives within archives are files, and many members cost time, not memory."""
    watched, config = served(make(), tmp_path, witness)
    code, out, err, peak = measured(watched, tmp_path, config)
    assert code == 0, err[-2000:]
    assert out.count('"type":"RECORD","stream":"closient_export_files"') == len(files)
    assert peak < MOST_KILOBYTES


@pytest.mark.timeout(300)  # a directory of a million entries is read to its end
def test_a_million_members(tmp_path: Path) -> None:
    """One more than a million ends the pass in its first line of error, in the memory of one."""
    archive = tmp_path / "archive.zip"
    listed(archive, 1_000_001)
    program = (
        "import sys, pathlib\n"
        "from tap_exports.engine.archive import ArchiveLimits, survey\n"
        "survey(pathlib.Path(sys.argv[1]), ArchiveLimits())\n"
    )
    command = [sys.executable, "-c", program, str(archive)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        peak = peak_of(process)
        err = process.communicate()[1]
    assert (process.returncode, "LimitError: it has more than 1000000 members" in err) == (1, True), err
    assert peak < MOST_KILOBYTES // 2


def test_several_documents(tmp_path: Path, witness: Watched) -> None:
    """Each document of a file is a row, in order."""
    watched, config = served(zipped({"a.yaml": b"---\nid: 1\n---\nid: 2\n"}), tmp_path, witness)
    ran = watched.run(tmp_path, config).succeeded()
    assert [(r["index"], r["record"]) for r in ran.records[RECORDS]] == [(0, {"id": 1}), (1, {"id": 2})]
