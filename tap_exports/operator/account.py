"""Jobs as subcommands see them: of the ledger in STATE, and of the account where the provider lists them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from tap_exports.engine.activity import counted
from tap_exports.engine.api import ListsJobs, Polls
from tap_exports.engine.clock import to_text
from tap_exports.engine.jobs import Lifecycle, Statuses
from tap_exports.engine.ledger import Entry, StreamState
from tap_exports.engine.model import Job, Status, Window
from tap_exports.engine.model.accounts import shared_name
from tap_exports.errors import TapError
from tap_exports.operator.loading import block_of, provider_of, streams_of
from tap_exports.operator.origins import ACCOUNT, LEDGER, STATE, Origins, shown
from tap_exports.operator.report import window_cell, window_json
from tap_exports.singer.streams.stream import EventStream
from tap_exports.singer.tap import explain
from tap_exports.tap import TapExports

LOST_REPLY = "no reply to its creation"
TO_DELETE = "proven, deleted by the next run"
NOT_CONFIGURED = "not asked: its stream is not in the configuration"


@dataclass(frozen=True, slots=True)
class Found:
    """A job, and what is known of it.

    Attributes:
        provider: Whose job it is.
        id: Its id; None for a creation that got no reply.
        known_from: `state` and `ledger`: who knows it as open, to be deleted, or read; `account`: only the provider.
        status: The provider's word; where it was not asked or does not know the job, why.
        streams: The streams whose ledger holds it.
        window: The window that it covers, as far as the ledger knows.
        since: When it was created.
        age: How long ago that was.
        progress: As the provider tells it.
        rows: Its rows, as the provider counts them.
        credits: What its creation was charged.
        stalls: Runs that found it stalled.
        job: As the provider showed it, or None.
    """

    provider: str
    id: str | None
    known_from: tuple[str, ...]
    status: str
    streams: tuple[str, ...] = ()
    window: Window | None = None
    since: datetime | None = None
    age: timedelta | None = None
    progress: str = ""
    rows: int | None = None
    credits: int | None = None
    stalls: int = 0
    job: Job | None = None

    @property
    def ours(self) -> bool:
        """Return whether the tap created or adopted it, as far as STATE and its own ledger know."""
        return self.known_from != (ACCOUNT,)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "provider": self.provider,
            "job": self.id,
            "ours": self.ours,
            "known_from": list(self.known_from),
            "status": self.status,
            "state": (self.job.status if self.job else Status.UNKNOWN).value,
            "streams": list(self.streams),
            "window": window_json(self.window),
            "created_at": to_text(self.since) if self.since else None,
            "age_seconds": round(self.age.total_seconds()) if self.age else None,
            "progress": self.progress or None,
            "rows": self.rows,
            "credits": self.credits,
            "stalls": self.stalls,
        }

    def cells(self) -> tuple[str, ...]:
        """Return the row of a table, in the order of its columns."""
        age = age_text(self.age) if self.age else ""
        progress = self.progress or (f"{self.rows} rows" if self.rows is not None else "")
        cost = "" if self.credits is None else str(self.credits)
        ours = f"yes ({shown(self.known_from)})" if self.ours else "no"
        where = ", ".join(self.streams)
        status = f"{self.status}, stalled in {counted(self.stalls, 'run')}" if self.stalls else self.status
        covers = window_cell(self.window)
        return self.provider, self.id or "?", ours, status, age, progress, where, covers, cost


def age_text(age: timedelta) -> str:
    """Return an age for people: whole days, or hours, minutes and seconds."""
    return f"{age.days} days" if age.days else str(timedelta(seconds=round(age.total_seconds())))


def ledger_jobs(tap: TapExports, origins: Origins, *, poll: bool = True) -> list[Found]:
    """Return the jobs of STATE and durable ledger, those of streams that are no longer configured too.

    Args:
        tap: The tap with its STATE, into which the durable ledger was taken over.
        origins: Where the jobs are known from.
        poll: Whether each is asked for at its provider.
    """
    known = {stream.name: stream for _, stream in streams_of(tap)}
    jobs: dict[tuple[str, str | None, str], Found] = {}
    for name, bookmark in dict(tap.state.get("bookmarks", {})).items():
        provider = provider_of(name)
        if provider is None:
            continue
        state = StreamState.detached(name, bookmark)
        for entry in state.entries:
            found = _of_entry(tap, provider, name, entry, origins.of(name, entry))
            _add(jobs, _polled(tap, found, known.get(name)) if poll else found, entry.fingerprint)
        for job_id in state.deletions:
            _add(jobs, Found(provider, job_id, (STATE,), TO_DELETE, streams=(name,)), "")
    return list(jobs.values())


def _add(jobs: dict[tuple[str, str | None, str], Found], found: Found, fingerprint: str) -> None:
    """Add a job once, however many streams read it; creations without a reply have no id and stay apart."""
    key = (found.provider, found.id, "" if found.id else fingerprint)
    before = jobs.get(key)
    if before:
        known_from = tuple(dict.fromkeys(before.known_from + found.known_from))
        jobs[key] = replace(before, streams=before.streams + found.streams, known_from=known_from)
    else:
        jobs[key] = found


def _of_entry(tap: TapExports, provider: str, name: str, entry: Entry, known_from: tuple[str, ...]) -> Found:
    return Found(
        provider,
        entry.id,
        known_from,
        status=NOT_CONFIGURED if entry.id else LOST_REPLY,
        streams=(name,),
        window=entry.window,
        since=entry.requested_at,
        age=tap.clock.now() - entry.requested_at,
        credits=entry.credits,
        stalls=entry.stalls,
    )


def _polled(tap: TapExports, found: Found, stream: EventStream | None) -> Found:
    if found.id is None or stream is None:
        return found
    try:
        job = Job(found.id, Status.PENDING, created_at=found.since)
        return seen(found, polled(tap, found.provider, stream.asked, job))
    except TapError as error:
        return replace(found, status=error.message)


def polled(tap: TapExports, provider: str, api: object, job: Job) -> Job:
    """Return a job as the provider shows it, its status as the configuration explains it.

    Raises:
        TapError: It does not answer, or does not know the job.
    """
    if not isinstance(api, Polls):
        raise TapError(f"{provider} cannot be asked for a job")
    return statuses_of(tap, provider).applied(api.poll(job))


def statuses_of(tap: TapExports, provider: str) -> Statuses:
    """Return the status words that a provider's block explains."""
    lifecycles = (getattr(stream, "lifecycle", None) for name, stream in streams_of(tap) if name == provider)
    held: Lifecycle | None = next(filter(None, lifecycles), None)
    return held.statuses if held else Statuses.configured(block_of(tap, provider).get("statuses"))


