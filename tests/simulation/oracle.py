"""What must hold of a history: the promises, by comparing the target with the provider once the world is calm."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.simulation.cornect import Cornect
from tests.simulation.played import History, Ran
from tests.simulation.target import Activation
from tests.simulation.world import Json

# A message that ends a stream must name a way out: a setting, a command, or the page of a document that has one.
WAYS_OUT = re.compile(r"`[a-z_.]+(: \w+)?`|`tap-exports \w+|max_credits|--force|docs/state\.md")


@dataclass(frozen=True)
class Finding:
    """A promise that a history broke.

    Attributes:
        kind: Which, in a word or two; shrinking keeps it.
        stream: Where, or the empty text.
        text: What was seen.
    """

    kind: str
    stream: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}{f' ({self.stream})' if self.stream else ''}: {self.text}"


def judge(history: History) -> list[Finding]:
    """Return what is wrong with a history."""
    return [
        *_ends(history),
        *_jobs(history),
        *_credits(history),
        *(finding for stream in history.story.streams for finding in _rows(history, stream)),
        *(finding for activation in history.target.activations for finding in _activated(history, activation)),
    ]


def is_settled(history: History) -> bool:
    """Return whether every stream of the target equals the provider: nothing more can come."""
    return not any(_differences(history, stream) for stream in history.story.streams)


def _ends(history: History) -> Iterator[Finding]:
    for ran in history.runs:
        if ran.ending not in {"ended", "died", "was told to end"}:
            yield Finding("endless", "", f"run {ran.number} {ran.ending}")
        for stream, message in ran.failures.items():
            if "internal error" in message:
                yield Finding("internal error", stream, message)


def _jobs(history: History) -> Iterator[Finding]:
    account, config = history.account, history.story.config
    if account.twice:
        yield Finding("twice", "", f"one request, two jobs: {account.twice[0]}")
    if config["job_wait"] == "detach" and account.most_open > config["max_concurrent_jobs"]:
        limit = config["max_concurrent_jobs"]
        yield Finding("too many open", "", f"{account.most_open} jobs are open, max_concurrent_jobs is {limit}")


def _credits(history: History) -> Iterator[Finding]:
    account = history.account
    lies = any(trouble.kind == "totals" for trouble in history.story.troubles)
    if not isinstance(account, Cornect) or lies:  # nothing but the total of the search tells what an export will cost
        return
    for ran in history.runs:
        cap = ran.config["cornect"]["max_credits"]
        if (spent := account.spent(ran.number)) > cap:
            yield Finding("over the cap", "", f"run {ran.number} spent {spent} credits, max_credits is {cap}")


def _differences(history: History, stream: str) -> list[tuple[str, str]]:
    """Return kind and text of what differs between target and provider."""
    config = history.runs[-1].config
    due = history.account.expected(stream, config, history.ended)
    rows = list(history.target.rows(stream))
    key = "number" if stream == "exelensia_export_rows" else "id"
    held: dict[str, Json] = {row[key]: row for row in rows}
    found = []
    if lost := sorted(due.keys() - held.keys()):
        found.append(("lost", f"{len(lost)} of {len(due)} rows are not at the target: {', '.join(lost[:4])}"))
    stale = [k for k, row in due.items() if k in held and any(held[k].get(n) != v for n, v in row.items())]
    if stale:
        found.append(("stale", f"{len(stale)} rows differ: {held[stale[0]]} for {due[stale[0]]}"[:200]))
    if len(held) < len(rows):
        found.append(("rows twice", f"{len(rows)} rows of {len(held)} keys"))
    return found


def _rows(history: History, stream: str) -> Iterator[Finding]:
    last = history.runs[-1]
    failure = last.failures.get(stream) or last.failures.get("*")
    if failure and not WAYS_OUT.search(failure):
        yield Finding("stuck", stream, failure)
    for kind, text in _differences(history, stream):
        if not failure and not _is_said(history.runs, stream):
            yield Finding(kind, stream, text)


def _is_said(runs: Sequence[Ran], stream: str) -> bool:
    """Return whether the last run said that the stream is not proven, or any run that it passed a job of others."""
    passed = any(stream in line and "it is passed" in line for ran in runs for line in ran.warnings)
    return passed or any(stream in line and "not proven" in line for line in runs[-1].warnings)


def _activated(history: History, activation: Activation) -> Iterator[Finding]:
    """Hold that a version has every record that was there all the time."""
    rows, records = {row.get("id") for row in activation.rows}, history.account.records
    began = history.began[activation.run]
    lag = next((t.value for t in history.story.troubles if "lag" in t.kind), 0.0)
    steady = [r for r in records if r.is_there(began - lag) and r.deleted > history.ended]
    missing = [r.id for r in steady if r.id not in rows]
    if isinstance(history.account, Cornect) and missing and not _partial_by_age(activation):
        text = f"run {activation.run} activated {len(rows)} of {len(steady)} rows"
        yield Finding("activated too little", activation.stream, text)


def _partial_by_age(activation: Activation) -> bool:
    """Return whether an export may be older than its run: it was created by an earlier one."""
    return activation.stream == "cornect_export_rows"
