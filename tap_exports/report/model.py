"""The values of a run report; all texts in them are free of secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tap_exports.engine.activity import Phase, Span
from tap_exports.engine.secrets import json_line

SLOWEST = 5


@dataclass(frozen=True, slots=True)
class StreamLine:
    """One selected stream.

    Attributes:
        name: The stream's name.
        outcome: `complete`, `failed`, `open` (jobs are left to the next run) or `not run`.
        rows: Rows written.
        rejects: Rows rejected.
        bytes: Bytes downloaded.
        seconds: Spent on its turn.
        bookmark: Where the next run begins, or None.
        reason: Why it failed, and what to do.
    """

    name: str
    outcome: str
    rows: int = 0
    rejects: int = 0
    bytes: int = 0
    seconds: float = 0.0
    bookmark: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class JobLine:
    """One job that the run created, re-attached to or read.

    Attributes:
        provider: Its provider.
        stream: The stream that its rows went to.
        job_id: The provider's id, None where its creation was not answered.
        window: Its window as text, or None.
        status: How it ended, or the provider's word for how it stands.
        rows: Rows written.
        rejects: Rows rejected.
        bytes: Bytes downloaded.
        credits: What its creation cost, or None.
        reason: Why it failed.
        spans: Its phases, in seconds since the run began.
    """

    provider: str
    stream: str
    job_id: str | None
    window: str | None
    status: str
    rows: int = 0
    rejects: int = 0
    bytes: int = 0
    credits: int | None = None
    reason: str | None = None
    spans: tuple[Span, ...] = ()

    def seconds_in(self, phase: Phase) -> float:
        """Return how long it was in a phase."""
        return sum((span.ended or span.began) - span.began for span in self.spans if span.phase is phase)


@dataclass(frozen=True, slots=True)
class OpenWindow:
    """A window that is asked for and not proven: its stream, itself, its job, and why it is open."""

    stream: str
    window: str | None
    job_id: str | None
    why: str


@dataclass(frozen=True, slots=True)
class ProviderLine:
    """What a provider, or a host of files, cost.

    Attributes:
        name: The provider, or the host.
        credits: Credits that its jobs were charged.
        retries: Repeated requests.
        retry_seconds: Seconds of waiting before them.
        throttled_seconds: Those of them that follow a 429.
        requests: Requests to its API that got a reply; none are counted for a host of files.
        request_seconds: From sending each to the end of its reply.
    """

    name: str
    credits: int = 0
    retries: int = 0
    retry_seconds: float = 0.0
    throttled_seconds: float = 0.0
    requests: int = 0
    request_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run.

    Attributes:
        version: Version of the tap.
        began_at: When it began, ISO 8601 in UTC.
        seconds: How long it took.
        exit_code: As the process returns it.
        ending: In words.
        streams: In the order of their turns.
        jobs: By stream and window.
        windows: Those that are open.
        providers: By name.
        advice: What to do next, in order.
    """

    version: str
    began_at: str
    seconds: float
    exit_code: int
    ending: str
    streams: tuple[StreamLine, ...] = ()
    jobs: tuple[JobLine, ...] = ()
    windows: tuple[OpenWindow, ...] = ()
    providers: tuple[ProviderLine, ...] = ()
    advice: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Return the rows of all streams."""
        return sum(stream.rows for stream in self.streams)

    @property
    def slowest(self) -> list[tuple[float, Phase, JobLine]]:
        """Return the longest phases of jobs, longest first: seconds, phase and job."""
        found = [(job.seconds_in(phase), phase, job) for job in self.jobs for phase in Phase]
        found = [each for each in found if each[0] > 0]
        return sorted(found, key=lambda each: -each[0])[:SLOWEST]

    def to_json(self) -> str:
        """Return the report as one line of JSON."""
        return json_line(self.to_fields())

    def to_fields(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {"run_report": _plain(asdict(self))}


def _plain(value: Any) -> Any:  # noqa: ANN401 - any value of a report
    """Return a value as JSON takes it: phases by name, seconds to the millisecond, without what is not set."""
    if isinstance(value, Phase):
        return value.value
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items() if each is not None}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value
