from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from tap_exports.engine.archive import Member, Store, Stored, digest
from tap_exports.engine.spool import Spool
from tap_exports.errors import ConfigError, StopError

DATA = b"\x89PNG" * 50_000
SHA = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(str(tmp_path / "spool"))
    yield spool
    assert spool.used == 0
    spool.close()


def member(path: str = "a/../b.png", data: bytes = DATA) -> Member:
    return Member(path, iter([data[:100], data[100:]]))


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_file_is_stored_under_its_content(tmp_path: Path, spool: Spool) -> None:
    """No path of an archive ever becomes a path of the storage."""
    kept = Store(str(tmp_path / "kept"), "x", spool.create).keep(member("../../etc/Cron.PNG"))
    assert kept == Stored(len(DATA), SHA, f"file://{tmp_path}/kept/{SHA[:2]}/{SHA}.png")
    assert files(tmp_path / "kept") == [f"{SHA[:2]}/{SHA}.png"]
    assert (tmp_path / "kept" / SHA[:2] / f"{SHA}.png").read_bytes() == DATA


@pytest.mark.parametrize("name", ["a.png%00/x", "a.sh; rm", "a", "a./../b"])
def test_only_known_endings_are_kept(tmp_path: Path, spool: Spool, name: str) -> None:
    Store(str(tmp_path / "kept"), "x", spool.create).keep(member(name))
    assert files(tmp_path / "kept") == [f"{SHA[:2]}/{SHA}"]


def test_the_same_bytes_are_stored_once(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run of the same assets sends nothing."""
    store = Store("memory://once", "x", spool.create)
    first = store.keep(member("a.png"))
    monkeypatch.setattr(type(store._storage), "put_file", None)
    assert store.keep(member("b/c.png")) == first
    assert first.url == f"memory:///once/{SHA[:2]}/{SHA}.png"


def test_half_a_file_is_replaced(tmp_path: Path, spool: Spool) -> None:
    target = tmp_path / "kept" / SHA[:2] / f"{SHA}.png"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"half")
    Store(str(tmp_path / "kept"), "x", spool.create).keep(member("a.png"))
    assert target.read_bytes() == DATA


def test_a_name_never_stands_for_half_a_file(tmp_path: Path, spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes come under a temporary name, and a storage that fails is left clean and named."""
    store = Store(str(tmp_path / "kept"), "closient.files_storage", spool.create)
    put = type(store._storage).put_file

    def fails(self: object, source: str, target: str) -> None:
        put(self, source, target)
        assert not target.endswith(".png")
        message = "no room"
        raise OSError(message)

    monkeypatch.setattr(type(store._storage), "put_file", fails)
    with pytest.raises(StopError, match=r"^closient\.files_storage cannot be written: OSError: no room$"):
        store.keep(member("a.png"))
    assert files(tmp_path / "kept") == []


def test_a_storage_that_is_not_known_is_a_setting_to_mend(spool: Spool) -> None:
    with pytest.raises(ConfigError, match=r"^closient\.files_storage: Protocol not known: nowhere"):
        Store("nowhere://x", "closient.files_storage", spool.create)


def test_without_a_storage_only_the_digest_is_made() -> None:
    assert digest(member()) == Stored(len(DATA), SHA, None)


def test_fsspec_has_the_memory_storage_that_these_tests_use() -> None:
    assert "memory" in fsspec.available_protocols()
