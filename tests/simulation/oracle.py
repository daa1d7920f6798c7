"""What must hold of a history: the promises, by comparing the targets with the provider once the world is calm."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tap_exports.engine.clock import from_text
from tests.simulation.closient import Closient
from tests.simulation.cornect import Cornect
from tests.simulation.played import Finding, History, Side
from tests.simulation.target import Activation
from tests.simulation.world import Json

# A message that ends a stream must name a way out: a setting, a command, or the page of a document that has one.
WAYS_OUT = re.compile(
    r"`[a-z_.]+(: \w+)?`|`tap-exports \w+|max_credits|--force|docs/state\.md|\(operation_ids\)|on_failed_run: skip"
)
BESIDE = re.compile(r"_(errors|sanitized)$")  # files of the jobs of another stream, whose failure leaves none
# Of jobs that no further run can read, and of STATE that is about other settings.
JOBS_SAID = ("it is passed", "rows are lost", "may have vanished")
SAID = (*JOBS_SAID, "STATE was made with other settings", "windows are cut elsewhere")


def judge(history: History) -> list[Finding]:
    """Return what is wrong with a history."""
    return [finding for finding in _found(history) if finding.kind not in history.story.excused]


def _found(history: History) -> list[Finding]:
    sides = history.sides
    return [
        *_jobs(history),
        *(finding for side in sides for finding in _ends(side)),
        *(finding for side in sides for finding in _credits(history, side)),
        *(finding for side in sides for finding in side.beyond if not _is_said(side, finding.stream)),
        *(finding for side in sides for stream in history.story.streams for finding in _rows(history, side, stream)),
        *(finding for side in sides for each in side.target.activations for finding in _activated(history, side, each)),
    ]


def is_settled(history: History) -> bool:
    """Return whether no run failed and every stream of each target equals the provider: nothing more can come."""
    streams = history.story.streams
    if any(side.last.failures for side in history.sides):
        return False
    return not any(_differences(history, side, stream) for side in history.sides for stream in streams)


def look(history: History, side: Side, state: Json) -> None:
    """Hold that a target has every row that a STATE covers, at the moment when it keeps the STATE."""
    for stream in history.story.streams:
        bookmark = state.get("bookmarks", {}).get(stream, {})
        ledger = bookmark.get("ledger", {})
        reach = {"to": bookmark.get("replication_key_value"), "beyond": ledger.get("proven", [])}
        if side.looked.get(stream) == reach:
            continue
        side.looked[stream] = reach
        account = history.account
        covered = account.covered(stream, side.last.config, _Reach(reach["to"], reach["beyond"]))
        held = {account.key(stream, row) for row in side.target.rows(stream)}
        if missing := [key for key in covered if key not in held]:
            text = f"STATE of run {side.last.number} covers {len(missing)} rows that the target lacks: {missing[:4]}"
            side.beyond.append(Finding("bookmark beyond the target", stream, text))


class _Reach:
    """What a bookmark covers: instants, or numbers."""

    def __init__(self, to: str | int | None, beyond: list[list[str] | int]) -> None:
        self._to = _place(to) if to is not None else None
        self._ranges = [r if isinstance(r, int) else [_place(end) for end in r] for r in beyond]

    def __call__(self, place: float) -> bool:
        if self._to is not None and place <= self._to:
            return True
        return any(place == r if isinstance(r, int) else r[0] <= place <= r[1] for r in self._ranges)


def _place(text: str | int | None) -> float:
    if text is None:
        return float("-inf")
    return text if isinstance(text, int) else from_text(text).timestamp()


def _ends(side: Side) -> Iterator[Finding]:
    for ran in side.runs:
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


def _credits(history: History, side: Side) -> Iterator[Finding]:
    account = history.account
    lies = any(trouble.kind == "totals" for trouble in history.story.troubles)
    if not isinstance(account, Cornect) or lies:  # nothing but the total of the search tells what an export will cost
        return
    for ran in side.runs:
        cap = ran.config["cornect"]["max_credits"]
        if (spent := account.spent(ran.number)) > cap:
            yield Finding("over the cap", "", f"run {ran.number} spent {spent} credits, max_credits is {cap}")


def _differences(history: History, side: Side, stream: str) -> list[tuple[str, str]]:
    """Return kind and text of what differs between target and provider."""
    account = history.account
    due = account.expected(stream, side.last.config, side.last.began)
    rows = list(side.target.rows(stream))
    held: dict[str, Json] = {account.key(stream, row): row for row in rows}
    found = []
    if lost := sorted(due.keys() - held.keys()):
        found.append(("lost", f"{len(lost)} of {len(due)} rows are not at the target: {', '.join(lost[:4])}"))
    stale = [k for k, row in due.items() if k in held and any(held[k].get(n) != v for n, v in row.items())]
    if stale:
        found.append(("stale", f"{len(stale)} rows differ: {held[stale[0]]} for {due[stale[0]]}"[:200]))
    if len(held) < len(rows):
        found.append(("rows twice", f"{len(rows)} rows of {len(held)} keys"))
    return found


def _rows(history: History, side: Side, stream: str) -> Iterator[Finding]:
    failures = side.last.failures
    failure = failures.get(stream) or failures.get("*") or failures.get(BESIDE.sub("", stream))
    if failure and not WAYS_OUT.search(failure):
        yield Finding("stuck", stream, failure)
    for kind, text in _differences(history, side, stream):
        if not failure and not _is_said(side, stream):
            yield Finding(kind, stream, text)


def _is_said(side: Side, stream: str) -> bool:
    """Return whether the last run said that the stream is not proven, or any run what it passed or could not read."""
    lines = [line for ran in side.runs for line in (*ran.warnings, *ran.failures.values()) if stream in line]
    passed = any(words in line for line in lines for words in SAID)
    return passed or any(stream in line and "not proven" in line for line in side.last.warnings)


def _activated(history: History, side: Side, activation: Activation) -> Iterator[Finding]:
    """Hold that a version has every record that was there all the time."""
    account, stream = history.account, activation.stream
    if not isinstance(account, (Cornect, Closient)) or stream not in account.whole:
        return
    ran = next(ran for ran in side.runs if ran.number == activation.run)
    began = account.as_of(activation.rows, ran.began)
    lag = next((t.value for t in history.story.troubles if "lag" in t.kind), 0.0)
    ended = side.last.began
    if lag and any("deleted" in t.kind for t in history.story.troubles):
        return  # one record that appears and one that goes leave the total as it is; the next run reads all again
    steady = {r.id for r in account.records if r.is_there(began - lag) and r.deleted > ended}
    held = {account.record_of(row) for row in activation.rows}
    if missing := steady - held:
        text = f"run {activation.run} activated {len(steady - missing)} of {len(steady)} rows"
        yield Finding("activated too little", stream, text)
