"""What a history proves: rows lost and invented, jobs made twice, secrets seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tap_exports.proving.rig import KEY, History

FAILINGS = ("lost", "invented", "changed", "twice", "secrets", "stuck")
SIGNATURES = ("token=", "X-Amz-Signature=")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the table.

    Attributes:
        case: Its name.
        lost: Rows that did not arrive, unless they are right to be refused by name.
        invented: Rows that the source does not have.
        changed: Rows that the source has with other values.
        twice: Jobs beyond one for each window, where another one was not right.
        secrets: Secrets in the output.
        stuck: 1 if the last run failed, though rows are not right to be refused.
        runs: Runs, at least one of them undisturbed.
        codes: Their exit codes.
        proof: The weakest proof of its receipts.
        said: What the last run said, where it did not end well.
    """

    case: str
    lost: int
    invented: int
    changed: int
    twice: int
    secrets: int
    stuck: int
    runs: int
    codes: tuple[int, ...]
    proof: str
    said: str

    @property
    def holds(self) -> bool:
        """Return whether nothing was lost, invented, changed, made twice or shown, and the runs came to an end."""
        return not any(getattr(self, name) for name in FAILINGS)


def judge(history: History, jobs: int) -> Verdict:
    """Return the verdict of a history.

    Args:
        history: What was played.
        jobs: Jobs of an undisturbed first run.
    """
    case, held = history.case, history.held
    shown = "".join(held.text)
    ended_well = held.codes[-1] == 0
    missing = len(history.truth.keys() - held.rows.keys())
    known = {key: row for key, row in held.rows.items() if key in history.truth}
    stopped = not ended_well and bool(held.words)
    return Verdict(
        case=case.name,
        lost=0 if case.refused and stopped else missing,
        invented=len(held.rows) - len(known),
        changed=sum(not _same(row, history.truth[key]) for key, row in known.items()),
        twice=0 if case.again else max(0, history.made - jobs),
        secrets=sum(secret in shown for secret in (KEY, *SIGNATURES)),
        stuck=int(not ended_well and not case.refused),
        runs=len(held.codes),
        codes=tuple(held.codes),
        proof=max(held.proofs, default=""),
        said=held.words if not ended_well else "",
    )


def _same(row: Mapping[str, object], source: Mapping[str, object]) -> bool:
    return all(str(row.get(column)) == str(value) for column, value in source.items())
