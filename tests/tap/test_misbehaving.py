"""The tap as a process at providers that misbehave: what stands at the source lands, or the run says so."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tap_exports.sandbox import Sandbox
from tests.tap.harness import Json, Ran, only, tap

Boxes = Callable[..., Sandbox]
Truth = Callable[[Sandbox], set[str]]
KNOBS = {"cension": {"limit_cap": 40}, "packagex": {"limit_cap": 2}, "cornect": {"limit_scale": 0}}


def _cension(box: Sandbox) -> set[str]:
    return {row["company"] for each in (4836, 4840) for row in box.truth("cension/export/459", operationId=each)}


LISTS: dict[str, tuple[str, str, Truth]] = {
    "cension_export_companies": ("/api/export/459", "company", _cension),
    "cension_query_recent": ("/api/queries/12", "id", lambda box: _ids(box.truth("cension/query/12"))),
    "exelensia_results": ("/v1/results", "id", lambda box: _ids(box.truth("exelensia/results"))),
    "packagex_exports": ("/v1/exports", "id", lambda box: _ids(box.truth("packagex/exports"))),
    "cornect_companies": (
        "/api/v1/companies/search",
        "id",
        lambda box: _ids(box.truth("cornect/search", filters='{"states": ["California"]}')),
    ),
}


def _ids(rows: list[Json]) -> set[str]:
    return {str(row["id"]) for row in rows}


def runs(folder: Path, box: Sandbox, stream: str, plan: Json) -> list[Ran]:
    """Run under a plan, and once more when the world is calm again."""
    provider = stream.partition("_")[0]
    config = {**only(box.config(provider), provider), "progress": "never", "max_attempts": 2}
    box.set_faults(plan)
    first = tap(folder, config)
    box.set_faults(None)
    return [first, tap(folder, config, state=first.states[-1] if first.states else None)]


def landed(ran: list[Ran], stream: str, key: str) -> set[str]:
    return {str(record[key]) for each in ran for record in each.records[stream]}


@pytest.mark.parametrize(
    "action",
    [{"delete": 1}, {"insert": 1}, {"ties": True}, {"ties": True, "insert": 2}, {"total": "absent"}, {"total": -2}],
    ids=str,
)
@pytest.mark.parametrize("stream", LISTS)
def test_lists_that_move(tmp_path: Path, sandbox: Boxes, stream: str, action: Json) -> None:
    """Every record that was there all the time lands, by the next calm run at the latest."""
    path, key, truth = LISTS[stream]
    box = sandbox(knobs=KNOBS)
    plan = {"faults": [{"match": {"origin": "api", "path": path}, "action": action}]}
    told = runs(tmp_path, box, stream, plan)
    assert told[1].code == 0, told[1].stderr
    assert len(truth(box) - landed(told, stream, key)) <= action.get("delete", 0)


@pytest.mark.parametrize("stream", LISTS)
def test_lists_that_ignore_the_page(tmp_path: Path, sandbox: Boxes, stream: str) -> None:
    """The run ends, says which stream is not whole, and the next one has everything."""
    path, key, truth = LISTS[stream]
    box = sandbox(knobs=KNOBS)
    plan = {"faults": [{"match": {"origin": "api", "path": path}, "action": {"ignore_page": True}}]}
    told = runs(tmp_path, box, stream, plan)
    assert (told[0].code, any(stream in error for error in told[0].errors)) == (1, True), told[0].stderr
    assert landed(told, stream, key) >= truth(box)


@pytest.mark.parametrize(
    ("stream", "match"),
    [
        ("exelensia_export_companies", {"origin": "files"}),
        ("exelensia_files", {"origin": "api", "path": "/v1/files"}),
        ("packagex_export_shipments", {"origin": "files"}),
        ("cension_export_companies", {"origin": "api", "path": "/api/export/459"}),
        ("cornect_companies", {"origin": "api", "path": "*/search"}),
        ("closient_export_records", {"origin": "files"}),
    ],
)
def test_a_byte_a_second(tmp_path: Path, sandbox: Boxes, stream: str, match: Json) -> None:
    """A reply that would take hours is broken off and asked for again; the rows are those of a calm run."""
    provider = stream.partition("_")[0]
    box = sandbox(knobs=KNOBS)
    floor = {"request_timeout_seconds": 1, "min_transfer_bytes_per_second": 100}
    config = {**only(box.config(provider), provider), **floor, "progress": "never"}
    box.set_faults({"faults": [{"match": {**match, "nth": 1}, "action": {"slow": {"bytes_per_second": 1}}}]})
    began = time.monotonic()
    ran = tap(tmp_path, config).succeeded()
    assert [entry["fault"] for entry in box.requests()].count("slow") == 1
    assert time.monotonic() - began < 20
    assert _told(ran, stream) == _told(tap(tmp_path, config).succeeded(), stream)


def _told(ran: Ran, stream: str) -> int:
    return len(ran.records[stream])


def test_jobs_of_a_clock_that_is_behind(tmp_path: Path, sandbox: Boxes) -> None:
    """What the provider dates before now by its own clock comes in the next run, once its window is over there."""
    box = sandbox()
    config: dict[str, Any] = {**only(box.config("exelensia"), "exelensia"), "progress": "never"}
    box.set_faults({"clocks": {"exelensia": {"skew_seconds": -30}}})
    first = tap(tmp_path, config).succeeded()
    grown = box.grow()["exelensia"]["results"]
    second = tap(tmp_path, config, state=first.states[-1]).succeeded()
    box.set_faults(None)
    third = tap(tmp_path, config, state=second.states[-1]).succeeded()
    assert _ids(grown) <= landed([first, second, third], "exelensia_results", "id")
    assert re.search(r"its clock is 3\d s behind this machine's", first.stderr), "it dates by whole seconds"
