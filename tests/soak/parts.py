"""What each provider contributes to the soak: many small jobs, and what must arrive of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from tap_exports.sandbox import Sandbox
from tap_exports.sandbox.clock import iso_ms, parse_iso
from tap_exports.sandbox.ids import short
from tests.tap.harness import Json, without_lineage

Rows = dict[str, Counter[str]]
LOAD = "019760a0-0001-7000-8000-000000000009"
BEGIN, STEP = parse_iso("2025-01-15T00:00:00Z"), timedelta(milliseconds=5)
ROWS_PER_WINDOW = 10
LAG_SECONDS = 0.03
OPERATIONS = (4801, 4836, 4840)
SOFTWARE = {"countries": ["United States"], "industries": ["Application Software"]}
OF_THE_JOB = ("job_id", "created_at", "updated_at")


@dataclass(frozen=True, slots=True)
class Part:
    """One provider's part.

    Attributes:
        provider: Its name.
        share: Of all jobs.
        per_round: Jobs of one round; None: all in one round.
        config: Changes the sandbox's configuration for a number of jobs.
        truth: What must stand at the target, by stream.
        rounds_per_growth: After how many rounds there is new data.
        forgets: Whether each round begins without STATE: it would say that the configured runs are done.
        knobs: Of the sandbox.
        lags: Whether jobs are readable late: their absence then has to be borne for longer.
    """

    provider: str
    share: float
    per_round: int | None
    config: Callable[[Json, int], Json]
    truth: Callable[[Sandbox, Json], Rows]
    rounds_per_growth: int = 1
    forgets: bool = False
    knobs: Mapping[str, Any] = field(default_factory=dict)
    lags: bool = True

    def world(self) -> Json:
        """Return the parts of a fault plan that say how the provider misbehaves throughout."""
        jobs = [{"provider": self.provider, "lag_seconds": LAG_SECONDS, "replicas": 2}] if self.lags else []
        clocks = {self.provider: {"skew_seconds": 20, "drift": 0.001}}
        moves = [{"match": {"origin": "api"}, "action": {"ties": True}}]
        return {"faults": moves, "jobs": jobs, "clocks": clocks}

    def patience(self) -> Json:
        """Return the settings that jobs which lag need, in seconds of the hastened clock."""
        return {"lost_reply_search_seconds": 60, "job_grace_seconds": 60} if self.lags else {}


def as_text(rows: list[Json]) -> Counter[str]:
    """Return rows without what the job and the tap add, as text, with how often each is there."""
    bare = [{k: v for k, v in row.items() if k not in OF_THE_JOB} for row in without_lineage(rows)]
    return Counter(json.dumps(row, sort_keys=True) for row in bare)


def _windows(config: Json, jobs: int) -> Json:
    span = STEP * ROWS_PER_WINDOW
    load = {"schema_id": LOAD, "name": "load", "max_window_days": span / timedelta(days=1)}
    dates = {"start_date": iso_ms(BEGIN), "end_date": iso_ms(BEGIN + span * jobs - timedelta(milliseconds=1))}
    return {**config, **dates, "exelensia": {**config["exelensia"], "exports": [load]}}


def _load(box: Sandbox, config: Json) -> Rows:
    del config
    table = box.truth("exelensia/export", schema_id=LOAD, start_date=iso_ms(BEGIN), end_date="2026-01-01T00:00:00.000Z")
    keys = [row[table["columns"].index("record_id")] for row in table["rows"]]
    return {"exelensia_export_load": Counter(keys)}


def _runs(config: Json, jobs: int) -> Json:
    entries = [{"export_id": 459, "name": f"companies {n}"} for n in range(jobs // len(OPERATIONS))]
    return {**config, "cension": {**config["cension"], "operation_ids": list(OPERATIONS), "exports": entries}}


def _companies(box: Sandbox, config: Json) -> Rows:
    rows = [row for each in OPERATIONS for row in box.truth("cension/export/459", operationId=each)]
    return {f"cension_export_companies_{n}": as_text(rows) for n in range(len(config["cension"]["exports"]))}


def _resources(config: Json, jobs: int) -> Json:
    entries = [{"resource": "shipment", "name": f"shipments {n}"} for n in range(jobs)]
    return {**config, "packagex": {**config["packagex"], "exports": entries}}


def _shipments(box: Sandbox, config: Json) -> Rows:
    told = box._ask("GET", "/_truth/packagex/export", resource="shipment")
    ids = Counter(str(row["id"]) for row in told["rows"])
    return {f"packagex_export_shipments_{n}": ids for n in range(len(config["packagex"]["exports"]))}


def _searches(config: Json, jobs: int) -> Json:
    search = {"source_type": "search", "search_filters": SOFTWARE, "export_format": "json"}
    entries = [{"name": f"software {n}", **search} for n in range(jobs)]
    return {**config, "cornect": {**config["cornect"], "max_credits": 10_000_000, "exports": entries}}


def _software(box: Sandbox, config: Json) -> Rows:
    exports = [e["id"] for e in box.truth("cornect/exports") if "software" in e["name"]]
    ids = Counter(str(row["id"]) for row in box.truth(f"cornect/export/{exports[-1]}"))
    return {f"cornect_export_software_{n}": ids for n in range(len(config["cornect"]["exports"]))}


def _organizations(config: Json, jobs: int) -> Json:
    del jobs
    return config


def _archives(box: Sandbox, config: Json) -> Rows:
    asked = [short(UUID(i)) if "-" in i else i for i in config["closient"]["organization_ids"]]
    told = [r for each in sorted(asked) for r in box.truth("closient/records", organization_id=each)]
    return {"closient_export_records": Counter(json.dumps(row["record"], sort_keys=True) for row in told)}


PARTS = (
    Part("exelensia", 0.15, None, _windows, _load),
    Part("cension", 0.40, 90, _runs, _companies, forgets=True),
    # An absence of what costs is certain only once the grace has passed on a clock that nobody hastens.
    Part("cornect", 0.21, 70, _searches, _software, knobs={"limit_scale": 0, "balance": 1_000_000}, lags=False),
    Part("packagex", 0.20, 50, _resources, _shipments),
    Part(  # 2 MB more in an archive with each growth
        "closient", 0.04, 2, _organizations, _archives, 20, knobs={"per_minute": 10**6, "per_day": 10**9}
    ),
)
KEYS: dict[str, Callable[[Json], str]] = {
    "exelensia_export_load": lambda row: str(row["record_id"]),
    "cension_export_companies": lambda row: next(iter(as_text([row]))),
    "packagex_export_shipments": lambda row: str(row["id"]),
    "cornect_export_software": lambda row: str(row["id"]),
    "closient_export_records": lambda row: json.dumps(row["record"], sort_keys=True),
}
