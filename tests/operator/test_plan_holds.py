"""What a plan says is what the run that follows does: drawn configurations and STATEs, compared job by job."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tap_exports.operator.plan import LATER
from tap_exports.sandbox import Sandbox, SandboxOptions
from tap_exports.sandbox.exelensia.seed import COMPANIES_ID
from tests.declared.test_declared_tap import ENTRIES
from tests.declared.test_declared_tap import config as declared
from tests.operator.calling import Called, Caller, Json
from tests.tap.harness import Ran, only, tap

END = "2024-12-31T00:00:00Z"
SEEDS = range(10)


@dataclass(frozen=True)
class World:
    """A configuration and the STATE for the next run.

    Attributes:
        config: Of the next run.
        state: Of a run before, at any of its moments, or None.
    """

    config: Json
    state: Json | None


def windowed(draw: Random, block: Json) -> None:
    for entry in block["exports"]:
        entry.pop("max_window_days", None)
        changes = {"max_window_days": draw.choice((90, 200, 1000)), "lookback": draw.choice((0, 3))}
        changes |= {"delete_after_load": draw.random() < 0.5} if "schema_id" in entry else {}
        entry.update({name: value for name, value in changes.items() if draw.random() < 0.7})
        if entry.get("resource"):
            entry.pop("max_window_days", None)


def drawn(draw: Random, box: Sandbox) -> Json:
    """Return a configuration of one provider."""
    provider = draw.choice(("exelensia", "exelensia", "packagex", "cornect", "closient", "declared"))
    whole = box.config("exelensia" if provider == "declared" else provider)
    shared: Json = {
        "progress": "never",
        "end_date": END,
        "poll_interval_seconds": 0.02,
        "job_wait": draw.choice(("wait", "wait", "detach")),
        "max_concurrent_jobs": draw.choice((1, 2, 64)),
        "job_reuse_seconds": draw.choice((0, 3600)),
        **({"ledger": "none"} if draw.random() < 0.3 else {}),
    }
    if provider == "declared":
        block: Json = {"file": "exelensia_declared", "api_url": box.api_url("exelensia")}
        block |= {"credentials": {"key": box.key("exelensia")}, "exports": [ENTRIES["exelensia"][1]]}
        return {**{k: v for k, v in whole.items() if k != "exelensia"}, **shared, "declared": [block]}
    config = {**only(whole, provider), **shared}
    if provider in {"exelensia", "packagex"}:
        windowed(draw, config[provider])
    return config


def other_settings(draw: Random, config: Json) -> Json:
    """Return a configuration in which one export asks for something else."""
    policy: Json = {"state_mismatch": draw.choice(("restart", "keep"))}
    if "exelensia" not in config:
        return config
    first, *rest = config["exelensia"]["exports"]
    changed = {**first, "schema_id": config["exelensia"]["exports"][-1]["schema_id"], "primary_keys": ["symbol"]}
    return {**config, **policy, "exelensia": {**config["exelensia"], "exports": [changed, *rest]}}


def world(draw: Random, box: Sandbox, folder: Path) -> World:
    config = drawn(draw, box)
    if draw.random() < 0.2:
        return World(config, None)
    ran = tap(folder, config)
    assert (ran.code, ran.errors) == (0, [])
    state = draw.choice((ran.states[-1], draw.choice(ran.states), None))
    config = {**config, "end_date": draw.choice((END, "2025-02-15T00:00:00Z"))}
    return World(other_settings(draw, config) if draw.random() < 0.3 else config, state)


def created(box: Sandbox) -> int:
    return sum(spent.get("jobs_created", 0) for spent in box.spend().values())


def chosen(plan: Called, *actions: str) -> list[tuple[str, Json]]:
    """Return stream and step of each step of some kinds."""
    steps = [(stream["stream"], step) for stream in plan.data["streams"] for step in stream["steps"]]
    return [(name, step) for name, step in steps if step["action"] in actions]


def windows(steps: list[tuple[str, Json]]) -> set[tuple[str, ...]]:
    return {(name, *step["window"]) for name, step in steps if step["window"]}


def read(ran: Ran, known: set[Any]) -> set[tuple[str, ...]]:
    """Return stream and window of the jobs that a run made and read."""
    receipts = [row for row in ran.records["export_jobs"] if row["job_id"] not in known and row["window_end"]]
    return {(row["stream"], row["window_start"], row["window_end"]) for row in receipts}


def followed(call: Caller, folder: Path, box: Sandbox, this: World) -> Called:
    """Compare a plan with the run that follows; return the plan."""
    plan = call("plan", config=this.config, state=this.state)
    assert plan.code == 0, plan.err
    box.clear_requests()
    before, charged = created(box), box.spend()["cornect"]["credits"]
    ran = tap(folder, this.config, state=this.state)
    assert (ran.code, ran.errors) == (0, [])
    made, spent = created(box) - before, box.spend()["cornect"]["credits"] - charged
    removed = {entry["path"].rpartition("/")[2] for entry in box.requests() if entry["method"] == "DELETE"}
    varying = {stream["stream"] for stream in plan.data["streams"] if stream["windows_vary"]}
    sure = [step for name, step in chosen(plan, "create") if name not in varying and step["note"] != LATER]
    assert len(sure) <= made <= len(chosen(plan, "create", "find"))
    assert spent <= sum(stream["credits_max"] for stream in plan.data["streams"])
    assert removed == {step["job"] for _, step in chosen(plan, "delete")}
    attached = {step["job"] for _, step in chosen(plan, "attach")}
    assert attached <= {row["job_id"] for row in ran.records["export_jobs"]}
    got = {window for window in read(ran, attached) if window[0] not in varying}
    assert got <= windows(chosen(plan, "create", "find"))
    assert {window for window in windows(chosen(plan, "create")) if window[0] not in varying} <= got
    return plan


@pytest.mark.process
@pytest.mark.parametrize("seed", SEEDS)
def test_the_run_does_what_the_plan_says(call: Caller, tmp_path: Path, seed: int) -> None:
    """As many jobs are created, for the same windows; those to attach to are read; what is spent was announced."""
    draw = Random(seed)  # noqa: S311 - a test's draw
    with Sandbox(SandboxOptions(job_seconds=0)) as box:
        followed(call, tmp_path, box, world(draw, box, tmp_path))


@pytest.mark.process
@pytest.mark.parametrize(
    ("changes", "entry", "creates"),
    [
        ({"state_mismatch": "restart"}, {"params": {"schema_id": COMPANIES_ID}}, 3),
        ({"state_mismatch": "keep"}, {"params": {"schema_id": COMPANIES_ID}}, 0),
        ({"end_date": "2024-05-15T00:00:00Z"}, {}, 2),
    ],
)
def test_settings_that_changed_since_the_run_before(
    call: Caller, tmp_path: Path, changes: Json, entry: Json, creates: int
) -> None:
    """The plan takes STATE of other settings, and ranges that moved, as the run does."""
    with Sandbox(SandboxOptions(job_seconds=0)) as box:
        before = {**declared(box, "exelensia"), "job_reuse_seconds": 0, "settling_seconds": 0}
        state = tap(tmp_path, before).succeeded().states[-1]
        (block,) = before["declared"]
        block = {**block, "exports": [{"name": "rows", "params": block["exports"][0]["params"], **entry}]}
        plan = followed(call, tmp_path, box, World({**before, **changes, "declared": [block]}, state))
    assert len(chosen(plan, "create")) == creates


def test_windows_that_vary_are_told(call: Caller, tmp_path: Path) -> None:
    """Where the run may join windows the plan is the most that is created, and says so."""
    with Sandbox(SandboxOptions(job_seconds=0)) as box:
        given = {**only(box.config("exelensia"), "exelensia"), "progress": "never", "job_reuse_seconds": 0}
        given["exelensia"]["exports"] = [{**given["exelensia"]["exports"][0]}]
        given["exelensia"]["exports"][0].pop("max_window_days")
        plan, text = call("plan", config=given), call("plan", "--format", "text", config=given).out
        tap(tmp_path, given).succeeded()
        made = created(box)
    (stream,) = [each for each in plan.data["streams"] if each["steps"][0]["action"] == "create"]
    assert stream["windows_vary"]
    assert "fewer or more jobs than shown" in text
    assert 8 < made < len(stream["steps"])
