"""The fault plan: which requests go wrong, how jobs end, and what the providers' clocks show.

A plan is a mapping (or its YAML) with up to four parts::

    faults:
    - {match: {provider: exelensia, method: POST, path: /v1/exports, nth: 1}, action: {status: 503, retry_after: 1}}
    jobs:
    - {provider: exelensia, nth: 2, outcome: fail, seconds: 10, reason: out of paper}
    clocks: {exelensia: {skew_seconds: -90, drift: 0.01}}
    random: {probability: 0.05, seed: 7, actions: [{status: 503}, {reset: true}], match: {origin: api}}

A match names any of provider, origin (`api` or `files`), method, path and query (shell patterns), and header (name to
pattern, null for "not sent"). `nth` is the first matching request that goes wrong (from 1); `times` says how many do:
one when `nth` is given, else all of them (`.inf` for all from `nth` on). Per request the first fault that applies wins;
an action that only moves a list goes along with another one.
The actions are in `effects.py`; docs/sandbox.md has examples of all of this.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any

import yaml

from tap_exports.sandbox import effects
from tap_exports.sandbox.jobs import OUTCOMES, JobPlan
from tap_exports.sandbox.lists import Memory
from tap_exports.sandbox.web import Request

Action = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Match:
    """Which requests a fault is about; an absent part matches everything."""

    provider: str = "*"
    origin: str = "*"
    method: str = "*"
    path: str = "*"
    query: str = "*"
    header: Mapping[str, str | None] = field(default_factory=dict)
    nth: int | None = None
    times: float | None = None

    def fits(self, request: Request) -> bool:
        """Return whether the request is of the kind, whatever its number."""
        query = "&".join(f"{name}={value}" for name, value in request.query)
        pairs = (
            (request.provider, self.provider),
            (request.origin, self.origin),
            (request.method, self.method),
            (request.path, self.path),
            (query, self.query),
        )
        return all(fnmatchcase(value, pattern) for value, pattern in pairs) and self._headers_fit(request)

    def due(self, number: int) -> bool:
        """Return whether the `number`-th request of the kind (from 1) goes wrong."""
        first = self.nth or 1
        times = self.times if self.times is not None else math.inf if self.nth is None else 1
        return first <= number < first + times

    def _headers_fit(self, request: Request) -> bool:
        for name, pattern in self.header.items():
            value = request.headers.get(name.lower())
            if (value is None) != (pattern is None):
                return False
            if value is not None and pattern is not None and not fnmatchcase(value, pattern):
                return False
        return True


@dataclass(frozen=True, slots=True)
class _Random:
    probability: float
    actions: tuple[Action, ...]
    seed: int = 0
    match: Match = field(default_factory=Match)

    def draw(self, number: int) -> Action | None:
        # A digest instead of a generator: the draw depends on the seed and the request's number only.
        digest = hashlib.sha256(f"{self.seed}:{number}".encode()).digest()
        if int.from_bytes(digest[:8], "big") >= self.probability * 2**64:
            return None
        return self.actions[int.from_bytes(digest[8:12], "big") % len(self.actions)]


@dataclass(frozen=True, slots=True)
class _JobRule:
    provider: str
    nth: int | None
    plan: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ClockPlan:
    """What a provider's clock shows: `Date`, and the instants at which it creates things.

    Attributes:
        skew_seconds: how far it is ahead of the sandbox's clock; negative: behind.
        drift: seconds that it gains with each second since the plan was set; negative: loses.
    """

    skew_seconds: float = 0.0
    drift: float = 0.0


class Faults:
    """The fault plan with its counters; all parts of a sandbox hold the same one."""

    def __init__(self, plan: Mapping[str, Any] | None = None) -> None:
        """Take a plan as described above.

        Raises:
            ValueError: the plan has a part, a match or an action that is not known.
        """
        self._lock = threading.Lock()
        self.set(plan)

    def set(self, plan: Mapping[str, Any] | None) -> None:
        """Replace the plan, its counters and what became of lists.

        Raises:
            ValueError: as above; the plan stays as it was.
        """
        known = _mapping(plan or {}, {"faults", "jobs", "clocks", "random"}, "fault plan")
        rules = [_rule(entry) for entry in known.get("faults") or ()]
        jobs = [_job_rule(entry) for entry in known.get("jobs") or ()]
        clocks = {name: _clock(entry) for name, entry in (known.get("clocks") or {}).items()}
        drawn = _random(known["random"]) if known.get("random") else None
        with self._lock:
            self._rules, self._jobs, self._clocks, self._random = rules, jobs, clocks, drawn
            self._since = time.monotonic()
            self._seen: Counter[object] = Counter()
            self._lists: dict[tuple[str, str], Memory] = {}

    def set_yaml(self, text: str | bytes) -> None:
        """Replace the plan by one in YAML (or JSON).

        Raises:
            ValueError: the text is not YAML, or not a plan.
        """
        try:
            plan = yaml.safe_load(text)
        except yaml.YAMLError as error:
            msg = f"fault plan is not valid YAML: {error}"
            raise ValueError(msg) from error
        self.set(plan)

    def skew(self, provider: str) -> float:
        """Return the seconds that the provider's clock is ahead now."""
        clock = self._clocks.get(provider)
        return clock.skew_seconds + clock.drift * (time.monotonic() - self._since) if clock else 0.0

    def memory(self, request: Request) -> Memory:
        """Return what became of the list that a request asks for."""
        with self._lock:
            return self._lists.setdefault((request.provider, request.path), Memory())

    def pick(self, request: Request) -> Action:
        """Return what goes wrong with this request; an empty action when nothing does."""
        with self._lock:
            due = [action for index, (match, action) in enumerate(self._rules) if self._due(index, match, request)]
            moves, others = (list(filter(is_wanted, due)) for is_wanted in (_only_moves, _does_more))
            return {**(moves or [{}])[0], **(others[0] if others else self._drawn(request) or {})}

    def job_plan(self, provider: str, default: JobPlan) -> JobPlan:
        """Return how the provider's next job goes: `default` with what the plan says about it."""
        with self._lock:
            number = self._count(("job", provider))
        rules = (rule.plan for rule in self._jobs if rule.provider == provider and rule.nth in {None, number})
        changed = {item.name: getattr(default, item.name) for item in fields(JobPlan)} | dict(next(rules, {}))
        return JobPlan(**changed)

    def _due(self, index: int, match: Match, request: Request) -> bool:
        return match.fits(request) and match.due(self._count(index))

    def _drawn(self, request: Request) -> Action | None:
        if self._random is None or not self._random.match.fits(request):
            return None
        return self._random.draw(self._count("random"))

    def _count(self, key: object) -> int:
        self._seen[key] += 1
        return self._seen[key]


