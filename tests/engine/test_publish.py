"""Parts: whole or not there, named by their content, the same bytes for the same rows."""

from __future__ import annotations

import errno
import gzip
import hashlib
import uuid
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.local import LocalFileSystem

from tap_exports.engine.publish.jsonl import JsonLinesPart
from tap_exports.engine.publish.parquet import GROUP_BYTES, GROUP_ROWS, ParquetPart
from tap_exports.engine.publish.storage import Storage, Stored
from tap_exports.errors import ConfigError, StopError

LINES = b'{"a":1}\n{"a":2}\n'
SCHEMA = pa.schema([pa.field("a", pa.int64())])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def batch(rows: int) -> pa.RecordBatch:
    return pa.record_batch([pa.array(range(rows), pa.int64())], schema=SCHEMA)


def jsonl(folder: Path, lines: bytes = LINES, compression: str = "gzip") -> JsonLinesPart:
    part = JsonLinesPart(Storage(str(folder), "p-"), "s-j-00001", compression)
    part.add(lines, lines.count(b"\n"))
    return part


def parquet(folder: Path, rows: int, compression: str = "none") -> ParquetPart:
    part = ParquetPart(Storage(str(folder)), "s", SCHEMA, compression)
    part.add(batch(rows))
    return part


def test_part_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    """Before that, and for good where a run crashes, there is a temporary name that ends in `.tmp`."""
    part = jsonl(tmp_path)
    (temporary,) = names(tmp_path)
    assert temporary.startswith("p-s-j-00001.")
    assert temporary.endswith(".tmp")
    url = part.publish()
    assert [f"file://{tmp_path}/{name}" for name in names(tmp_path)] == [url]
    assert gzip.decompress(Path(url.removeprefix("file://")).read_bytes()) == LINES


def test_equal_rows_give_equal_names_and_others_do_not(tmp_path: Path) -> None:
    """A name is a function of what the part holds; no part ever takes the place of another one."""
    first, again, other = (jsonl(tmp_path, lines).publish() for lines in (LINES, LINES, LINES[:8]))
    assert first == again != other
    assert len(names(tmp_path)) == 2
    assert parquet(tmp_path, 3).publish() == parquet(tmp_path, 3).publish() != parquet(tmp_path, 4).publish()


def test_part_of_another_run_is_left_alone(tmp_path: Path) -> None:
    """A target may be reading it: it stays the same file, and nothing temporary is left beside it."""
    path = Path(jsonl(tmp_path).publish().removeprefix("file://"))
    before = path.stat()
    jsonl(tmp_path).publish()
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert names(tmp_path) == [path.name]


def test_cut_file_of_that_name_is_replaced(tmp_path: Path) -> None:
    """What a machine lost at a power cut does not pass for the part."""
    path = Path(jsonl(tmp_path, compression="none").publish().removeprefix("file://"))
    path.write_bytes(LINES[:3])
    jsonl(tmp_path, compression="none").publish()
    assert (path.suffix, path.read_bytes()) == (".jsonl", LINES)


def test_discard_leaves_nothing(tmp_path: Path) -> None:
    for part in (jsonl(tmp_path), parquet(tmp_path, 3)):
        part.discard()
        part.discard()
    assert names(tmp_path) == []


@pytest.mark.parametrize("rows", [10, 1 << 20])
@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_refusal_is_told_before_there_is_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, form: str
) -> None:
    """Bytes are written while the part grows, so that a full disk may show later, but before the end."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("fsspec.implementations.local.LocalFileOpener.write", refuse)
    part = jsonl(tmp_path, b"", "none") if form == "jsonl" else parquet(tmp_path, 0)

    def written() -> None:
        if isinstance(part, JsonLinesPart):
            part.add(LINES * rows, 2 * rows)
        else:
            part.add(batch(rows))
        part.publish()

    with pytest.raises(StopError, match=r"cannot write .*: No space left on device"):
        written()
    part.discard()
    assert names(tmp_path) == []


def test_group_that_failed_is_told_though_later_ones_went_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the part would lack its rows."""
    write, calls = pq.ParquetWriter.write_table, count(1)

    def fail_once(*given: Any, **named: Any) -> None:  # noqa: ANN401 - stands for a method
        if next(calls) == 1:
            raise OSError(errno.EIO, "Input/output error")
        write(*given, **named)

    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.write_table", fail_once)
    part = parquet(tmp_path, GROUP_ROWS + 1)
    part.finish()
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output error"):
            part.publish()
    part.discard()
    assert names(tmp_path) == []


