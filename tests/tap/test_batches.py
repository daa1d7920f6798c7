"""BATCH messages: the rows that RECORD messages would bring, in parts that are whole, and STATE only behind them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tap_exports.sandbox import Sandbox
from tests.tap.harness import Json, Ran, tap

Boxes = Callable[..., Sandbox]
COMPANIES = "exelensia_export_companies"
DIRECTORY = "cornect_companies"
RUNS = "cension_export_companies"
FORMATS = ("jsonl", "parquet")


def exelensia(box: Sandbox, **changes: object) -> Json:
    """Return a configuration of one export whose window is fixed: two runs bring equal rows, lineage included."""
    config = box.config("exelensia")
    entry = next(e for e in config["exelensia"]["exports"] if e["name"] == "companies")
    config["exelensia"]["exports"] = [entry | {"max_window_days": 10000, "schema": {"date_added": "date"}}]
    return {**config, "end_date": "2026-01-01T00:00:00Z", **changes}


def batched(folder: Path, form: str, **changes: object) -> Json:
    return {"batch_config": {"encoding": {"format": form}, "storage": {"root": str(folder / "parts")}, **changes}}


def messages(ran: Ran, kind: str, stream: str) -> list[Json]:
    return [m for m in ran.messages if m["type"] == kind and m["stream"] == stream]


def parts(ran: Ran, stream: str) -> list[list[Json]]:
    """Return the rows of each part as JSON would show them."""
    return [
        _read(url, message["encoding"]["format"])
        for message in messages(ran, "BATCH", stream)
        for url in message["manifest"]
    ]


def rows(ran: Ran, stream: str) -> list[Json]:
    return [row for part in parts(ran, stream) for row in part]


def _read(url: str, form: str) -> list[Json]:
    path = Path(url.removeprefix("file://"))
    if form == "parquet":
        return pq.read_table(path).to_pylist()
    lines = gzip.decompress(path.read_bytes()).splitlines() if path.suffix == ".gz" else path.read_bytes().splitlines()
    return [json.loads(line) for line in lines]


def typed(record: Json, properties: Json) -> Json:
    """Return a record as Parquet has it: by hand from the types of SCHEMA, missing properties null."""
    return {name: _typed(record.get(name), prop) for name, prop in properties.items()}


def _typed(value: Any, prop: Json) -> Any:  # noqa: ANN401 - any JSON value
    if value is None or prop["type"][0] not in {"string", "number"}:
        return value
    if prop["type"][0] == "number":
        return Decimal(str(value))
    if prop.get("format") == "date":
        return date.fromisoformat(value)
    if prop.get("format") == "date-time":
        instant = datetime.fromisoformat(value.replace("Z", "+00:00"))
        return instant if instant.tzinfo else instant.replace(tzinfo=timezone.utc)
    return value


def untexted(row: Json, properties: Json) -> Json:
    """Return a row of Parquet with the numbers and objects that its texts hold."""
    read: Json = {"number": Decimal, "object": json.loads}
    return {n: v and read.get(properties[n]["type"][0], lambda same: same)(v) for n, v in row.items()}


def unversioned(records: list[Json]) -> list[Json]:
    return [{k: v for k, v in record.items() if k != "_sdc_table_version"} for record in records]


def test_json_lines_hold_the_records(tmp_path: Path, sandbox: Boxes) -> None:
    """The parts of a stream hold the records of its RECORD messages: the same rows, in the same order."""
    records = tap(tmp_path, exelensia(sandbox())).succeeded()
    ran = tap(tmp_path, exelensia(sandbox(), **batched(tmp_path, "jsonl")), fresh=True).succeeded()
    for stream in (COMPANIES, "exelensia_results"):
        assert rows(ran, stream) == records.records[stream] != []
        assert messages(ran, "SCHEMA", stream) == messages(records, "SCHEMA", stream)
    assert set(ran.records) == {"export_jobs"}  # written before the STATE that covers its jobs
    assert {m["stream"] for m in ran.messages if m["type"] == "BATCH"} == set(records.records) - {"export_jobs"}


def test_parquet_holds_the_records(tmp_path: Path, sandbox: Boxes) -> None:
    """The same rows in the same order with the types that SCHEMA declares."""
    records = tap(tmp_path, exelensia(sandbox())).succeeded()
    ran = tap(tmp_path, exelensia(sandbox(), **batched(tmp_path, "parquet")), fresh=True).succeeded()
    for stream in (COMPANIES, "exelensia_results"):
        properties = ran.schema(stream)["schema"]["properties"]
        found = [untexted(row, properties) for row in rows(ran, stream)]
        assert found == [typed(record, properties) for record in records.records[stream]]


@pytest.mark.parametrize("form", FORMATS)
def test_parts_are_bounded_and_named_by_stream_job_number_and_content(
    tmp_path: Path, sandbox: Boxes, form: str
) -> None:
    """A run with equal content gives equal names, and leaves nothing else in the storage."""
    first, ran = (
        tap(tmp_path, exelensia(sandbox(), **batched(tmp_path, form, batch_size=100))).succeeded() for _ in range(2)
    )
    urls = [url for m in messages(ran, "BATCH", COMPANIES) for url in m["manifest"]]
    assert urls == [url for m in messages(first, "BATCH", COMPANIES) for url in m["manifest"]]
    assert [len(part) for part in parts(ran, COMPANIES)] == [100, 100, 100, 100, 100, 3]
    job = rows(ran, COMPANIES)[0]["_sdc_job_id"]
    stems = [url.rpartition("/")[2].rpartition("-")[0] for url in urls]
    assert stems == [f"{COMPANIES}-{job}-{number:05d}" for number in range(1, 7)]
    assert not list((tmp_path / "parts").glob("*.tmp"))


@pytest.mark.parametrize("form", FORMATS)
def test_selection(tmp_path: Path, sandbox: Boxes, form: str) -> None:
    """Parts hold the selected columns only."""
    config = exelensia(sandbox())
    catalog = json.loads(b"\n".join(tap(tmp_path, config, "--discover").lines))
    for entry in catalog["streams"]:
        for item in entry["metadata"]:
            if item["breadcrumb"] == []:
                item["metadata"]["selected"] = entry["tap_stream_id"] == COMPANIES
            elif item["breadcrumb"][-1] in {"founded", "_sdc_file"}:
                item["metadata"]["selected"] = False
    ran = tap(tmp_path, {**config, **batched(tmp_path, form)}, catalog=catalog).succeeded()
    properties = ran.schema(COMPANIES)["schema"]["properties"]
    assert "founded" not in properties
    assert {frozenset(row) | {"created_at"} for row in rows(ran, COMPANIES)} == {frozenset(properties)}
    assert {m["stream"] for m in ran.messages if m["type"] == "BATCH"} == {COMPANIES}


def test_new_columns_begin_a_part(tmp_path: Path, sandbox: Boxes) -> None:
    """What waits is announced under the SCHEMA that it was written for, then the new one follows, then its parts."""
    ran = tap(tmp_path, {**sandbox().config("cension"), **batched(tmp_path, "parquet")}).succeeded()
    found, properties = [], set[str]()
    for message in ran.messages:
        if message.get("stream") != RUNS:
            continue
        if message["type"] == "SCHEMA":
            properties = set(message["schema"]["properties"])
            found.append("SCHEMA")
        elif message["type"] == "BATCH":
            path = message["manifest"][0].removeprefix("file://")
            assert set(pq.read_schema(path).names) - {"_sdc_table_version"} == properties
            found.append("late" if "late_column" in properties else "early")
    assert found == ["SCHEMA", "early", "early", "SCHEMA", "late"]
    records = tap(tmp_path, sandbox().config("cension")).succeeded()
    keys = [(row["company"], row["_sdc_row"]) for row in records.records[RUNS]]
    assert [(row["company"], row["_sdc_row"]) for row in rows(ran, RUNS)] == keys


def test_stream_without_rows_has_no_part(tmp_path: Path, sandbox: Boxes) -> None:
    """Nothing is announced, and STATE moves on all the same."""
    empty = {"start_date": "2031-01-01T00:00:00Z", "end_date": "2031-01-02T00:00:00Z", "settling_seconds": 0}
    ran = tap(tmp_path, exelensia(sandbox(), **empty, **batched(tmp_path, "jsonl"))).succeeded()
    assert messages(ran, "SCHEMA", "export_rejects")
    assert not messages(ran, "BATCH", "export_rejects")
    assert not messages(ran, "BATCH", COMPANIES)


def test_full_reads_have_a_version(tmp_path: Path, sandbox: Boxes) -> None:
    """ACTIVATE_VERSION follows the last part, whose rows carry that version: a target keeps them."""
    records = tap(tmp_path, sandbox().config("cornect")).succeeded()
    ran = tap(tmp_path, {**sandbox().config("cornect"), **batched(tmp_path, "jsonl")}).succeeded()
    (activated,) = messages(ran, "ACTIVATE_VERSION", DIRECTORY)
    assert [m["type"] for m in ran.messages if m.get("stream") == DIRECTORY] == ["SCHEMA", "BATCH", "ACTIVATE_VERSION"]
    assert {row["_sdc_table_version"] for row in rows(ran, DIRECTORY)} == {activated["version"]}
    assert messages(ran, "BATCH", DIRECTORY)[0]["version"] == activated["version"]
    assert unversioned(rows(ran, DIRECTORY)) == records.records[DIRECTORY] != []


def test_no_version_where_none_is_activated(tmp_path: Path, sandbox: Boxes) -> None:
    """With the messages off, rows are those of the records and nothing else."""
    off = {"emit_activate_version_messages": False}
    ran = tap(tmp_path, {**sandbox().config("cornect"), **off, **batched(tmp_path, "jsonl")}).succeeded()
    assert rows(ran, DIRECTORY) == unversioned(rows(ran, DIRECTORY)) != []


def test_state_follows_the_part(tmp_path: Path, sandbox: Boxes) -> None:
    """The bookmark of a window stands in no STATE before the BATCH of its last rows, and in the next one after it."""
    ran = tap(tmp_path, exelensia(sandbox(), **batched(tmp_path, "jsonl"))).succeeded()
    last = max(i for i, m in enumerate(ran.messages) if m["type"] == "BATCH" and m["stream"] == COMPANIES)
    proven = [
        i
        for i, m in enumerate(ran.messages)
        if m["type"] == "STATE" and "replication_key_value" in m["value"]["bookmarks"].get(COMPANIES, {})
    ]
    assert proven[0] == next(i for i, m in enumerate(ran.messages) if m["type"] == "STATE" and i > last)


def test_stream_maps_are_applied_to_json_lines(tmp_path: Path, sandbox: Boxes) -> None:
    """Parts hold what the SDK's maps make of the rows, under the mapped name."""
    maps = {"stream_maps": {COMPANIES: {"__alias__": "firms", "symbol": "symbol.lower()", "cik": None}}}
    records = tap(tmp_path, exelensia(sandbox(), **maps)).succeeded()
    ran = tap(tmp_path, exelensia(sandbox(), **maps, **batched(tmp_path, "jsonl", batch_size=100))).succeeded()
    assert [len(part) for part in parts(ran, "firms")] == [100, 100, 100, 100, 100, 3]
    assert rows(ran, "firms") == records.records["firms"]
    assert rows(ran, "firms")[0]["symbol"].islower()


