"""What goes wrong: one case is a fault plan or a crash, for the first run only; the runs after it are undisturbed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import cycle
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
    """Yield the cases of a declaration: each fault, each crash point, and each fault together with a crash point.

    Args:
        spec: The declaration.
        lines: Lines that an undisturbed run writes.
        jobs: Jobs that it makes.
    """
    faults = [*_requests(spec), *_files(spec), *_jobs(spec), *_proofs(spec)]
    crashes = list(_crashes(spec, lines, jobs))
    yield from faults
    yield from crashes
    yield Case(
        "killed before the creation is answered",
        _faults(_creation(spec), slow={"delay_seconds": 2}),
        kill_after_jobs=1,
        again=_repeats(spec),
    )
    for fault, crash in zip(faults, cycle(crashes), strict=False):
        yield replace(
            fault,
            name=f"{fault.name}; {crash.name}",
            kill_at=crash.kill_at,
            kill_after_jobs=crash.kill_after_jobs,
            again=fault.again or crash.again,
        )


def _crashes(spec: Spec, lines: int, jobs: int) -> Iterator[Case]:
    for line in sorted({1, 2, lines // 4, lines // 2, 3 * lines // 4, lines - 1}):
        yield Case(f"killed at line {line} of {lines}", kill_at=line, again=_repeats(spec))
    for made in sorted({1, jobs}):
        yield Case(f"killed after job {made} was made", kill_after_jobs=made, again=_repeats(spec))


def _requests(spec: Spec) -> Iterator[Case]:
    creation = _creation(spec)
    yield Case("creation: reply lost, carried out", _faults(creation, lose_reply=True), again=_repeats(spec))
    yield Case("creation: lost, not carried out", _faults(creation, reset=True))
    yield Case("creation: 429", _faults(creation, status=429, retry_after=0))
    yield Case("creation: 503", _faults(creation, status=503, retry_after=0), again=_repeats(spec))
    yield Case("creation: a page with status 200", _faults(creation, html=True), again=_repeats(spec))
    reads = {"origin": "api", "method": "GET" if "get" in spec["poll"] or spec["poll"].get("list") else "*"}
    if reads["method"] == "GET":
        drawn: list[Plan] = [{"status": 503, "retry_after": 0}, {"reset": True}]
        again = _repeats(spec) and creation["method"] == "GET"  # the first of them may be a creation
        yield Case("reads: 503 and resets", _random(reads, drawn), again=again)
        yield Case("reads: 429", _random(reads, [{"status": 429, "retry_after": 0}]))
        yield Case("reads: a reply cut", _faults({**reads, "nth": 1}, cut_after_bytes=10), again=again)
        yield Case("reads: a page with status 200", _faults({**reads, "nth": 1}, html=True), again=again)


def _files(spec: Spec) -> Iterator[Case]:
    where = _at_files(spec)
    first = {**where, "nth": 1}
    yield Case("file: connection cut", _faults(first, cut_after_bytes=200))
    yield Case("file: 503", _faults(first, status=503, retry_after=0))
    yield Case("file: a page once", _faults(first, html=True))
    yield Case("file: a page each time", _faults(where, html=True), again=True)
    yield Case("file: one line of text once", _faults(first, status=200, body="text"))
    yield Case("file: one line of text each time", _faults(where, status=200, body="text"), again=True)
    yield Case("file: empty body once", _faults(first, status=200, body="empty"))
    if _gives_count(spec) or spec["files"].get("format") != "jsonl":  # else it is an export without rows
        yield Case("file: empty body each time", _faults(where, status=200, body="empty"), again=True)
    if _gives_count(spec):
        yield Case("file: cut without a trace", _faults(first, unframed=True, cut_after_bytes=200), again=True)
    if where["origin"] == "files":
        yield Case("file: URL expired", _faults(first, expire=True))
        yield Case(
            "file: another API's JSON error each time", _faults(where, replace={"text": '{"error": "x"}'}), again=True
        )


def _jobs(spec: Spec) -> Iterator[Case]:
    name, stuck = (
        spec["name"],
        {"hang": _names_the_same(spec) or _takes_one(spec), "an unknown status": _names_the_same(spec)},
    )
    ends: dict[str, Plan] = {each: {"outcome": each} for each in ("fail", "hang", "vanish")}
    ends["an unknown status"] = {"status": "299" if spec["job"]["status"] == "header::status" else "NEW_WORD"}
    for said, plan in ends.items():
        refused = stuck.get(said, False)
        yield Case(f"job: {said}", {"jobs": [{"provider": name, "nth": 1, **plan}]}, again=True, refused=refused)
    yield Case("job: ends late", {"jobs": [{"provider": name, "seconds": 1}]})
    yield Case("no rows at the source", knobs={"rows": 0})
    yield Case("rows that stand twice", knobs={"repeated_rows": 3})


def _proofs(spec: Spec) -> Iterator[Case]:
    if _gives_count(spec):
        for error, said in ((1, "too high"), (-1, "too low")):
            yield Case(f"count {said} by one", knobs={"count_error": error}, refused=True, again=True)
    if spec.get("proof", {}).get("sha256"):
        yield Case("a wrong checksum", knobs={"digest_error": True}, refused=True, again=True)


def _creation(spec: Spec) -> dict[str, Any]:
    """Return what matches the first creation of a job."""
    method, path = _submit(spec)
    return {"origin": "api", "method": method, "path": path, "nth": 1}


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


def _names_the_same(spec: Spec) -> bool:
    """Return whether the API answers a second request with the first one's job, in whatever state that is."""
    return any(case["means"] == "same" for case in spec["submit"].get("refusals", ()))


def _takes_one(spec: Spec) -> bool:
    """Return whether the API takes no other job while one runs."""
    return any(case["means"] == "busy" and case.get("at_most", 1) <= 1 for case in spec["submit"].get("refusals", ()))


def _gives_count(spec: Spec) -> bool:
    return bool(spec.get("proof", {}).get("rows") or spec["job"].get("rows"))


def _faults(match: Mapping[str, Any], **action: object) -> Plan:
    return {"faults": [{"match": dict(match), "action": action}]}


def _random(match: Mapping[str, Any], actions: list[Plan]) -> Plan:
    return {"random": {"probability": 0.3, "seed": 7, "match": dict(match), "actions": actions}}
