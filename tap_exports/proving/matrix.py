"""What goes wrong: one case is a fault plan or a crash, for the first run only; the runs after it are undisturbed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Spec = Mapping[str, Any]
Plan = dict[str, Any]
METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Case:
    """One way in which things go wrong.

    Attributes:
        name: For the table.
        plan: The fault plan of the first run.
        knobs: How the sandbox behaves in all runs.
        kill_at: The line of stdout at which the first run is killed, None for none.
        kill_after_jobs: The number of jobs made at which it is killed, None for none.
        again: Whether another job for a window is right.
        refused: Whether rows must be refused by name in every run instead of arriving.
    """

    name: str
    plan: Plan = field(default_factory=dict)
    knobs: Mapping[str, int] = field(default_factory=dict)
    kill_at: int | None = None
    kill_after_jobs: int | None = None
    again: bool = False
    refused: bool = False


def cases(spec: Spec, lines: int, jobs: int) -> Iterator[Case]:
    """Yield the cases of a declaration.

    Args:
        spec: The declaration.
        lines: Lines that an undisturbed run writes.
        jobs: Jobs that it makes.
    """
    yield from _requests(spec)
    yield from _files(spec)
    yield from _jobs(spec)
    yield Case("no rows at the source", knobs={"rows": 0})
    if _counts(spec):
        yield Case("count too high by one", knobs={"count_error": 1}, refused=True, again=True)
    for line in sorted({1, 2, lines // 4, lines // 2, 3 * lines // 4, lines - 1}):
        yield Case(f"killed at line {line} of {lines}", kill_at=line, again=_repeats(spec))
    for made in sorted({1, jobs}):
        yield Case(f"killed after job {made} was made", kill_after_jobs=made, again=_repeats(spec))


def _requests(spec: Spec) -> Iterator[Case]:
    method, path = _submit(spec)
    creation = {"origin": "api", "method": method, "path": path, "nth": 1}
    yield Case("creation: reply lost, carried out", _faults(creation, lose_reply=True), again=_repeats(spec))
    yield Case("creation: lost, not carried out", _faults(creation, reset=True))
    yield Case("creation: 429", _faults(creation, status=429, retry_after=0))
    yield Case("creation: 503", _faults(creation, status=503, retry_after=0), again=_repeats(spec))
    yield Case("creation: a page with status 200", _faults(creation, html=True), again=_repeats(spec))
    reads = {"origin": "api", "method": "GET" if "get" in spec["poll"] or spec["poll"].get("list") else "*"}
    if reads["method"] == "GET":
        yield Case("reads: 503 and resets", _random(reads, [{"status": 503, "retry_after": 0}, {"reset": True}]))
        yield Case("reads: 429", _random(reads, [{"status": 429, "retry_after": 0}]))
        yield Case("reads: a page with status 200", _faults({**reads, "nth": 1}, html=True))


def _files(spec: Spec) -> Iterator[Case]:
    where = _at_files(spec)
    first = {**where, "nth": 1}
    yield Case("file: connection cut", _faults(first, cut_after_bytes=200))
    yield Case("file: 503", _faults(first, status=503, retry_after=0))
    yield Case("file: a page once", _faults(first, html=True))
    yield Case("file: a page each time", _faults(where, html=True), again=True)
    if where["origin"] == "files":
        yield Case("file: URL expired", _faults(first, expire=True))
        yield Case("file: one line of text", _faults(where, replace={"text": "no data available\n"}), again=True)
        yield Case("file: another API's JSON error", _faults(where, replace={"text": '{"error": "x"}'}), again=True)


def _jobs(spec: Spec) -> Iterator[Case]:
    name = spec["name"]
    for outcome in ("fail", "hang", "vanish"):
        yield Case(f"job: {outcome}", {"jobs": [{"provider": name, "nth": 1, "outcome": outcome}]}, again=True)
    yield Case("job: an unknown status", {"jobs": [{"provider": name, "nth": 1, "status": "NEW_WORD"}]}, again=True)
    yield Case("job: ends late", {"jobs": [{"provider": name, "seconds": 1}]})


def _submit(spec: Spec) -> tuple[str, str]:
    method = next(method for method in METHODS if method in spec["submit"])
    return method.upper(), _pattern(spec["submit"][method])


def _at_files(spec: Spec) -> dict[str, Any]:
    path = spec["files"].get("path")
    return {"origin": "api", "method": "GET", "path": _pattern(path)} if path else {"origin": "files"}


def _pattern(path: str) -> str:
    """Return a shell pattern of a path with holes."""
    parts = path.split("{")
    return parts[0] + "".join("*" + part.partition("}")[2] for part in parts[1:])


def _repeats(spec: Spec) -> bool:
    return bool(spec.get("lost_reply") == "repeat")


def _counts(spec: Spec) -> bool:
    return bool(spec.get("proof", {}).get("rows") or spec["job"].get("rows"))


def _faults(match: Mapping[str, Any], **action: object) -> Plan:
    return {"faults": [{"match": dict(match), "action": action}]}


def _random(match: Mapping[str, Any], actions: list[Plan]) -> Plan:
    return {"random": {"probability": 0.3, "seed": 7, "match": dict(match), "actions": actions}}
