"""What a history proves: rows lost and invented, jobs made twice, secrets seen."""

from __future__ import annotations

from dataclasses import dataclass

from tap_exports.proving.rig import KEY, History

SIGNATURES = ("token=", "X-Amz-Signature=")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the table.

    Attributes:
        case: Its name.
        lost: Rows that did not arrive, though the last run ended well.
        invented: Rows that the source does not have, or has with other values.
        twice: Jobs beyond one for each window, where another one was not right.
        secrets: Secrets in the output.
        runs: Runs until everything was there.
        proof: The weakest proof of its receipts.
        said: What the last run said, where it did not end well.
    """

    case: str
    lost: int
    invented: int
    twice: int
    secrets: int
    runs: int
    proof: str
    said: str

    @property
    def holds(self) -> bool:
        """Return whether nothing was lost, invented, made twice or shown."""
        return not (self.lost or self.invented or self.twice or self.secrets)


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
    wrong = sum(not _same(row, history.truth.get(key)) for key, row in held.rows.items())
    stopped = not ended_well and bool(held.words)
    return Verdict(
        case=case.name,
        lost=0 if case.refused and stopped else missing,
        invented=wrong,
        twice=0 if case.again else max(0, history.made - jobs),
        secrets=sum(secret in shown for secret in (KEY, *SIGNATURES)),
        runs=len(held.codes),
        proof=max(held.proofs, default=""),
        said=held.words.rpartition("|")[2].strip() if not ended_well else "",
    )


def _same(row: dict[str, object], source: dict[str, object] | None) -> bool:
    return source is not None and all(str(row.get(column)) == str(value) for column, value in source.items())
