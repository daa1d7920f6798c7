"""Drafts of parts that a killed run left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import fsspec
import pytest

from tap_exports.engine.publish import drafts
from tap_exports.engine.publish.drafts import temporary_name
from tap_exports.engine.publish.jsonl import JsonLinesPart
from tap_exports.engine.publish.storage import Storage

LIVING = os.getppid()


def of_process(number: int, stem: str) -> str:
    """Return the name of a draft as another process of this machine gives it."""
    own = f"{os.getpid() & 0xFFFFFF:06x}"
    before, _, after = temporary_name(stem).rpartition(own)
    return f"{before}{number:06x}{after}"


def of_another_machine(stem: str) -> str:
    name = temporary_name(stem)
    host = name.rpartition(".tmp")[0].rpartition(".")[2][:4]
    return name.replace(f".{host}", f".{int(host, 16) ^ 1:04x}")


def of_an_earlier_process(stem: str) -> str:
    """Return the name of a draft of a process that had the number of this one."""
    name = temporary_name(stem)
    return name.replace(drafts._START + name[-7:], ("000" if drafts._START != "000" else "001") + name[-7:])


def dead() -> int:
    """Return the id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_drafts_of_dead_runs_are_removed(tmp_path: Path) -> None:
    """Those of this machine at once, those of others after a day; nothing that is not a draft under the prefix."""
    stem = str(tmp_path / "p-")
    kept = [of_process(LIVING, stem + "a"), of_another_machine(stem + "b"), stem + "c.tmp", stem + "d.csv"]
    kept += [of_process(dead(), str(tmp_path / "other-")), temporary_name(stem + "own")]
    old = of_another_machine(stem + "e")
    removed = [of_process(dead(), stem + "f"), of_an_earlier_process(stem + "g"), old]
    for name in (*kept, *removed):
        Path(name).write_bytes(b"x")
    past = (datetime.now(timezone.utc) - timedelta(days=2)).timestamp()
    os.utime(old, (past, past))
    Storage(str(tmp_path), "p-").clear()
    assert sorted(map(str, tmp_path.iterdir())) == sorted(kept)


def test_a_draft_that_a_run_did_not_complete_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name that a draft really has is the one that is looked for, in a folder of its prefix too."""
    part = JsonLinesPart(Storage(str(tmp_path), "below/p-"), "s-j-00001", "none")
    (left,) = (tmp_path / "below").iterdir()
    Storage(str(tmp_path), "below/p-").clear()
    assert left.exists()
    monkeypatch.setattr(drafts, "_START", "xyz")
    Storage(str(tmp_path), "below/p-").clear()
    assert not left.exists()
    part.discard()


def test_object_stores_are_cleared_alike() -> None:
    """Any storage of fsspec: here the one in memory."""
    fs = fsspec.filesystem("memory")
    name = of_process(dead(), "/drafts/p-a")
    fs.pipe_file(name, b"x")
    fs.pipe_file("/drafts/p-a.jsonl", b"x")
    Storage("memory://drafts", "p-").clear()
    assert fs.ls("/drafts", detail=False) == ["/drafts/p-a.jsonl"]


def test_a_storage_that_cannot_be_listed_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Storage(str(tmp_path / "nowhere"))
    storage.clear()
    monkeypatch.setattr(storage._fs, "glob", lambda _pattern: 1 / 0)
    storage.clear()