def _only_moves(action: Action) -> bool:
    """Return whether an action is about lists only; it goes along with what else a request meets."""
    return effects.LISTS.keys() >= action.keys()


def _does_more(action: Action) -> bool:
    return not _only_moves(action)


def _rule(entry: object) -> tuple[Match, Action]:
    known = _mapping(entry, {"match", "action"}, "fault")
    return _match(known.get("match") or {}), _action(known.get("action"))


def _match(entry: object) -> Match:
    return Match(**_mapping(entry, {item.name for item in fields(Match)}, "match"))


def _action(entry: object) -> Action:
    return _mapping(entry, effects.NAMES, "action")


def _clock(entry: object) -> ClockPlan:
    known = _mapping(entry, {item.name for item in fields(ClockPlan)}, "clock")
    return ClockPlan(**{name: float(value) for name, value in known.items()})


def _random(entry: object) -> _Random:
    known = _mapping(entry, {"probability", "seed", "actions", "match"}, "random")
    actions = tuple(_action(action) for action in known["actions"])
    return _Random(float(known["probability"]), actions, int(known.get("seed", 0)), _match(known.get("match") or {}))


def _job_rule(entry: object) -> _JobRule:
    known = dict(_mapping(entry, {"provider", "nth", *(item.name for item in fields(JobPlan))}, "job"))
    if isinstance(known.get("outcome"), Mapping):
        known |= {"outcome": "complete", **known["outcome"]}
    if known.get("outcome", "complete") not in OUTCOMES:
        msg = f"job: unknown outcome {known['outcome']!r}"
        raise ValueError(msg)
    return _JobRule(known.pop("provider"), known.pop("nth", None), known)


def _mapping(entry: object, names: set[str] | frozenset[str], what: str) -> Mapping[str, Any]:
    if not isinstance(entry, Mapping):
        msg = f"{what} must be a mapping, not {type(entry).__name__}"
        raise ValueError(msg)  # noqa: TRY004 - one error type for all bad plans
    if unknown := sorted(set(entry) - names):
        msg = f"{what}: unknown {', '.join(map(str, unknown))}; known: {', '.join(sorted(names))}"
        raise ValueError(msg)
    return entry
