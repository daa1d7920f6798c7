"""What the jobs of a run do and did, and what held the run up: for the log, the progress display and the run report.

Workers and the main thread note what happens; nothing in the engine reads it to decide anything.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum

from tap_exports.engine.clock import Clock, SystemClock
from tap_exports.engine.fields import of_request, window_text
from tap_exports.engine.model import Job, Receipt, Request, Status

LOGGER = logging.getLogger("tap-exports.jobs")
MOST_TRACKS = 1_000
WORTH_A_LINE_SECONDS = 2.0  # of waiting: changes that come sooner are logged at DEBUG, the next line says more
_Key = tuple[str, str]  # stream and fingerprint


class Phase(Enum):
    """What a job is doing, in the order of its life."""

    QUEUED = "queued"
    RUNNING = "running"
    DOWNLOADING = "downloading"
    READING = "reading"


@dataclass(frozen=True, slots=True)
class Span:
    """A phase of a job; seconds since the run began, `ended` None while it lasts."""

    phase: Phase
    began: float
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class Track:
    """One job of this run.

    Attributes:
        provider: Its provider.
        stream: The stream that asked for it.
        window: Its window as text, or None for a full export.
        fingerprint: Digest of its request.
        job_id: The provider's id, None before its creation was answered.
        word: The provider's own word for its status.
        share: How much of it is done, 0 to 1, where the provider says so.
        spans: Its phases so far.
        usual: Seconds that the last job of the stream that ended took, or None.
        since: When it was created or re-attached to, in seconds since the run began; None while it waits for a slot.
    """

    provider: str
    stream: str
    window: str | None
    fingerprint: str
    job_id: str | None = None
    word: str = ""
    share: float | None = None
    spans: tuple[Span, ...] = ()
    usual: float | None = None
    since: float | None = None

    def waited(self, now: float) -> float:
        """Return the seconds that were waited for the job by now; before its creation, those in line for a slot."""
        if self.since is not None:
            return now - self.since
        return now - next((span.began for span in reversed(self.spans) if span.phase is Phase.QUEUED), now)

    @property
    def is_running(self) -> bool:
        """Return whether the provider works on the job."""
        return self.waits_in is not None and self.waits_in.phase is Phase.RUNNING

    @property
    def waits_in(self) -> Span | None:
        """Return the phase at the provider that has not ended, or None."""
        last = self.spans[-1] if self.spans else None
        return last if last and last.ended is None and last.phase in {Phase.QUEUED, Phase.RUNNING} else None


@dataclass(slots=True)
class Delays:
    """What requests and faults cost at one provider, or faults at a host of files.

    Attributes:
        requests: Requests to the API that got a reply, whatever its status.
        request_seconds: From sending each to the end of its reply.
        retries: Requests that were repeated.
        seconds: Waited before them.
        throttled_seconds: Those of them that follow a 429.
    """

    requests: int = 0
    request_seconds: float = 0.0
    retries: int = 0
    seconds: float = 0.0
    throttled_seconds: float = 0.0


@dataclass(slots=True)
class _Seen:
    tracks: dict[_Key, Track] = field(default_factory=dict)
    over: dict[_Key, None] = field(default_factory=dict)  # those that wait for nothing, in the order of their ends
    usual: dict[str, float] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    delays: dict[str, Delays] = field(default_factory=dict)


class Activity:
    """Notes of one run; safe to share between threads.

    Args:
        clock: Measures.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        """Begin with nothing noted."""
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._seen = _Seen()
        self._receipts: deque[Receipt] = deque(maxlen=MOST_TRACKS)
        self.began_at = self._clock.now()
        self._began = self._clock.monotonic()

    @property
    def seconds(self) -> float:
        """Return the seconds since the run began."""
        return self._clock.monotonic() - self._began

    # Jobs

    def asked(self, request: Request, job_id: str | None = None) -> None:
        """Note that a job is about to be created, or is waited for again."""
        with self._lock:
            track = self._track(request)
            now = self.seconds
            spans = (*_ended(track.spans, now), Span(Phase.QUEUED, now))
            since = now if job_id else None
            self._put(replace(track, job_id=job_id, word="", share=None, spans=spans, since=since))

    def created(self, request: Request, job: Job) -> None:
        """Note the job that a request got."""
        with self._lock:
            track, share = self._track(request), _share(job)
            self._put(replace(track, job_id=job.id, word=job.raw_status, share=share, since=self.seconds))

    def polled(self, request: Request, job: Job) -> None:
        """Note how a job stands, and log a change of its status."""
        with self._lock:
            track = self._track(request)
            before, waited = track.word, track.waited(self.seconds)
            self._put(self._moved(replace(track, job_id=job.id, word=job.raw_status, share=_share(job)), job.status))
        if before != job.raw_status:
            LOGGER.log(
                logging.INFO if waited >= WORTH_A_LINE_SECONDS else logging.DEBUG,
                "%s: job %s is %s after %s",
                request.stream,
                job.id,
                job.raw_status,
                span_text(waited),
                extra=of_request(request, job.id),
            )

    def left(self, request: Request) -> None:
        """Note that a job is no longer waited for, whatever became of it."""
        with self._lock:
            track = self._track(request)
            self._put(replace(track, spans=_ended(track.spans, self.seconds)))

    @contextmanager
    def downloading(self, request: Request) -> Iterator[None]:
        """Note that a file of a job is downloaded within the context."""
        began = self.seconds
        try:
            yield
        finally:
            self._add(request.stream, request.fingerprint, Span(Phase.DOWNLOADING, began, self.seconds))

    def read(self, receipt: Receipt) -> None:
        """Note that a job was read or ended otherwise, by its receipt."""
        self._receipts.append(receipt)
        if receipt.read_seconds:
            now = self.seconds
            span = Span(Phase.READING, max(0.0, now - receipt.read_seconds), now)
            self._add(receipt.stream, receipt.fingerprint, span)

    def receipts(self) -> list[Receipt]:
        """Return the most recent receipts, in order."""
        return list(self._receipts)

    def tracks(self) -> list[Track]:
        """Return all jobs, by stream, window and fingerprint."""
        with self._lock:
            usual = self._seen.usual
            known = [replace(track, usual=usual.get(track.stream)) for track in self._seen.tracks.values()]
        return sorted(known, key=lambda t: (t.stream, t.window or "", t.fingerprint))

    def _add(self, stream: str, fingerprint: str, span: Span) -> None:
        with self._lock:
            if track := self._seen.tracks.get((stream, fingerprint)):
                self._put(replace(track, spans=(*track.spans, span)))

    def _moved(self, track: Track, status: Status) -> Track:
        now = self.seconds
        if status.is_terminal:
            if not track.waits_in:
                return track
            self._seen.usual[track.stream] = track.waited(now)
            return replace(track, spans=_ended(track.spans, now))
        waits = track.waits_in
        if status is Status.PENDING or (waits and waits.phase is Phase.RUNNING):
            return track
        return replace(track, spans=(*_ended(track.spans, now), Span(Phase.RUNNING, now)))

    def _track(self, request: Request) -> Track:
        new = Track(request.provider, request.stream, window_text(request), request.fingerprint)
        return self._seen.tracks.get((request.stream, request.fingerprint), new)

    def _put(self, track: Track) -> None:
        tracks, over, key = self._seen.tracks, self._seen.over, (track.stream, track.fingerprint)
        tracks[key] = track
        if track.waits_in:
            over.pop(key, None)
        else:
            over[key] = None
        while len(tracks) > MOST_TRACKS and over:  # memory must not grow with the number of jobs
            oldest = next(iter(over))
            del over[oldest], tracks[oldest]

    # Rows and faults

    def wrote(self, stream: str, rows: int) -> None:
        """Note rows that were written."""
        with self._lock:
            self._seen.rows[stream] = self._seen.rows.get(stream, 0) + rows

    def rows(self) -> dict[str, int]:
        """Return the rows written so far, by stream in the order in which they began."""
        with self._lock:
            return dict(self._seen.rows)

    def replied(self, provider: str, seconds: float) -> None:
        """Note that a request to an API got a reply after so many seconds."""
        with self._lock:
            delays = self._seen.delays.setdefault(provider, Delays())
            delays.requests += 1
            delays.request_seconds += seconds

    def retried(self, where: str, seconds: float, *, throttled: bool = False) -> None:
        """Note that a request is repeated after a wait; `where` is its provider, or the host of a file."""
        with self._lock:
            delays = self._seen.delays.setdefault(where, Delays())
            delays.retries += 1
            delays.seconds += seconds
            delays.throttled_seconds += seconds if throttled else 0.0

    def delays(self) -> dict[str, Delays]:
        """Return what requests and faults cost, by provider or host."""
        with self._lock:
            return {where: replace(delays) for where, delays in sorted(self._seen.delays.items())}

    # Waiting

    def waiting(self) -> str:
        """Return what the run waits for on one line, such as `2 jobs: …138 processing 40 %, 3 min; 1 queued`.

        Where none runs, those that the provider has queued are named, so that a wait always says which job it is for.
        """
        now, waits = self.seconds, self.waits()
        running = [track for track in waits if track.is_running]
        named = (running or [track for track in waits if track.job_id])[:MOST_NAMED]
        parts = [_line(track, now) for track in named]
        if more := len(running) - len(named) if running else 0:
            parts.append(f"{more} more running")
        if queued := len(waits) - max(len(running), len(named)):
            parts.append(f"{queued} queued")
        return f"{counted(len(waits), 'job')}: {'; '.join(parts)}" if waits else ""

    def waits(self) -> list[Track]:
        """Return the jobs that are waited for: those that run, those that the provider has queued, those in line."""
        waits = [track for track in self.tracks() if track.waits_in]
        return sorted(waits, key=lambda track: (not track.is_running, track.job_id is None))


