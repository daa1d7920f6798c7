"""The main job at each provider, small enough to be struck at every point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from tap_exports.engine.model import Request
from tap_exports.providers.declared.streams import SHIPPED
from tap_exports.sandbox import SandboxOptions
from tap_exports.sandbox.declared import provider_of
from tests.crash.watched import Watched
from tests.tap.harness import Json

BEGIN = {"endpoint": "vertical/create", "body": {"feedId": 123, "projectId": 456, "fieldContextId": 1, "count": 5}}
ROWS = 40  # of a declared provider
FIRST_BEGUN = 4843  # the sandbox's next run
# What no run of the same data repeats: ids of jobs, instants of the sandbox's clock and of the tap's own,
# and the size of an archive, which holds instants.
OF_THE_RUN = frozenset({"_sdc_job_id", "job_id", "requested_at"})
# The order of these rows is not documented.
OF_PAGES = dict.fromkeys(("cension_export_companies", "cension_query_recent"), frozenset({"_sdc_row"}))
CLOCKED = {
    "packagex_exports": frozenset({"created_at", "updated_at"}),
    "cornect_exports": frozenset({"created_at", "completed_at"}),
    "cornect_credit_transactions": frozenset({"created_at"}),
    "cornect_credits": frozenset({"balance"}),  # a snapshot; what is spent is held against the provider's own account
    "closient_exports": frozenset({"expires_at", "output_filename", "file_size_bytes"}),
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One provider's part.

    Attributes:
        provider: Its name.
        creation: Method and path (a prefix) of the request that creates.
        repeats: Whether a later run asks for a proven job's rows anew: full exports, and runs that the tap begins.
        is_free: Whether a creation without a reply is repeated, since it costs nothing.
        fingerprint: Returns the fingerprint of a logged creation; None where the ledger holds one job only.
        block: Changes to the sandbox's own configuration of the provider.
        knobs: Of the sandbox.
    """

    provider: str
    creation: tuple[str, str]
    repeats: bool = False
    is_free: bool = False
    fingerprint: Callable[[Json], str | None] = lambda _entry: None
    block: Callable[[Json], Json] = dict
    knobs: Mapping[str, Any] = field(default_factory=dict)

    def sandbox(self, faults: Mapping[str, Any] | None = None, **options: Any) -> Watched:  # noqa: ANN401 - those of SandboxOptions
        """Return a sandbox whose jobs are seen running once."""
        given = {"job_polls": 2, **options}
        given["knobs"] = {self.provider: {**self.knobs, **options.get("knobs", {})}}
        return Watched(SandboxOptions(**given), faults=faults)

    def config(self, box: Watched) -> Json:
        """Return a configuration that asks for the same windows at any time."""
        whole = box.config(self.provider)
        whole[self.provider] = self.block(whole[self.provider])
        dates = {"start_date": "2020-01-01T00:00:00Z", "end_date": "2026-09-01T00:00:00Z"}
        soon = {"poll_interval_seconds": 0.05, "lost_reply_search_seconds": 1, "job_grace_seconds": 0}
        return {**whole, **dates, **soon, "settling_seconds": 1, "progress": "never"}

    def creations(self, box: Watched) -> list[Json]:
        """Return the creations that the provider has carried out, whether or not anybody heard of it."""
        method, path = self.creation
        return [
            entry
            for entry in box.requests()
            if entry["method"] == method
            and entry["path"].startswith(path)
            and not entry["path"].endswith("/download")
            and (entry["status"] in {200, 201} or entry["fault"] in {"lose_reply", "odd_status"})
        ]

    def clean(self, stream: str, record: Json) -> Json | None:
        """Return a row without what differs from run to run; None leaves it out."""
        begun = max(record.get("_sdc_operation_id", 0), record.get("operationId", 0) + 1)
        if stream == "export_jobs" or begun > FIRST_BEGUN:
            return None
        dropped = OF_THE_RUN | CLOCKED.get(stream, frozenset()) | OF_PAGES.get(stream, frozenset())
        return {name: value for name, value in record.items() if name not in dropped}


def _begun(block: Json) -> Json:
    return {**block, "exports": [{**block["exports"][0], "start": BEGIN}]}


def _two_windows(block: Json) -> Json:
    """Return two windows of invoices, deleted once loaded, and one of each other export."""
    invoices, *others = ({**entry, "max_window_days": 10_000} for entry in block["exports"])
    return {**block, "exports": [{**invoices, "max_window_days": 1500, "delete_after_load": True}, *others]}


def _named(entry: Json) -> str:
    return str(entry["body_json"]["name"]).split()[-1]


def _of_organization(entry: Json) -> str:
    params = {"organization_id": entry["path"].rpartition("/")[2], **entry["query"]}
    return Request("closient", "closient_exports", params).fingerprint


@dataclass(frozen=True, slots=True)
class DeclaredScenario(Scenario):
    """A shipped declaration's part, at the sandbox that is made from it."""

    def sandbox(self, faults: Mapping[str, Any] | None = None, **options: Any) -> Watched:  # noqa: ANN401 - as above
        """Return a sandbox whose jobs are seen running once."""
        spec = yaml.safe_load((SHIPPED / f"{self.provider}.yaml").read_text(encoding="utf-8"))
        knobs = {self.provider: {"rows": ROWS, "page_rows": ROWS // 8, **options.pop("knobs", {})}}
        given = {"job_polls": 2, **options, "knobs": knobs}
        return Watched(SandboxOptions(**given), faults=faults, providers=[provider_of(spec)])

    def config(self, box: Watched) -> Json:
        """Return a configuration that asks for the same windows at any time."""
        dates = {"start_date": "2026-01-01T00:00:00Z", "end_date": "2026-03-31"}
        soon = {"poll_interval_seconds": 0.05, "lost_reply_search_seconds": 1, "job_grace_seconds": 0}
        return {**box.config(self.provider), **dates, **soon, "settling_seconds": 1, "progress": "never"}


SCENARIOS = {
    scenario.provider: scenario
    for scenario in (
        Scenario("cension", ("POST", "/api/vertical/create"), repeats=True, block=_begun),
        Scenario("exelensia", ("POST", "/v1/exports"), block=_two_windows),
        Scenario("packagex", ("POST", "/v1/exports")),
        Scenario("cornect", ("POST", "/api/v1/exports"), repeats=True, fingerprint=_named, knobs={"limit_scale": 0}),
        Scenario(
            "closient",
            ("POST", "/dashboard/api/v1/data-export/"),
            repeats=True,
            is_free=True,
            fingerprint=_of_organization,
        ),
    )
}
DECLARED = {
    scenario.provider: scenario
    for scenario in (
        DeclaredScenario("exelensia_declared", ("POST", "/v1/exports")),
        DeclaredScenario("stripe", ("POST", "/v2/data/report_runs")),
        DeclaredScenario("salesforce", ("POST", "/services/data/v66.0/jobs/query"), is_free=True),
    )
}
ALL: Mapping[str, Scenario] = {**SCENARIOS, **DECLARED}
