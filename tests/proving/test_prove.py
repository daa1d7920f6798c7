"""`tap-exports prove`: what counts as lost, invented, made twice or shown, and a few cases played for real."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tap_exports.proving import command as proving
from tap_exports.proving.matrix import Case, cases
from tap_exports.proving.rig import KEY, Held, History
from tap_exports.proving.verdict import judge

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "helpdesk.yaml"
ROW = {"row_id": "1", "name": "a", "amount": "1.10"}
OTHER = {"row_id": "2", "name": None, "amount": "2.10"}
TRUTH = {"1": ROW, "2": OTHER}


USUAL = Case("x")


def history(*rows: Mapping[str, object], case: Case = USUAL, made: int = 3, code: int = 0, **held: object) -> History:
    kept = Held(rows={str(row["row_id"]): row for row in rows}, codes=[code], **held)  # type: ignore[arg-type] # of `Held`
    return History(case, kept, TRUTH, made)


def counts(each: History) -> tuple[int, int, int, int]:
    found = judge(each, jobs=3)
    return found.lost, found.invented, found.twice, found.secrets


@pytest.mark.parametrize(
    ("each", "expected"),
    [
        (history(ROW, OTHER), (0, 0, 0, 0)),
        (history(ROW), (1, 0, 0, 0)),
        (history(ROW, OTHER, {"row_id": "3"}), (0, 1, 0, 0)),
        (history(ROW, {**OTHER, "name": ""}), (0, 1, 0, 0)),
        (history(ROW, OTHER, made=4), (0, 0, 1, 0)),
        (history(ROW, OTHER, made=4, case=Case("x", again=True)), (0, 0, 0, 0)),
        (history(ROW, OTHER, text=[f"key {KEY}"]), (0, 0, 0, 1)),
        (history(ROW, OTHER, text=["https://f.example/a?token=1"]), (0, 0, 0, 1)),
        (history(code=1, words="it says why", case=Case("x", refused=True)), (0, 0, 0, 0)),
        (history(case=Case("x", refused=True)), (2, 0, 0, 0)),  # refused by name, or it is lost
        (history(code=1, words="it says why"), (2, 0, 0, 0)),
    ],
)
def test_verdicts(each: History, expected: tuple[int, int, int, int]) -> None:
    """Rows lost, rows invented, jobs made twice, secrets seen."""
    assert counts(each) == expected
    assert judge(each, jobs=3).holds == (expected == (0, 0, 0, 0))


@pytest.mark.process
def test_cases_are_played_and_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A fault, a job that fails and a kill, in sandboxes of their own."""
    wanted = {"creation: reply lost, carried out", "job: fail", "killed after job 1 was made"}

    def some(*arguments: object) -> list[Case]:
        return [case for case in cases(*arguments) if case.name in wanted]  # type: ignore[arg-type] # as given

    monkeypatch.setattr(proving, "cases", some)
    assert proving.prove(EXAMPLE, 20, 2, "json") == 0
    told = json.loads(capsys.readouterr().out)
    assert {each["case"] for each in told} == {"undisturbed", *wanted}
    assert {(each["lost"], each["invented"], each["twice"], each["secrets"]) for each in told} == {(0, 0, 0, 0)}
    assert {each["proof"] for each in told} == {"A"}