MOST_NAMED = 5
_SHOWN_CHARACTERS = 3  # of an id: its end tells jobs apart, ids that are ordered by time begin alike


def _line(track: Track, now: float) -> str:
    return f"…{(track.job_id or '')[-_SHOWN_CHARACTERS:]} {wait_text(track, now)}"


def wait_text(track: Track, now: float) -> str:
    """Return how a job stands: `processing 40 %, 3 min of usually 4 min`, or `in line, 12 s` before its creation."""
    word = (track.word or Phase.QUEUED.value) if track.job_id else "in line"
    share = f" {track.share:.0%}".replace("%", " %") if track.share is not None else ""
    usual = f" of usually {span_text(track.usual)}" if track.usual and track.job_id else ""
    return f"{word}{share}, {span_text(track.waited(now))}{usual}"


def counted(count: int, noun: str) -> str:
    """Return `1 job`, `2 jobs`."""
    return f"{count} {noun}" if count == 1 else f"{count:,} {noun}s"


def span_text(seconds: float) -> str:
    """Return a span as people say it: `0.4 s`, `12 s`, `3 min`, `2 h 5 min`."""
    if seconds < 10:  # noqa: PLR2004 - below it tenths matter
        return f"{seconds:.1f} s"
    if seconds < 120:  # noqa: PLR2004 - two minutes
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"  # noqa: PLR2004 - two hours


def _share(job: Job) -> float | None:
    done, rows = job.progress, job.rows
    if isinstance(done, bool) or not isinstance(done, int) or not rows:
        return None
    return min(1.0, max(0.0, done / rows))


def _ended(spans: tuple[Span, ...], now: float) -> tuple[Span, ...]:
    return tuple(span if span.ended is not None else replace(span, ended=now) for span in spans)
