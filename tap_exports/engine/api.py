"""What an api module of a provider offers: few verbs, each a protocol of its own.

An API that cannot do a verb does not have it; the engine asks with `isinstance`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

from tap_exports.engine.clock import SkewedClock
from tap_exports.engine.model import Job, LocalFile, Offer, RemoteFile, Request, Window


@runtime_checkable
class TellsTime(Protocol):
    """An API that shows its own time."""

    @property
    def time(self) -> SkewedClock:
        """Return a clock that never shows a later time than the provider's own."""


@runtime_checkable
class HasAccount(Protocol):
    """An API that tells whose data it shows, free of charge."""

    @property
    def account(self) -> str | None:
        """Return the id of the account, which a renewed key does not change, or None where it cannot be told now."""


@runtime_checkable
class Polls(Protocol):
    """An API whose jobs can be watched."""

    def poll(self, job: Job) -> Job:
        """Return the job as it stands now.

        Raises:
            JobLostError: The provider no longer knows it.
        """


@runtime_checkable
class Submits(Polls, Protocol):
    """An API that creates jobs."""

    def submit(self, request: Request) -> Job:
        """Create the job; called once, never repeated by the client.

        Raises:
            LostReplyError: It is not known whether the job exists.
        """


@runtime_checkable
class Finds(Protocol):
    """An API at which a job can be found again whose creation got no reply."""

    def find(self, request: Request, since: datetime, closed: Collection[str] = ()) -> Job | None:
        """Return the job that this very request created at or after `since`, or None when there is none.

        Args:
            request: What was asked for.
            since: By the provider's clock.
            closed: Ids of earlier jobs of the same request, which are done with.
        """


@runtime_checkable
class Recalls(Protocol):
    """An API that shows which jobs of a request exist already."""

    def earlier(self, request: Request, since: datetime) -> Iterator[tuple[Job, Window | None]]:
        """Yield the jobs created at or after `since` that ask for exactly the same, each with the window it covers.

        Args:
            request: What is to be asked for, without a window.
            since: By the provider's clock.
        """


@runtime_checkable
class Names(Protocol):
    """An API at which a request may name an existing job, so that none is created."""

    def given(self, request: Request) -> str | None:
        """Return the id of the job that a request names, or None."""


@runtime_checkable
class Echoes(Protocol):
    """An API whose jobs show what they were asked for."""

    def contradiction(self, request: Request, job: Job) -> str:
        """Return what a job shows that differs from the request, such as `start_date`; empty where nothing does."""


@runtime_checkable
class FreeToRepeat(Protocol):
    """An API at which a second creation costs nothing and changes nothing: a lost reply needs no search."""

    free_to_repeat: Literal[True]


def creation_costs(api: object) -> bool:
    """Return whether a creation may cost money at an API, which then has the attribute `costs`."""
    return bool(getattr(api, "costs", False))


class Opens(Protocol):
    """An API whose completed jobs are files."""

    def open(self, job: Job) -> Sequence[RemoteFile]:
        """Return the files of a completed job, with fresh URLs, in a fixed order.

        Raises:
            JobLostError: The provider no longer knows the job.
        """


@runtime_checkable
class Follows(Protocol):
    """An API at which a file names the next one of its job: what `open` returns may grow while it is read."""

    def follow(self, job: Job, remote: RemoteFile, local: LocalFile) -> None:
        """Take what a downloaded file says of the next one."""


@runtime_checkable
class Deletes(Protocol):
    """An API at which a job can be deleted."""

    def delete(self, job_id: str) -> None:
        """Delete a job and its files; a job that is gone already is fine."""


@runtime_checkable
class Cancels(Protocol):
    """An API at which a running job can be cancelled."""

    def cancel(self, job_id: str) -> None:
        """Cancel a job; call it only for one that this tap created.

        Raises:
            NotFoundError: The provider does not know it.
        """


@runtime_checkable
class ListsJobs(Protocol):
    """An API that lists the jobs of an account, whoever created them."""

    def jobs(self) -> Iterator[Job]:
        """Yield the jobs, newest first, page by page as they are asked for."""


@runtime_checkable
class Offers(Protocol):
    """An API that lists what can be exported."""

    def offers(self) -> Iterator[Offer]:
        """Yield what the account offers for export, by free requests."""


@runtime_checkable
class Prices(Protocol):
    """An API that tells what a creation may take."""

    def most_credits(self) -> int:
        """Return the most credits that one creation may take, by the settings and the balance; a free request."""


class Delivers(Polls, Opens, Protocol):
    """An API whose jobs can be watched and read."""


@runtime_checkable
class Collects(Delivers, Protocol):
    """An API at which completed jobs of others can be found."""

    def completed(self, request: Request, window: Window) -> Iterator[Job]:
        """Yield the jobs created in a window that match the request, all of them, whatever their order and status.

        Raises:
            CountError: The list of jobs is not proven whole; see `engine/http/whole.py`.
        """