def test_many_small_writes_are_one_part(tmp_path: Path) -> None:
    """Nothing is lost or mixed between the thread that writes and the one that adds."""
    lines = [b'{"a":%d}\n' % number * 1000 for number in range(400)]
    part = jsonl(tmp_path, b"", "none")
    for line in lines:
        part.add(memoryview(line), 1000)
    path = part.publish().removeprefix("file://")
    content = Path(path).read_bytes()
    assert content == b"".join(lines)
    assert path.endswith(f"-{hashlib.sha256(content).hexdigest()[:16]}.jsonl")


@pytest.mark.parametrize(("compression", "codec"), [("none", "ZSTD"), ("gzip", "GZIP")])
def test_row_groups_are_bounded(tmp_path: Path, compression: str, codec: str) -> None:
    """Batches of any size fill row groups of 65,536 rows, the last one less, and no row is lost between them."""
    part = parquet(tmp_path, GROUP_ROWS + 5, compression)
    part.add(batch(7))
    assert part.rows == GROUP_ROWS + 12
    path = part.publish().removeprefix("file://")
    found = pq.ParquetFile(path)
    groups = [found.metadata.row_group(i) for i in range(found.metadata.num_row_groups)]
    assert [group.num_rows for group in groups] == [GROUP_ROWS, 12]
    assert {group.column(0).compression for group in groups} == {codec}
    assert found.read()["a"].to_pylist() == [*range(GROUP_ROWS + 5), *range(7)]


def test_dictionaries_are_for_values_that_repeat(tmp_path: Path) -> None:
    """One of values that all differ is given up half-way, after the time it took; bounds are for what has ranges."""
    columns = {"id": [f"{n:032x}" for n in range(9999)], "kind": ["a", "b", None] * 3333, "n": list(range(9999))}
    rows = pa.RecordBatch.from_pydict({**columns, "tags": [["x", "y"]] * 9999})
    part = ParquetPart(Storage(str(tmp_path)), "s", rows.schema)
    part.add(rows)
    path = part.publish().removeprefix("file://")
    group = pq.ParquetFile(path).metadata.row_group(0)
    chunks = [group.column(i) for i in range(group.num_columns)]
    assert [chunk.has_dictionary_page for chunk in chunks] == [False, True, False, True]
    assert [chunk.is_stats_set for chunk in chunks] == [False, False, True, False]
    assert pq.read_table(path).to_pylist() == rows.to_pylist()


def test_long_rows_make_small_groups(tmp_path: Path) -> None:
    """What waits in memory is bounded in bytes too."""
    schema = pa.schema([pa.field("t", pa.string())])
    part = ParquetPart(Storage(str(tmp_path)), "s", schema)
    for _ in range(3):
        part.add(pa.record_batch([pa.array(["x" * (20 << 20)])], schema=schema))
    assert pq.ParquetFile(part.publish().removeprefix("file://")).metadata.num_row_groups == 2


def test_any_storage() -> None:
    """A root is any URL that fsspec knows; the manifest's URLs are read by the same library."""
    root = f"memory://{uuid.uuid4()}/deep"
    part = JsonLinesPart(Storage(root, "below/"), "s")
    part.add(LINES, 2)
    url = part.publish()
    assert url.startswith("memory://")
    with fsspec.open(url, "rb", compression="gzip") as file:
        assert file.read() == LINES
    assert [name.rpartition("/")[2] for name in fsspec.filesystem("memory").find(root)] == [url.rpartition("/")[2]]


def test_unknown_storage() -> None:
    """The error names the setting and the protocol, not the URL, which may hold a password."""
    with pytest.raises(ConfigError) as refused:
        Storage("nowhere://user:secret@host/x")
    assert 'batch_config.storage.root: cannot use "nowhere"' in refused.value.message
    assert "secret" not in refused.value.message


def test_storage_that_refuses(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StopError, match="cannot write"):
        JsonLinesPart(Storage(str(tmp_path / "file" / "below")), "s")


def rows_of_all_kinds(count: int) -> pa.RecordBatch:
    texts = [None if n % 7 == 0 else hashlib.sha256(b"%d" % n).hexdigest() * 3 for n in range(count)]
    lists = [None if n % 5 == 0 else [texts[n], None] * (n % 3) for n in range(count)]
    arrays = [pa.array(texts), pa.array(range(count)), pa.array([str(n % 9) for n in range(count)])]
    return pa.record_batch([*arrays, pa.array(lists, pa.list_(pa.string()))], names=["text", "number", "few", "list"])


