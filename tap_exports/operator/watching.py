"""`tap-exports jobs watch`: polls a job until it ends, and shows each change."""

from __future__ import annotations

from collections.abc import Iterator

from tap_exports import settings
from tap_exports.engine.api import Polls
from tap_exports.engine.clock import to_text
from tap_exports.engine.jobs.cadence import Cadence
from tap_exports.engine.model import Job, Status
from tap_exports.errors import ConfigError, TapError
from tap_exports.operator.account import is_meant, ledger_jobs, polled, progress_text
from tap_exports.operator.loading import streams_of
from tap_exports.operator.origins import take_over_ledger
from tap_exports.operator.render import show
from tap_exports.operator.report import Report
from tap_exports.tap import TapExports

Place = tuple[str, object, Job]


def watch(tap: TapExports, job_id: str, provider: str | None, seconds: float | None, form: str | None) -> int:
    """Poll a job until it is terminal or the time is over; return 0 if it completed.

    Raises:
        ConfigError: No provider of the configuration knows the job.
        TapError: It is gone, or its provider does not answer.
    """
    name, api, job = _place(tap, job_id, provider)
    clock, began = tap.clock, tap.clock.monotonic()
    until = began + (tap.config["job_timeout_seconds"] if seconds is None else seconds)
    cadence, shown = Cadence(settings.job_settings(tap.config)), None
    while True:
        known, over = (job.raw_status, job.progress, job.rows), clock.monotonic() >= until
        if job.status.is_terminal or over:
            return show(_change(tap, name, job, over=over), form)
        if known != shown:
            shown = known
            show(_change(tap, name, job, over=False), form)
        now = clock.monotonic()
        rest = cadence.rest(name, began, now, until - now)
        while (left := rest.left(clock.monotonic())) > 0:
            clock.sleep(left)
        job = polled(tap, name, api, job)


def _change(tap: TapExports, provider: str, job: Job, *, over: bool) -> Report:
    at, progress = to_text(tap.clock.now()), progress_text(job)
    data = {
        "command": "jobs watch",
        "version": 1,
        "at": at,
        "provider": provider,
        "job": job.id,
        "status": job.raw_status,
        "state": job.status.value,
        "progress": progress or None,
        "rows": job.rows,
        "reason": job.reason,
    }
    parts = [job.raw_status, progress, f"{job.rows} rows" if job.rows is not None else "", job.reason or ""]
    told = f"{at} {provider} {job.id}: {', '.join(filter(None, parts))}"
    late = "; the time is over, it goes on at the provider" if over and not job.status.is_terminal else ""
    ended_badly = job.status.is_terminal and job.status is not Status.COMPLETED
    return Report(data, notes=[told + late], is_well=not (ended_badly or late))


def _place(tap: TapExports, job_id: str, provider: str | None) -> Place:
    """Return whose job it is, what answers for it, and the job as it stands.

    Raises:
        ConfigError: No provider knows it.
    """
    reasons: dict[str, str] = {}
    for name, api, job in _candidates(tap, job_id, provider):
        try:
            return name, api, polled(tap, name, api, job)
        except TapError as error:  # noqa: PERF203 - it is not this one's; try the next
            reasons.setdefault(name, error.message.removeprefix(f"{name}: "))
        except ValueError:  # a job of Cension is a number
            reasons.setdefault(name, "its ids look different")
    asked = "; ".join(f"{name}: {reason}" for name, reason in reasons.items()) or "none can be asked"
    raise ConfigError(f"job {job_id} is not known to any provider of the configuration ({asked})")


def _candidates(tap: TapExports, job_id: str, provider: str | None) -> Iterator[Place]:
    """Yield what may answer for a job: the streams whose ledger holds it first."""
    own = ledger_jobs(tap, take_over_ledger(tap), poll=False)
    holders = {name for found in own if found.id == job_id for name in found.streams}
    streams = sorted(streams_of(tap), key=lambda each: each[1].name not in holders)
    asked: set[int] = set()
    for name, stream in streams:
        if is_meant(provider, name) and isinstance(stream.asked, Polls) and id(stream.asked) not in asked:
            asked.add(id(stream.asked))
            yield name, stream.asked, Job(job_id, Status.PENDING)
