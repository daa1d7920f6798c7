"""Every shipped declaration against the sandbox that is made from it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tap_exports.providers.declared.streams import SHIPPED
from tap_exports.sandbox import Sandbox, SandboxOptions
from tap_exports.sandbox.declared import provider_of
from tap_exports.sandbox.declared.access import KEY
from tests.tap.harness import Json, Ran, tap
from tools.markdown import part

NAMES = sorted(path.stem for path in SHIPPED.glob("*.yaml"))
SPECS = {name: yaml.safe_load((SHIPPED / f"{name}.yaml").read_text(encoding="utf-8")) for name in NAMES}
ROWS = 400


def sandbox(name: str, *, faults: Json | None = None, **options: object) -> Sandbox:
    given = {"job_seconds": 0, "knobs": {name: {"rows": ROWS}}, **options}
    return Sandbox(SandboxOptions(**given), faults=faults, providers=[provider_of(SPECS[name])])  # type: ignore[arg-type] # as given


def config(box: Sandbox, name: str, **changes: object) -> Json:
    """Return a configuration over the sandbox's 90 days of rows."""
    span = {"start_date": "2026-01-01T00:00:00Z", "end_date": "2026-03-31"}
    return {**box.config(name), **span, "progress": "never", "poll_interval_seconds": 0.05, **changes}


def landed(*runs: Ran) -> list[str]:
    """Return the rows of a stream as an upserting target holds them after some runs."""
    rows = {r["row_id"]: r for ran in runs for name, found in ran.records.items() if "_export_" in name for r in found}
    return [str((key, rows[key]["name"], str(rows[key]["amount"]))) for key in sorted(rows)]


def truth(box: Sandbox, name: str) -> list[str]:
    return [str((r["row_id"], r["name"], r["amount"])) for r in box.truth(f"{name}/rows")]


@pytest.mark.parametrize("name", NAMES)
def test_all_rows_arrive(tmp_path: Path, name: str) -> None:
    """Each once and as it is at the source; a second run of a windowed export makes no job."""
    with sandbox(name) as box:
        ran = tap(tmp_path, config(box, name)).succeeded()
        made = box.spend()[name]["jobs_created"]
        assert landed(ran) == truth(box, name)
        again = tap(tmp_path, config(box, name), state=ran.states[-1]).succeeded()
        assert landed(again) == ([] if "window" in SPECS[name] else truth(box, name))
        assert box.spend()[name]["jobs_created"] == made + ("window" not in SPECS[name])


@pytest.mark.parametrize("name", NAMES)
def test_no_secret_shows(tmp_path: Path, name: str) -> None:
    """Neither in messages nor in the log at its most talkative."""
    with sandbox(name) as box:
        ran = tap(tmp_path, config(box, name), environment={"LOGLEVEL": "DEBUG"})
        assert ran.code == 0
        assert KEY not in ran.stderr + str(ran.messages)
        assert "token=" not in ran.stderr + str(ran.states)


def test_the_page_names_what_is_shipped() -> None:
    """Each of the 20 vendors' declarations once, and no other one."""
    page = Path("docs/declare.md").read_text(encoding="utf-8")
    rows = page.partition("<!-- survey -->")[2].partition("<!-- survey end -->")[0].strip().splitlines()[2:]
    cells = [row.split("|")[2].strip() for row in rows]
    named = [cell.strip("`") for cell in cells if cell != "–"]
    own = {"exelensia_declared", "packagex_declared"}
    assert (len(cells), len(named), sorted(named)) == (24, 20, sorted(set(NAMES) - own))


def test_the_page_shows_a_proof_of_each() -> None:
    """Of all its cases, as `make prove` writes it: names, cases held, and nothing but zeros."""
    page = (Path(__file__).parents[2] / "docs" / "declare.md").read_text(encoding="utf-8")
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in part(page, "proven").splitlines()]
    head, *proven = [row for row in rows if row and row[0] != "---"]
    assert [row[0] for row in proven] == NAMES
    for row in proven:
        told = dict(zip(head, row, strict=True))
        held, _, cases = told["cases held"].partition(" of ")
        assert held == cases
        assert {told[name] for name in ("lost", "invented", "changed", "jobs twice", "secrets", "stuck")} == {"0"}
