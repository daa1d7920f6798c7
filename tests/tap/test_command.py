"""What the SDK's command line promises holds for this tap too."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tap_exports.sandbox import Sandbox
from tests.tap.harness import Json, Ran, tap

Boxes = Callable[..., Sandbox]
INVOICES = "exelensia_export_invoices"


def catalog_of(ran: Ran) -> Json:
    catalog: Json = json.loads(b"\n".join(ran.lines))
    return catalog


def entry_of(catalog: Json, stream: str) -> Json:
    return next(dict(s) for s in catalog["streams"] if s["tap_stream_id"] == stream)


def test_about(tmp_path: Path) -> None:
    """`--about` names the settings without any provider being asked."""
    ran = tap(tmp_path, {}, "--about", "--format=json", fresh=True)
    settings = json.loads(b"\n".join(ran.lines))["settings"]["properties"]
    assert {"start_date", "cension", "exelensia", "stream_maps", "batch_config"} <= set(settings)


def test_discover(tmp_path: Path, sandbox: Boxes) -> None:
    """The catalog has every stream with key, replication and the types of the provider's own definition."""
    box = sandbox()
    catalog = catalog_of(tap(tmp_path, box.config("exelensia"), "--discover"))
    entry = entry_of(catalog, INVOICES)
    assert (entry["key_properties"], entry["replication_key"], entry["replication_method"]) == (
        ["invoice_number"],
        "created_at",
        "INCREMENTAL",
    )
    types = {name: prop["type"] for name, prop in entry["schema"]["properties"].items() if not name.startswith("_sdc_")}
    assert types == {
        "invoice_number": ["string"],
        "date": ["string", "null"],
        "total": ["number", "null"],
        "vendor_name": ["string", "null"],
        "reference": ["string", "null"],
        "notes": ["string", "null"],
        "tags": ["string", "null"],
        "lines": ["string", "null"],
        "created_at": ["string", "null"],
    }
    assert [r["method"] for r in box.requests()] == ["GET"] * len(box.requests())


def test_connection_test_creates_nothing(tmp_path: Path, sandbox: Boxes) -> None:
    """`--test` uses the keys and creates no job."""
    box = sandbox()
    ran = tap(tmp_path, box.config("cension", "exelensia"), "--test").succeeded()
    assert {r["method"] for r in box.requests()} == {"GET"}
    assert ran.lines == [b"cension: ok, 3 streams", b"exelensia: ok, 9 streams"]


def test_connection_test_of_schemas(tmp_path: Path, sandbox: Boxes) -> None:
    """`--test=schema` writes schemas, as the SDK does."""
    ran = tap(tmp_path, sandbox().config("cension"), "--test=schema").succeeded()
    assert {m["type"] for m in ran.messages} == {"SCHEMA"}


def test_connection_test_fails_with_a_wrong_key(tmp_path: Path, sandbox: Boxes) -> None:
    config = sandbox().config("exelensia")
    config["exelensia"]["api_key"] = "wrong"
    config |= {"cension": sandbox().config("cension")["cension"]}
    ran = tap(tmp_path, config, "--test")
    refused = "exelensia: 401: key setting `exelensia.api_key` was refused: Unauthorized"
    assert (ran.code, ran.errors[0].endswith(f"exelensia_templates: {refused}")) == (1, True)
    assert ran.errors[1].startswith("9 of 14 streams failed")
    assert ran.lines[0] == b"cension: ok, 3 streams"
    assert ran.lines[1].startswith(b"exelensia: 9 of 9 streams failed: exelensia_export_companies, ")


def test_several_configs(tmp_path: Path, sandbox: Boxes) -> None:
    """A later `--config` overrides an earlier one."""
    box = sandbox()
    later = tmp_path / "later.json"
    later.write_text(json.dumps({"exelensia": box.config("exelensia")["exelensia"]}))
    wrong = {**box.config("exelensia"), "exelensia": {"api_key": "wrong"}}
    ran = tap(tmp_path, wrong, "--config", str(later)).succeeded()
    assert len(ran.records[INVOICES]) == 40


def test_config_from_the_environment(tmp_path: Path, sandbox: Boxes) -> None:
    """`--config=ENV` reads every setting: blocks as JSON, numbers and booleans as text."""
    box = sandbox()
    environment = {
        f"TAP_EXPORTS_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in box.config("exelensia").items()
    }
    ran = tap(tmp_path, {}, "--config=ENV", environment=environment, fresh=True).succeeded()
    assert len(ran.records[INVOICES]) == 40


def select(catalog: Json, stream: str, *deselected: str) -> Json:
    """Select one stream without some of its properties."""
    for entry in catalog["streams"]:
        for item in entry["metadata"]:
            if item["breadcrumb"] == []:
                item["metadata"]["selected"] = entry["tap_stream_id"] == stream
            elif item["breadcrumb"][-1] in deselected:
                item["metadata"]["selected"] = False
    return catalog


