"""The loader for production: `meltano run` into a PostgreSQL server that the test starts on loopback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.demo import landed
from tools.demo.compare import Comparison, Loader, Verdict
from tools.demo.environments import ROOT, Environments
from tools.demo.project import Project
from tools.demo.source import Source, sandbox
from tools.demo.truth import Jobs, truths
from tools.loader_proof.postgres import server

LOADER = "target-postgres"
# One with lists and files, one with runs by number, one whose streams are all full tables.
PROVIDERS = ("exelensia", "cension", "closient")
# Meltano and the loader are kept here, as those of `make demo` are; the first call installs them.
ENVIRONMENTS = Environments(ROOT / ".demo")
TAP = Path(sys.executable).parent
"""Where the programs of the tap under test are."""


@pytest.fixture(scope="module")
def project() -> Project:
    """Return a Meltano project with the loader installed."""
    ENVIRONMENTS.install("meltano", LOADER)
    made = Project(ENVIRONMENTS, TAP, "postgres")
    made.define(LOADER)
    return made


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Source]:
    """Run a sandbox."""
    with sandbox(TAP, tmp_path / "config.json", tmp_path / "sandbox.log", *PROVIDERS) as running:
        yield running


def load(project: Project, source: Source, url: str, state: Path) -> dict[str, landed.Table]:
    """Load all providers and return what stands in the database then."""
    environment = {
        **source.environment(),
        "EXPORTS_POSTGRES_URL": url.replace("postgresql://", "postgresql+psycopg://"),
        "MELTANO_DATABASE_URI": f"sqlite:///{state}",
    }
    tasks = [word for name in source.providers for word in (f"tap-exports-{name}", LOADER)]
    project.run("postgres", tasks, environment)
    return landed.read(landed.POSTGRES, ENVIRONMENTS.programs(LOADER) / "python", url, "exports")


@pytest.mark.timeout(900)
def test_every_value_lands_in_postgres(tmp_path: Path, project: Project, source: Source) -> None:
    """Rows and values equal the source after each of two runs, '' and null told apart, and old full reads are gone."""
    comparison, jobs = Comparison(Loader()), Jobs()

    def loaded() -> dict[str, Verdict]:
        jobs.look(source)
        tables = load(project, source, url, tmp_path / "meltano.db")
        return {each.stream: each for each in comparison.judge(list(truths(source, jobs)), tables)}

    with server() as url:
        assert different(loaded()) == {}
        source.grow()
        verdicts = loaded()
        assert different(verdicts) == {}
    assert {name: counts(verdicts[name]) for name in EXPECTED} == EXPECTED


def different(verdicts: dict[str, Verdict]) -> dict[str, tuple[str, ...]]:
    """Return what differs, by stream."""
    return {name: each.differences for name, each in verdicts.items() if each.count}


def counts(verdict: Verdict) -> tuple[int, int, int]:
    """Return rows at the source, rows loaded, and how many of them the second run brought."""
    return verdict.source, verdict.loaded, verdict.new


EXPECTED = {
    "cension_export_companies": (205, 205, 5),
    "cension_query_recent": (252, 252, 2),
    "closient_export_records": (53, 53, 53),
    "exelensia_export_invoices": (43, 43, 3),
    "exelensia_export_invoice_lines": (63, 63, 3),
    "exelensia_results": (546, 546, 3),
}
