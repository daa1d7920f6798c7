"""Streams that share the jobs of one provider block and read the archives of those jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tap_exports import settings
from tap_exports.engine.archive import ArchiveLimits
from tap_exports.engine.download import download
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import Column, Job, LocalFile, RemoteFile, Request
from tap_exports.engine.read.files import Download
from tap_exports.engine.read.members import Reader
from tap_exports.engine.run.archived import ArchiveRun
from tap_exports.engine.run.shared import Archives, SharedJobs
from tap_exports.singer.columns import to_columns
from tap_exports.singer.streams.services import Services
from tap_exports.singer.streams.stream import EventStream, Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_exports.singer.typing import PropertiesList


class ArchiveStream(EventStream):
    """A stream of rows of shared jobs.

    Attributes:
        properties: Its fields.
    """

    properties: ClassVar[PropertiesList]

    def __init__(self, tap: Services, shared: SharedJobs) -> None:
        """Keep the jobs."""
        super().__init__(tap)
        self.shared = shared

    def discover_columns(self) -> dict[str, Column]:
        """Return the fields."""
        return to_columns(self.properties.to_dict())

    def reader(self) -> Reader:
        """Return the reader that makes the stream's rows from a job and its archive."""
        raise NotImplementedError

    def orders(self) -> Sequence[Request]:
        """Return the requests of the shared jobs, unless existing ones are read."""
        return () if self.shared.given else self.shared.requests

    def make_run(self) -> Run:
        """Return a run over the shared jobs."""
        return ArchiveRun(self.name, self.shared, self.reader())


def shared_jobs(
    tap: Services,
    api: Archives,
    stream: str,
    requests: Sequence[Request],
    given: Sequence[tuple[Request, Job]],
    block: Mapping[str, Any],
) -> SharedJobs:
    """Return the jobs that several streams share.

    Args:
        tap: Gives clock, spool and settings.
        api: The provider's verbs.
        stream: The stream whose ledger names the jobs.
        requests: Jobs to create; ignored where `given` holds any.
        given: Existing jobs to read instead.
        block: The provider's configuration.
    """
    return SharedJobs(
        lifecycle=tap.lifecycle(api, block),
        api=api,
        download=into_spool(tap),
        state=ledger_of(tap, stream),
        requests=requests,
        given=given,
        archive_limits=archive_limits(tap),
        limits=settings.limits(tap.config),
        has_room=lambda: tap.spool.has_room,
        clock=tap.clock,
    )


def ledger_of(tap: Services, stream: str) -> Callable[[], StreamState]:
    """Return a function that returns a stream's state over the live STATE; the stream may be deselected."""

    def ledger() -> StreamState:
        owner = tap.streams[stream]
        return owner.ledger if isinstance(owner, EventStream) else StreamState.detached(stream, {})

    return ledger


def into_spool(tap: Services) -> Download:
    """Return a function that downloads a file into the spool; its first call creates the spool."""

    def fetch(remote: RemoteFile, renew: Callable[[], RemoteFile]) -> LocalFile:
        http = settings.http_settings(tap.config)
        return download(remote, renew, tap.transport, tap.spool, http, tap.clock, tap.activity)

    return fetch


def archive_limits(tap: Services) -> ArchiveLimits:
    """Return the configured limits of an archive."""
    return ArchiveLimits(max_mb=tap.config["archive_max_mb"], max_ratio=tap.config["archive_max_ratio"])