def test_flattening_is_applied_to_json_lines(tmp_path: Path, sandbox: Boxes) -> None:
    flat = {"flattening_enabled": True, "flattening_max_depth": 2}
    records = tap(tmp_path, {**sandbox().config("cension"), **flat}).succeeded()
    ran = tap(tmp_path, {**sandbox().config("cension"), **flat, **batched(tmp_path, "jsonl")}).succeeded()
    assert unversioned(rows(ran, RUNS)) == records.records[RUNS]
    assert "hq__city" in rows(ran, RUNS)[0]


def refusal(setting: str) -> str:
    """Return the error of a setting that Parquet cannot honour."""
    why = f"config: {setting} cannot be applied to Parquet, whose columns are the catalog's"
    return f"{why}; set batch_config.encoding.format to jsonl, or remove {setting}"


REFUSED: dict[str, tuple[Json, str]] = {
    "maps over parquet": (
        {"stream_maps": {"*": {"x": "1"}}},
        refusal("stream_maps"),
    ),
    "flattening over parquet": (
        {"flattening_enabled": True, "flattening_max_depth": 1},
        refusal("flattening_enabled"),
    ),
    "no root": (
        {"batch_config": {"encoding": {"format": "jsonl"}, "storage": {}}},
        'config: "batch_config.storage.root" is missing: a folder, or an URL such as s3://bucket/x',
    ),
    "no format": (
        {"batch_config": {"storage": {"root": "x"}}},
        'config: "batch_config.encoding.format" must be one of jsonl, parquet',
    ),
    "no rows": (
        {"batch_config": {"encoding": {"format": "jsonl"}, "storage": {"root": "x"}, "batch_size": 0}},
        'config: "batch_config.batch_size" must be a number of rows, at least 1',
    ),
}