@pytest.mark.parametrize("form", ["jsonl.gz", "parquet"])
def test_bytes_are_a_function_of_the_rows(tmp_path: Path, form: str) -> None:
    """Whoever reads a file cuts it into batches of its own: the same rows get the same name all the same."""
    rows = rows_of_all_kinds(200_000)
    lines = [b'{"a":"%s"}\n' % hashlib.sha256(b"%d" % n).hexdigest().encode() for n in range(len(rows))]
    made = set()
    for size in (777, 10_000, 65_536, len(rows)):
        part = JsonLinesPart(Storage(str(tmp_path)), "s") if form == "jsonl.gz" else None
        whole = ParquetPart(Storage(str(tmp_path)), "s", rows.schema) if part is None else part
        for start in range(0, len(rows), size):
            if isinstance(whole, JsonLinesPart):
                whole.add(b"".join(lines[start : start + size]), size)
            else:
                whole.add(rows[start : start + size])
        made.add(whole.publish())
    assert len(made) == len(names(tmp_path)) == 1


def test_groups_of_heavy_rows_end_at_a_row(tmp_path: Path) -> None:
    """Their size is bounded by what they hold, at the same rows however they come, and one row may exceed it alone."""
    heavy = [b"x" * size for size in (GROUP_BYTES // 3, 10, GROUP_BYTES // 3, GROUP_BYTES // 3, 5, 2 * GROUP_BYTES, 1)]
    schema = pa.schema([pa.field("a", pa.list_(pa.string()))])
    groups = set()
    for size in (1, 3, 7):
        part = ParquetPart(Storage(str(tmp_path)), f"s{size}", schema)
        rows = pa.record_batch([pa.array([[each.decode()] for each in heavy], pa.list_(pa.string()))], schema=schema)
        for start in range(0, len(heavy), size):
            part.add(rows[start : start + size])
        found = pq.ParquetFile(part.publish().removeprefix("file://")).metadata
        groups.add(tuple(found.row_group(number).num_rows for number in range(found.num_row_groups)))
    assert groups == {(4, 2, 1)}


def test_mask_without_nulls_changes_nothing(tmp_path: Path) -> None:
    """A decoder may or may not make a mask of validity for values that are all there."""
    plain = pa.array([f"v{n}" for n in range(5000)])
    masked = pa.array([None, *plain.to_pylist()], pa.string())[1:]
    assert [column.buffers()[0] is None for column in (plain, masked)] == [True, False]
    schema = pa.schema([pa.field("a", pa.string())])
    made = set()
    for column in (plain, masked):
        part = ParquetPart(Storage(str(tmp_path)), "s", schema)
        part.add(pa.record_batch([column], schema=schema))
        made.add(part.publish())
    assert len(made) == 1


class Remembering(LocalFileSystem):  # type: ignore[misc] # fsspec ships no types
    """Remembers what it has listed, as the file systems of object storages do."""

    protocol = "remembering"
    cachable = False
    remembered: ClassVar[dict[str, dict[str, Any]]] = {}

    def ls(self, path: str, detail: bool = False, **more: Any) -> Any:  # noqa: ANN401, FBT001, FBT002 - fsspec's
        found = super().ls(path, detail=True, **more)
        self.remembered.update({each["name"]: each for each in found})
        return found if detail else [each["name"] for each in found]

    def info(self, path: str, **more: Any) -> Any:  # noqa: ANN401 - fsspec's
        return self.remembered.get(self._strip_protocol(path)) or super().info(path, **more)

    def exists(self, path: str, **more: Any) -> bool:  # noqa: ANN401 - fsspec's
        return self._strip_protocol(path) in self.remembered or bool(super().exists(path, **more))

    def invalidate_cache(self, path: str | None = None) -> None:
        for name in [name for name in self.remembered if path is None or name.startswith(path)]:
            del self.remembered[name]


def test_part_that_only_a_list_remembers_is_written_again(tmp_path: Path) -> None:
    """A loader removed it since the folder was listed: BATCH would name an object that is not there."""
    fsspec.register_implementation("remembering", Remembering, clobber=True)
    storage = Storage(f"remembering://{tmp_path}", "p-")

    def published() -> str:
        part = JsonLinesPart(storage, "s")
        part.add(LINES, 2)
        return part.publish()

    url = published()
    path = Path(url.removeprefix("remembering://").removeprefix("file://"))
    Remembering(skip_instance_cache=True).ls(str(tmp_path))
    path.unlink()
    assert published() == url
    assert gzip.decompress(path.read_bytes()) == LINES
    Remembering(skip_instance_cache=True).ls(str(tmp_path))
    path.unlink()
    assert storage.look(url) is None


def test_look_shows_size_and_no_more_where_a_storage_has_no_digest(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    part = JsonLinesPart(storage, "s", "none")
    part.add(LINES, 2)
    url = part.publish()
    assert storage.look(url) == Stored(len(LINES))
    storage.remove(url)
    storage.remove(url)
    assert storage.look(url) is None
