"""A creation whose reply is lost, and two taps on one account."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tap_exports.engine.ledger import CLOSED_KEPT
from tap_exports.sandbox.web import Response, Wire
from tests.crash.conftest import Calm
from tests.crash.drill import CALL_FOR_HELP, asked_for, tell
from tests.crash.points import signature
from tests.crash.scenarios import SCENARIOS, Scenario
from tests.crash.verdict import faults_of
from tests.crash.victim import Nursery
from tests.crash.watched import Garble
from tests.tap.harness import Json, Ran, arguments_of, without_lineage

TIMEOUT_SECONDS = 3
LOSSES: dict[str, Callable[[Response], Response]] = {
    "dropped": lambda reply: replace(reply, wire=Wire(drop="close")),
    "timeout": lambda reply: replace(reply, wire=Wire(delay_seconds=2 * TIMEOUT_SECONDS)),
    "moved": lambda _reply: Response(302, b"", (("Location", "/elsewhere"),)),
    "502": lambda _reply: Response(502, b"<html>Bad Gateway</html>", (("Content-Type", "text/html"),)),
}


def first_creation_lost(scenario: Scenario, loss: str, *, handled: bool) -> Garble:
    """Return what loses the reply to the first creation, which the provider has carried out or never seen."""
    method, path = scenario.creation
    left = [1]

    def garble(what: str, respond: Callable[[], Response]) -> Response:
        creates = what.startswith(signature("api", method, path)) and not what.endswith("/download")
        if not creates or not left:
            return respond()
        left.clear()
        return LOSSES[loss](respond() if handled else Response())

    return garble


@pytest.mark.parametrize("handled", [True, False], ids=["carried_out", "never_seen"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("provider", SCENARIOS)
def test_lost_reply(provider: str, loss: str, handled: bool, calm: Calm, nursery: Nursery) -> None:  # noqa: FBT001 - a parameter of the test
    """The job is found and adopted, or created again where there surely is none or where it costs nothing (P2).

    Cension cannot tell: the stream stops and asks, and goes on once a person has answered. Where a job costs credits,
    its absence is certain only in a later run.
    """
    scenario = SCENARIOS[provider]
    garble = first_creation_lost(scenario, loss, handled=handled)
    story = tell(scenario, (), nursery, garble, request_timeout_seconds=TIMEOUT_SECONDS)
    if scenario.is_free and handled:
        story.allowed[next(asked for asked, number in story.created.items() if number > 1)] += 1
    assert faults_of(story, calm.story(provider)) == []
    asks = [ran.code == 1 and CALL_FOR_HELP in ran.errors[0] for ran in story.runs]
    assert asks == ([True, False] if provider == "cension" or (provider == "cornect" and not handled) else [False])


@pytest.mark.parametrize("handled", [True, False], ids=["carried_out", "never_seen"])
def test_a_lost_full_export_is_none_of_those_before(handled: bool, nursery: Nursery) -> None:  # noqa: FBT001 - a parameter of the test
    """Runs in quick succession ask for the same; the first one's export, the only one charged, would bring old rows."""
    scenario = SCENARIOS["cornect"]
    with scenario.sandbox() as box:
        config = scenario.config(box)
        export = {"source_type": "search", "search_filters": {"countries": ["United States"]}, "export_format": "json"}
        config["cornect"]["exports"] = [{**export, "name": "again"}]
        states: list[Json] = [{"bookmarks": {}}]
        for _ in range(CLOSED_KEPT + 1):
            states += nursery.start(arguments_of(nursery.folder, config, state=states[-1])).wait().succeeded().states
        grown = [company["id"] for company in box.grow()["cornect"]["companies"]]
        box.garble = first_creation_lost(scenario, "dropped", handled=handled)
        # An export without a charge leaves no trace: whether there is one, only the next run knows.
        ran = nursery.start(arguments_of(nursery.folder, config, state=states[-1])).wait()
        assert (ran.code, "looking for the job" in ran.stderr) == (1, True)
        ran = nursery.start(arguments_of(nursery.folder, config, state=ran.states[-1])).wait().succeeded()
    assert {row["id"] for row in ran.records["cornect_export_again"]} >= set(grown)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[list[Nursery]]:
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    with Nursery(folders[0]) as one, Nursery(folders[1]) as other:
        yield [one, other]


@pytest.mark.parametrize("provider", ["exelensia", "packagex", "cornect", "closient"])
def test_two_taps_on_one_account(provider: str, two: list[Nursery]) -> None:
    """Each reads its own jobs: none is adopted of which its own ledger knows nothing, though both ask for the same."""
    one, other, created = at_once(provider, two, {"job_reuse_seconds": 0})
    mine, theirs = jobs_of(one), jobs_of(other)
    assert mine
    assert mine & theirs == set()
    assert {created.count(asked) for asked in created} == {2}
    assert sorted(one.records) == sorted(other.records)


@pytest.mark.parametrize("provider", ["exelensia", "packagex", "cornect"])
def test_two_taps_without_state_may_share_jobs(provider: str, two: list[Nursery]) -> None:
    """A job that one finds in its first run, made by the other, gives both the same rows; none is made three times."""
    one, other, created = at_once(provider, two, {})
    assert {created.count(asked) for asked in created} <= {1, 2}
    exported = [stream for stream in one.records if f"{provider}_export_" in stream]
    assert exported
    assert {s: rows_of(one, s) for s in exported} == {s: rows_of(other, s) for s in exported}


def rows_of(ran: Ran, stream: str) -> list[str]:
    return sorted(json.dumps(row) for row in without_lineage(ran.records[stream]))


def at_once(provider: str, two: list[Nursery], changes: Json) -> tuple[Ran, Ran, list[str]]:
    """Run two taps at the same time; return what they wrote, and what was asked for in each creation."""
    scenario = SCENARIOS[provider]
    with scenario.sandbox(job_polls=None, job_seconds=1) as box:
        config = {**scenario.config(box), **changes}
        victims = [nursery.start(arguments_of(nursery.folder, config)) for nursery in two]
        one, other = (victim.wait().succeeded() for victim in victims)
        return one, other, [asked_for(entry) for entry in scenario.creations(box)]


def jobs_of(ran: Ran) -> set[str]:
    """Return the jobs that a run created."""
    return {record["job_id"] for record in ran.records["export_jobs"] if record["attempts"]}
