"""A window that is read again from another job leaves each row once at a target that merges on keys (P4)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from tap_exports.sandbox import Sandbox
from tests.tap.harness import Json, Ran, arguments_of, tap
from tests.tap.test_resume import LOAD, killed_inside_the_file, one_load

Boxes = Callable[..., Sandbox]
Table = dict[tuple[Any, ...], Json]
KEY = ["_sdc_window_start", "_sdc_row_digest", "_sdc_row_copy"]
FORMER = ["_sdc_job_id", "_sdc_file", "_sdc_row"]
ROWS = 20_000


def merged(table: Table, rows: list[Json]) -> Table:
    """Merge rows into a table by the key."""
    return {**table, **{tuple(row[name] for name in KEY): row for row in rows}}


def delete(box: Sandbox, config: Json, job: str) -> None:
    """Delete an export at the provider, as somebody else may."""
    block = config["exelensia"]
    headers = {"x-api-key": block["api_key"]}
    requests.delete(f"{block['api_url']}/v1/exports/{job}", headers=headers, timeout=5).raise_for_status()


def test_a_lost_job_leaves_each_row_once(tmp_path: Path, sandbox: Boxes) -> None:
    """The tap is killed inside a file whose job is then gone: another job brings all its rows again."""
    box = sandbox(rows=ROWS)
    config = {**one_load(box), "job_grace_seconds": 0}
    before, state = killed_inside_the_file(arguments_of(tmp_path, config))
    (job,) = state["bookmarks"][LOAD]["ledger"]["jobs"]
    delete(box, config, job["id"])
    after = tap(tmp_path, config, state=state).succeeded()
    assert after.schema(LOAD)["key_properties"] == KEY
    assert {row["_sdc_job_id"] for row in before}.isdisjoint(row["_sdc_job_id"] for row in after.records[LOAD])
    assert (len(before) > 0, len(after.records[LOAD])) == (True, ROWS)
    assert len(merged(merged({}, before), after.records[LOAD])) == ROWS


def catalog_of(ran: Ran, *, key: list[str]) -> Json:
    schema = ran.schema(LOAD)["schema"]
    metadata = [{"breadcrumb": ["properties", name], "metadata": {"selected": False}} for name in KEY]
    stream = {"tap_stream_id": LOAD, "stream": LOAD, "schema": schema, "key_properties": key}
    return {"streams": [{**stream, "metadata": [{"breadcrumb": [], "metadata": {"selected": True}}, *metadata]}]}


@pytest.mark.parametrize(("key", "warns"), [(KEY, False), (FORMER, True), (["record_id"], False)])
def test_a_catalog_decides_the_key(tmp_path: Path, sandbox: Boxes, key: list[str], warns: bool) -> None:  # noqa: FBT001 - a parameter of pytest
    """Its key columns come even if it deselects them; a former key is obeyed with a warning, and costs no digests."""
    config = one_load(sandbox(rows=50))
    first = tap(tmp_path, config).succeeded()
    again = tap(tmp_path, config, catalog=copy.deepcopy(catalog_of(first, key=key))).succeeded()
    assert again.schema(LOAD)["key_properties"] == key
    assert all(set(key) <= set(row) for row in again.records[LOAD])
    assert ("_sdc_row_digest" in again.records[LOAD][0]) == (key == KEY)
    assert ("has the key of an older version" in again.stderr) == warns


@pytest.mark.parametrize(("key", "warns"), [({}, True), ({"primary_keys": ["record_id"]}, False)])
def test_lookback_wants_a_key(tmp_path: Path, sandbox: Boxes, key: Json, warns: bool) -> None:  # noqa: FBT001 - a parameter of pytest
    """It cuts windows before the bookmark, so that rows without a key of their own come under another one."""
    config = one_load(sandbox(rows=20))
    config["exelensia"]["exports"][0] |= {"lookback": 1, **key}
    assert ("lookback without primary_keys" in tap(tmp_path, config).succeeded().stderr) == warns
