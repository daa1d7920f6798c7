"""The run report, from what the tap and its streams know at the end of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tap_exports.engine.activity import Activity, Delays, Track, counted
from tap_exports.engine.clock import to_text
from tap_exports.engine.model import Receipt
from tap_exports.engine.secrets import Redactor
from tap_exports.report import JobLine, OpenWindow, ProviderLine, RunReport, StreamLine
from tap_exports.singer.streams.stream import EventStream

ENDINGS = {0: "complete", 1: "failed", 130: "interrupted", 141: "ended: the pipe was closed", 143: "ended by SIGTERM"}
ABOUT_THE_RUN = ("export_jobs", "export_rejects")
_Key = tuple[str, str]


class Ran(Protocol):
    """The tap at the end of a run."""

    activity: Activity
    failures: dict[str, str]

    @property
    def selected(self) -> Sequence[EventStream]:
        """Return the selected streams, in the order of their turns."""

    @property
    def redactor(self) -> Redactor:
        """Return the redactor."""

    @property
    def plugin_version(self) -> str:
        """Return the tap's version."""


@dataclass(frozen=True, slots=True)
class _Maker:
    ran: Ran
    exit_code: int

    def report(self) -> RunReport:
        activity = self.ran.activity
        windows = tuple(self._windows())
        streams = tuple(self._stream(stream, windows) for stream in self.ran.selected)
        jobs = tuple(self._jobs([stream.name for stream in streams]))
        return RunReport(
            version=self.ran.plugin_version,
            began_at=to_text(activity.began_at),
            seconds=activity.seconds,
            exit_code=self.exit_code,
            ending=ENDINGS.get(self.exit_code, f"ended with code {self.exit_code}"),
            streams=streams,
            jobs=jobs,
            windows=windows,
            providers=tuple(_providers(jobs, activity.delays())),
            advice=tuple(self._advice(streams, windows)),
        )

    def _clean(self, text: str | None) -> str | None:
        return self.ran.redactor.clean(text) if text else None

    def _stream(self, stream: EventStream, windows: Sequence[OpenWindow]) -> StreamLine:
        reason = self.ran.failures.get(stream.name)
        is_open = any(window.stream == stream.name for window in windows)
        outcome = "failed" if reason else "open" if is_open else "complete" if stream.was_run else "not run"
        counts, value = stream.counts, stream.make_ledger().value
        rows = counts.rows or self.ran.activity.rows().get(stream.name, 0)
        return StreamLine(
            name=stream.name,
            outcome=outcome,
            rows=rows,
            rejects=counts.rejects,
            bytes=counts.bytes,
            seconds=stream.seconds,
            bookmark=None if value is None else str(value),
            reason=self._clean(reason),
        )

    def _windows(self) -> Iterator[OpenWindow]:
        for stream in self.ran.selected:
            for entry in stream.make_ledger().entries:
                why = "its job is open" if entry.id else "its creation got no reply"
                if entry.stalls:
                    why = f"its job stalled in {counted(entry.stalls, 'run')}"
                elif stream.name in self.ran.failures:
                    why = f"{why}; the stream failed"
                yield OpenWindow(stream.name, str(entry.window) if entry.window else None, entry.id, why)

    def _jobs(self, order: Sequence[str]) -> list[JobLine]:
        """Return a line per receipt, and one per job that has none yet; by stream, window and id."""
        receipts = self.ran.activity.receipts()
        tracks = {(track.stream, track.fingerprint): track for track in self.ran.activity.tracks()}
        lines = [self._ended(receipt, tracks) for receipt in receipts]
        told = {(r.stream, r.fingerprint) for r in receipts}
        lines += [_going(track) for key, track in tracks.items() if key not in told]
        places = {name: place for place, name in enumerate(order)}
        return sorted(lines, key=lambda j: (places.get(j.stream, len(places)), j.window or "", j.job_id or ""))

    def _ended(self, receipt: Receipt, tracks: Mapping[_Key, Track]) -> JobLine:
        track = tracks.get((receipt.stream, receipt.fingerprint))
        return JobLine(
            provider=receipt.provider,
            stream=receipt.stream,
            job_id=receipt.job_id,
            window=receipt.window,
            status=receipt.status,
            rows=receipt.rows,
            rejects=receipt.rejects,
            bytes=receipt.bytes,
            credits=receipt.credits_charged,
            reason=self._clean(receipt.reason),
            spans=track.spans if track and track.job_id == receipt.job_id else (),
        )

    def _advice(self, streams: Sequence[StreamLine], windows: Sequence[OpenWindow]) -> Iterator[str]:
        for reason, names in by_reason(self.ran.failures).items():
            yield self._clean(named(reason, names)) or ""
        if any(stream.outcome == "failed" for stream in streams):
            yield "Run again: STATE holds what was proven, and the next run goes on from there."
        elif windows:
            yield f"{open_jobs(len(windows))}."
        elif any(stream.outcome == "not run" for stream in streams):
            yield "Run again: streams that were not reached come in the next run."
        if any(stream.rejects for stream in streams):
            yield "Look at the stream export_rejects: it holds the rows that were rejected, and why."


def summarised(ran: Ran, exit_code: int) -> RunReport:
    """Return the report of a run that ended with an exit code."""
    return _Maker(ran, exit_code).report()


def by_reason(failures: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the streams of each reason, in the order in which they failed."""
    found: dict[str, list[str]] = {}
    for stream, reason in failures.items():
        found.setdefault(reason, []).append(stream)
    return found


def named(reason: str, streams: Sequence[str]) -> str:
    """Return a reason that names its streams."""
    left = [stream for stream in streams if stream not in reason]
    return f"{', '.join(streams)}: {reason}" if left else reason


def open_jobs(count: int) -> str:
    """Return `1 job open, the next run goes on with it`."""
    return f"{counted(count, 'job')} open, the next run goes on with {'it' if count == 1 else 'them'}"


def _going(track: Track) -> JobLine:
    status = track.word or ("queued" if track.job_id else "asked for")
    return JobLine(track.provider, track.stream, track.job_id, track.window, status, spans=track.spans)


def _providers(jobs: Sequence[JobLine], delays: Mapping[str, Delays]) -> Iterator[ProviderLine]:
    for name in sorted({job.provider for job in jobs} | delays.keys()):
        cost = delays.get(name, Delays())
        spent = sum(job.credits or 0 for job in jobs if job.provider == name)
        waited = (cost.retries, cost.seconds, cost.throttled_seconds)
        yield ProviderLine(name, spent, *waited, cost.requests, cost.request_seconds)