def seen(found: Found, job: Job) -> Found:
    """Return what is known of a job once the provider has shown it."""
    cost = found.credits if found.credits is not None else job.credits
    return replace(found, status=job.raw_status, progress=progress_text(job), rows=job.rows, credits=cost, job=job)


def progress_text(job: Job) -> str:
    """Return the progress that a provider tells, for people: numbers only."""
    told = job.progress if isinstance(job.progress, tuple) else (job.progress,)
    return "/".join(str(part) for part in told if isinstance(part, int))


def account_jobs(
    tap: TapExports, origins: Origins, own: Sequence[Found], provider: str | None, limit: int
) -> tuple[list[Found], dict[str, str]]:
    """Return the newest jobs that providers list and the ledger does not hold, and why one could not be asked."""
    found: list[Found] = []
    complaints: dict[str, str] = {}
    ours, read = {(each.provider, each.id) for each in own}, read_jobs(tap, origins)
    for name, api in listing_apis(tap):
        if not is_meant(provider, name):
            continue
        try:
            others = _others(tap, name, api, ours, limit)
            found += [_of_account(tap, name, job, read.get((name, job.id))) for job in others]
        except Exception as error:  # noqa: BLE001 - whatever it is, the other providers are listed
            complaints[name] = explain(error)
    return found, complaints


def is_meant(asked: str | None, provider: str) -> bool:
    """Return whether `--provider` means a provider, or the account of one; without the option all are meant."""
    return asked in {None, provider, shared_name(provider)}


def listing_apis(tap: TapExports) -> Iterable[tuple[str, ListsJobs]]:
    """Return the api of each provider that lists jobs; all streams of a provider share one account."""
    apis: dict[str, ListsJobs] = {}
    for provider, stream in streams_of(tap):
        if isinstance(stream.asked, ListsJobs):
            apis.setdefault(provider, stream.asked)
    return apis.items()


def _others(tap: TapExports, name: str, api: ListsJobs, ours: set[tuple[str, str | None]], limit: int) -> Iterator[Job]:
    statuses = statuses_of(tap, name)
    listed = (statuses.applied(job) for job in islice(api.jobs(), limit))
    return (job for job in listed if (name, job.id) not in ours)


def _of_account(tap: TapExports, provider: str, job: Job, own: Found | None) -> Found:
    age = tap.clock.now() - job.created_at if job.created_at else None
    known = own or Found(provider, job.id, (ACCOUNT,), "")
    return seen(replace(known, since=job.created_at, age=age), job)


def read_jobs(tap: TapExports, origins: Origins) -> dict[tuple[str, str], Found]:
    """Return jobs that earlier runs have read: full exports of STATE, and those that the ledger still holds.

    They are named by provider, or account, and id: accounts may count their jobs alike.
    """
    found: dict[tuple[str, str], Found] = {}
    for name, entries in origins.ledger.items():
        provider = provider_of(name) or ""
        for entry in entries:
            if entry.id:
                found[provider, entry.id] = Found(provider, entry.id, (LEDGER,), "", (name,), entry.window)
    for name, bookmark in tap.state.get("bookmarks", {}).items():
        provider = provider_of(name) or ""
        for job_id in StreamState.detached(name, bookmark).closed.ids:
            also = found[provider, job_id].known_from if (provider, job_id) in found else ()
            found[provider, job_id] = Found(provider, job_id, (STATE, *also), "", (name,))
    return found
