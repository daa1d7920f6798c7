"""What a catalog overrides, what discovery leaves of exports that cannot be found, and that every stream is run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import pytest

from tap_exports.sandbox import Sandbox
from tests.tap.harness import Json, Ran, tap

Boxes = Callable[..., Sandbox]
INVOICES, FILES = "exelensia_export_invoices", "exelensia_files"
GONE = "019760a0-0001-7000-8000-00000000dead"


def catalog_of(ran: Ran) -> Json:
    found: Json = json.loads(b"\n".join(ran.lines))
    return found


def selected(catalog: Json, *streams: str, **entry: Any) -> Json:  # noqa: ANN401 - any JSON value
    """Return a catalog with some streams selected and members of their entries replaced."""
    for each in catalog["streams"]:
        chosen = each["tap_stream_id"] in streams
        next(m for m in each["metadata"] if not m["breadcrumb"])["metadata"]["selected"] = chosen
        each.update(entry if chosen else {})
    return catalog


def changed(catalog: Json, stream: str, override: Json) -> Json:
    """Return a catalog with one stream selected and more in its own metadata."""
    for each in selected(catalog, stream)["streams"]:
        if each["tap_stream_id"] == stream:
            next(m for m in each["metadata"] if not m["breadcrumb"])["metadata"] |= override
    return catalog


def kinds(ran: Ran, stream: str) -> list[str]:
    return [m["type"] for m in ran.messages if m.get("stream") == stream]


# Overrides ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [INVOICES, FILES])
def test_full_table_reads_everything_in_each_run(tmp_path: Path, sandbox: Boxes, stream: str) -> None:
    """Meltano writes the method at the top of the entry; a bookmark of an earlier run must not make the table empty."""
    box = sandbox()
    config = box.config("exelensia")
    found = selected(catalog_of(tap(tmp_path, config, "--discover")), stream)
    first = tap(tmp_path, config, catalog=found).succeeded()
    full = selected(found, stream, replication_method="FULL_TABLE")
    for state in (None, first.states[-1]):
        ran = tap(tmp_path, config, catalog=full, state=state).succeeded()
        assert len(ran.records[stream]) == len(first.records[stream]) > 0
        assert kinds(ran, stream)[-1] == "ACTIVATE_VERSION"


@pytest.mark.parametrize(
    ("stream", "entry", "message"),
    [
        (INVOICES, {"replication_method": "LOG_BASED"}, "replication method LOG_BASED cannot be used: INCREMENTAL and"),
        (FILES, {"replication_key": "filename"}, 'replication key "filename" cannot be used: the provider can be read'),
        (INVOICES, {"replication_key": "total"}, 'replication key "total" cannot be used: the provider can be read by'),
        ("export_jobs", {"replication_method": "FULL_TABLE"}, "replication method FULL_TABLE cannot be used: it holds"),
        ("export_rejects", {"replication_method": "INCREMENTAL"}, "replication method INCREMENTAL cannot be used: the"),
    ],
)
def test_overrides_that_cannot_be_served_are_refused_by_name(
    tmp_path: Path, sandbox: Boxes, stream: str, entry: Json, message: str
) -> None:
    """The run stops before it asks anything, and says which override of which stream to remove."""
    config = sandbox().config("exelensia")
    found = selected(catalog_of(tap(tmp_path, config, "--discover")), stream, **entry)
    ran = tap(tmp_path, config, catalog=found)
    assert (ran.code, ran.lines) == (1, [])
    assert ran.errors[0].startswith(f"catalog: {stream}: {message}")
    assert ran.errors[0].endswith("; remove the override")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"forced-replication-method": "LOG_BASED"}, "replication method LOG_BASED cannot be used"),
        ({"replication-method": "LOG_BASED"}, "replication method LOG_BASED cannot be used"),
        ({"replication-key": "updatedAt"}, 'replication key "updatedAt" cannot be used'),
    ],
)
def test_overrides_in_metadata_count_too(tmp_path: Path, sandbox: Boxes, override: Json, message: str) -> None:
    """The Singer specification has them in the metadata; what discovery wrote at the top of the entry stays there."""
    config = sandbox().config("exelensia")
    found = changed(catalog_of(tap(tmp_path, config, "--discover")), FILES, override)
    assert f"catalog: {FILES}: {message}" in tap(tmp_path, config, catalog=found).errors[0]


@pytest.mark.parametrize("name", ["forced-replication-method", "replication-method"])
def test_a_full_table_of_the_metadata_reads_everything(tmp_path: Path, sandbox: Boxes, name: str) -> None:
    config = sandbox().config("exelensia")
    found = selected(catalog_of(tap(tmp_path, config, "--discover")), FILES)
    first = tap(tmp_path, config, catalog=found).succeeded()
    full = changed(found, FILES, {name: "FULL_TABLE"})
    again = tap(tmp_path, config, catalog=full, state=first.states[-1]).succeeded()
    assert len(again.records[FILES]) == len(first.records[FILES]) > 0


def test_a_catalog_without_keys_leaves_the_stream_its_own(tmp_path: Path, sandbox: Boxes) -> None:
    """Rows without a key would be appended at each load; keys that a catalog names are taken."""
    config = sandbox().config("exelensia")
    found = catalog_of(tap(tmp_path, config, "--discover"))
    for keys, expected in (([], ["id"]), (["filename", "id"], ["filename", "id"])):
        full = selected(found, FILES, key_properties=keys)
        for entry in full["streams"]:
            next(m for m in entry["metadata"] if not m["breadcrumb"])["metadata"].pop("table-key-properties", None)
        assert tap(tmp_path, config, catalog=full).succeeded().schema(FILES)["key_properties"] == expected


# Discovery ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metadata", [[], [{"breadcrumb": ["properties", "status"], "metadata": {"selected": False}}]])
def test_a_catalog_without_metadata_of_the_stream_keeps_its_columns(
    tmp_path: Path, sandbox: Boxes, metadata: list[Json]
) -> None:
    """P4: a stream that nothing deselects is selected, and its rows have their keys, so that none replaces another."""
    config = sandbox().config("exelensia")
    found = selected(catalog_of(tap(tmp_path, config, "--discover")), FILES)
    found["streams"] = [each for each in found["streams"] if each["tap_stream_id"] == FILES]
    whole = tap(tmp_path, config, catalog=found).succeeded().records[FILES]
    found["streams"][0]["metadata"] = metadata
    rows = tap(tmp_path, config, catalog=found).succeeded().records[FILES]
    left_out = {breadcrumb[-1] for breadcrumb in (each["breadcrumb"] for each in metadata)}
    assert rows == [{name: value for name, value in row.items() if name not in left_out} for row in whole]


def test_an_export_that_is_gone_leaves_the_others_in_the_catalog(tmp_path: Path, sandbox: Boxes) -> None:
    """Its own stream has its lineage and key columns, and fails alone in the run."""
    config = sandbox().config("exelensia")
    entry = {"schema_id": GONE, "name": "gone", "primary_keys": ["number"]}
    config["exelensia"]["exports"] = [config["exelensia"]["exports"][0], entry]
    ran = tap(tmp_path, config, "--discover")
    assert (ran.code, [line.split(": ")[:2] for line in ran.errors]) == (
        0,
        [["exelensia_export_gone", "not discovered"]],
    )
    found = {entry["tap_stream_id"]: entry["schema"]["properties"] for entry in catalog_of(ran)["streams"]}
    assert {"number", "_sdc_job_id", "_sdc_file", "_sdc_row"} <= found["exelensia_export_gone"].keys()
    other = f"exelensia_export_{config['exelensia']['exports'][0]['name']}"
    chosen = selected(catalog_of(ran), other, "exelensia_export_gone", FILES)
    ran = tap(tmp_path, config, catalog=chosen)
    assert ran.code == 1
    assert ran.records[other]
    assert ran.records[FILES]
    assert ran.errors[-1].startswith("1 of ")
    assert "streams failed: exelensia_export_gone;" in ran.errors[-1]


def test_a_provider_that_is_down_leaves_the_others_in_the_catalog(tmp_path: Path, sandbox: Boxes) -> None:
    config = sandbox().config("exelensia", "cension")
    config["cension"]["api_url"] = "http://127.0.0.1:9"
    ran = tap(tmp_path, {**config, "max_attempts": 1}, "--discover")
    streams = {entry["tap_stream_id"] for entry in catalog_of(ran)["streams"]}
    assert ran.code == 0
    assert {INVOICES, *(line.split(": ")[0] for line in ran.errors)} <= streams
    assert all(line.startswith("cension_") for line in ran.errors)
    assert ran.errors


def test_where_nothing_answers_discovery_fails(tmp_path: Path, sandbox: Boxes) -> None:
    """A wrong address or key is said at once, not by a catalog without columns."""
    config = sandbox().config("exelensia")
    config["exelensia"]["api_url"] = "http://127.0.0.1:9"
    ran = tap(tmp_path, {**config, "max_attempts": 1}, "--discover")
    assert (ran.code, ran.lines, len(ran.errors)) == (1, [], 1)


# Every stream is accounted for ----------------------------------------------------------------------------------------


def synced(ran: Ran) -> list[str]:
    """Return the streams of whose turn the log tells, in order."""
    return re.findall(r"\| (\w+): \d+ rows, \d+ rejects, \d+ bytes in", ran.stderr)


@pytest.mark.parametrize("with_catalog", [False, True])
def test_every_selected_stream_is_synced(tmp_path: Path, sandbox: Boxes, with_catalog: bool) -> None:  # noqa: FBT001 - a parameter of the table above
    """Receipts and rejects come last, and moving them there must not make the SDK pass over others."""
    config = sandbox().config()
    ran = tap(tmp_path, config, "--discover")
    found = catalog_of(ran)
    ran = tap(tmp_path, config, catalog=found if with_catalog else None).succeeded()
    told = synced(ran)
    assert sorted(told) == sorted(entry["tap_stream_id"] for entry in found["streams"])
    assert told[-2:] == ["export_jobs", "export_rejects"]


SUBSETS = list(chain.from_iterable(combinations(("", "_errors", "_sanitized"), n) for n in (1, 2, 3)))


@pytest.mark.parametrize("suffixes", SUBSETS, ids=str)
def test_each_subset_of_one_entry_is_synced(tmp_path: Path, sandbox: Boxes, suffixes: tuple[str, ...]) -> None:
    config = sandbox().config("packagex")
    name = f"packagex_export_{config['packagex']['exports'][0]['name']}"
    chosen = {f"{name}{suffix}" for suffix in suffixes} | {"export_jobs", "export_rejects"}
    found = selected(catalog_of(tap(tmp_path, config, "--discover")), *chosen)
    ran = tap(tmp_path, config, catalog=found).succeeded()
    assert sorted(synced(ran)) == sorted(chosen)


def test_nobody_is_asked_for_the_columns_of_what_the_catalog_lacks(tmp_path: Path, sandbox: Boxes) -> None:
    """A hundred exports of which one is wanted are not discovered a hundred times, at each run."""
    box = sandbox()
    config = box.config("exelensia")
    found = catalog_of(tap(tmp_path, config, "--discover"))
    before = len(box.requests())
    only = {"streams": [each for each in found["streams"] if each["tap_stream_id"] == FILES]}
    ran = tap(tmp_path, config, catalog=only).succeeded()
    assert synced(ran) == [FILES]
    assert not [asked for asked in box.requests()[before:] if "schemas" in asked["path"]]


def test_a_stream_that_the_configuration_lacks_is_named(tmp_path: Path, sandbox: Boxes) -> None:
    """A catalog of yesterday may select what today's configuration does not have."""
    config = sandbox().config("exelensia")
    found = selected(catalog_of(tap(tmp_path, config, "--discover")), INVOICES, FILES)
    config["exelensia"]["exports"] = [e for e in config["exelensia"]["exports"] if e["name"] != "invoices"]
    ran = tap(tmp_path, config, catalog=found).succeeded()
    assert f"{INVOICES}: not run: the catalog selects it, but the configuration does not have it" in ran.stderr