def test_selection(tmp_path: Path, sandbox: Boxes) -> None:
    """Only the selected stream is asked for, and deselected columns stand neither in its schema nor in its rows."""
    box = sandbox()
    config = box.config("exelensia")
    catalog = select(catalog_of(tap(tmp_path, config, "--discover")), INVOICES, "notes", "_sdc_file")
    box.clear_requests()
    ran = tap(tmp_path, config, catalog=catalog).succeeded()
    columns = {
        "invoice_number",
        "date",
        "total",
        "vendor_name",
        "reference",
        "tags",
        "lines",
        "_sdc_job_id",
        "_sdc_row",
    }
    columns |= {"_sdc_extra", "_sdc_window_start", "_sdc_window_end"}
    assert {stream for stream, rows in ran.records.items() if rows} == {INVOICES}
    assert {frozenset(r) for r in ran.records[INVOICES]} == {frozenset(columns)}
    assert set(ran.schema(INVOICES)["schema"]["properties"]) == columns | {"created_at"}
    assert {r["path"].split("/")[2] for r in box.requests() if r["origin"] == "api"} == {"exports", "schemas"}


def test_nested_selection(tmp_path: Path, sandbox: Boxes) -> None:
    """A deselected property of a nested object is left out of schema and rows."""
    config = sandbox().config("cension")
    catalog = catalog_of(tap(tmp_path, config, "--discover"))
    for item in entry_of(catalog, "cension_export_companies")["metadata"]:
        if item["breadcrumb"] == ["properties", "hq", "properties", "sector"]:
            item["metadata"]["selected"] = False
    ran = tap(tmp_path, config, catalog=catalog).succeeded()
    assert {tuple(r["hq"]) for r in ran.records["cension_export_companies"] if r.get("hq")} == {("city",)}


def test_stream_maps(tmp_path: Path, sandbox: Boxes) -> None:
    """Stream maps rename, compute, drop and filter, on rows of files and of lists alike."""
    maps = {
        INVOICES: {
            "__alias__": "bills",
            "__filter__": "total is not None",
            "lower": "invoice_number.lower()",
            "notes": None,
        },
        "exelensia_files": {"kib": "int(bytes) // 1024", "bytes": None},
        "exelensia_results": None,
    }
    config = {**sandbox().config("exelensia"), "stream_maps": maps}
    ran = tap(tmp_path, config).succeeded()
    assert ran.records["bills"][0]["lower"] == ran.records["bills"][0]["invoice_number"].lower()
    assert "notes" not in ran.records["bills"][0]
    assert "kib" in ran.records["exelensia_files"][0]
    assert ran.records["exelensia_results"] == []


def test_flattening(tmp_path: Path, sandbox: Boxes) -> None:
    """Nested objects become columns, as deep as `flattening_max_depth` says."""
    config = {**sandbox().config("cension"), "flattening_enabled": True, "flattening_max_depth": 1}
    ran = tap(tmp_path, config).succeeded()
    assert ran.records["cension_export_companies"][0]["hq__city"] == "Saint Paul"
    assert "hq__city" in ran.schema("cension_export_companies")["schema"]["properties"]


def test_both_paths_write_the_same_messages(tmp_path: Path, sandbox: Boxes) -> None:
    """Rows through the SDK's stream maps are those of the fast writer, value by value."""
    box = sandbox()
    config = box.config("cension", "exelensia")
    fast = tap(tmp_path, config).succeeded()
    through_sdk = tap(tmp_path, {**config, "stream_maps": {"*": {}}}).succeeded()
    mine = ("_sdc_job_id", "_sdc_window_start", "_sdc_window_end")
    for stream in ("cension_export_companies", "cension_query_recent", "exelensia_export_companies", INVOICES):
        plain, mapped = (
            [{k: v for k, v in r.items() if k not in mine} for r in ran.records[stream]] for ran in (fast, through_sdk)
        )
        assert plain == mapped


def test_full_table_is_activated_after_its_rows(tmp_path: Path, sandbox: Boxes) -> None:
    """ACTIVATE_VERSION comes after the last proven row, with the version of the rows."""
    config = sandbox().config("cension")
    del config["cension"]["operation_ids"]
    messages = tap(tmp_path, config).succeeded().messages
    mine = [m for m in messages if m.get("stream") == "cension_export_companies"]
    assert (mine[0]["type"], mine[-1]["type"]) == ("SCHEMA", "ACTIVATE_VERSION")
    assert {m["version"] for m in mine if m["type"] == "RECORD"} == {mine[-1]["version"]}


def test_full_table_that_breaks_is_not_activated(tmp_path: Path, sandbox: Boxes) -> None:
    """A read that was not proven leaves the rows of the earlier one standing."""
    fault = {"match": {"path": "/api/export/*", "nth": 3}, "action": {"status": 404}}
    config = sandbox(faults={"faults": [fault]}).config("cension")
    del config["cension"]["operation_ids"]
    ran = tap(tmp_path, config)
    types = {m["type"] for m in ran.messages if m.get("stream") == "cension_export_companies"}
    assert (ran.code, types) == (1, {"SCHEMA", "RECORD"})


def test_progress_on_request_only(tmp_path: Path, sandbox: Boxes) -> None:
    """Bars are on stderr with `progress: always`, and absent where stderr is no terminal."""
    config = sandbox().config("cension")
    plain = tap(tmp_path, config).succeeded()
    shown = tap(tmp_path, {**config, "progress": "always"})
    assert ("cension_query_recent: 250 rows" in shown.stderr, "rows/s" in plain.stderr) == (True, False)
    assert [m["type"] for m in shown.messages] == [m["type"] for m in plain.messages]