@pytest.mark.parametrize(("changes", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_settings(tmp_path: Path, sandbox: Boxes, changes: Json, message: str) -> None:
    """What cannot be done is refused before any provider is asked for anything."""
    box = sandbox()
    ran = tap(tmp_path, exelensia(box, **{**batched(tmp_path, "parquet"), **changes}))
    assert (ran.code, ran.errors[:1], ran.messages) == (1, [message], [])
    assert not [r for r in box.requests() if r["method"] == "POST"]
    assert not (tmp_path / "parts").exists()


def test_numbers_keep_every_digit(tmp_path: Path, sandbox: Boxes) -> None:
    """A number that no double holds is exact in both formats, and so is the one beside it."""
    body = "symbol,founded\nA,12345678901234567890.10\nB,0.1\n"
    fault = {"match": {"origin": "files"}, "action": {"replace": {"text": body}}}
    found = {}
    for form in FORMATS:
        config = exelensia(sandbox(faults={"faults": [fault]}), **batched(tmp_path, form), verify_counts="off")
        config["exelensia"]["exports"][0]["schema"] = {"founded": "number"}
        ran = tap(tmp_path, config).succeeded()
        found[form] = list(_numbers(ran, form))
    exact = [Decimal("12345678901234567890.10"), Decimal("0.1")]
    assert found == {"jsonl": exact, "parquet": exact}


def _numbers(ran: Ran, form: str) -> Iterator[Decimal]:
    if form == "parquet":
        yield from (Decimal(row["founded"]) for row in rows(ran, COMPANIES))
        return
    for message in messages(ran, "BATCH", COMPANIES):
        data = gzip.decompress(Path(message["manifest"][0].removeprefix("file://")).read_bytes())
        yield from (json.loads(line, parse_float=Decimal)["founded"] for line in data.splitlines())
