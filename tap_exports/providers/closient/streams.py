"""The streams of Closient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tap_exports.engine.archive import Store
from tap_exports.engine.http.quota import Quota
from tap_exports.engine.model import Job, Request, Status
from tap_exports.engine.model.accounts import with_account
from tap_exports.engine.read.members import AssetReader, JobReader, Reader, RecordReader, SectionReader
from tap_exports.engine.run.shared import SharedJobs
from tap_exports.errors import ConfigError
from tap_exports.providers.closient import schemas
from tap_exports.providers.closient.api import API_URL, ClosientApi, export_row, normalised, parse_error
from tap_exports.singer.columns import FILE_LINEAGE
from tap_exports.singer.streams.archives import ArchiveStream, archive_limits, shared_jobs
from tap_exports.singer.streams.services import Services

if TYPE_CHECKING:
    from tap_exports.singer.streams.kinds import Entry
    from tap_exports.singer.streams.stream import EventStream

LEDGER = "closient_exports"


class ClosientStream(ArchiveStream):
    """A stream of the jobs of this run.

    Attributes:
        api: The provider's verbs.
    """

    def __init__(self, tap: Services, shared: SharedJobs, api: ClosientApi, block: Entry) -> None:
        """Keep the parts."""
        super().__init__(tap, shared)
        self.api, self.block = api, block

    def settle_state(self) -> None:
        """Settle that of the stream whose ledger names the jobs, whether it is selected or not."""
        owner = self.tap.streams[LEDGER]
        if owner is self:
            super().settle_state()
        elif isinstance(owner, ClosientStream):
            owner.settle_state()

    def check_connection(self) -> None:
        """Ask who the key belongs to."""
        self.api.whoami()


class Exports(ClosientStream):
    """Export jobs of this run, one per organization, failed ones too.

    Docs: https://docs.closient.com/api-reference/dashboard/data-export/poll-an-organization-data-export
    Window: none, the full table of each run.
    Caveats: the API has no list and no creation time; requested_at is the tap's own. The URL is never a column.
    """

    name = LEDGER
    properties = schemas.EXPORT
    primary_keys = ("job_id",)
    free_texts = frozenset({"error"})

    def reader(self) -> Reader:
        """Return what makes the row of a job."""
        return JobReader(export_row, self.layout, self.name)


class Sections(ClosientStream):
    """Inventory of each archive, section by section.

    Docs: https://docs.closient.com/api-reference/dashboard/data-export/poll-an-organization-data-export
    Window: none, the full table of each run.
    Caveats: a failed section of a completed job is a row and a warning; the words of status are not documented.
    """

    name = "closient_export_sections"
    properties = schemas.SECTIONS
    primary_keys = ("job_id", "key")
    free_texts = frozenset({"error"})

    def reader(self) -> Reader:
        """Return what makes the rows of the sections."""
        return SectionReader(self.layout, self.name)


class Records(ClosientStream):
    """Items of the YAML files in each archive.

    Docs: https://docs.closient.com/api-reference/dashboard/data-export/request-an-organization-data-export
    Window: none, the full table of each run.
    Caveats: the archive's layout is not documented; an item that is no mapping stands under `value`.
    """

    name = "closient_export_records"
    properties = schemas.RECORD
    primary_keys = ("job_id", "section", "path", "index")
    is_user_data = True
    lineage = FILE_LINEAGE

    def reader(self) -> Reader:
        """Return what makes the rows of the records."""
        return RecordReader(archive_limits(self.tap))


class Files(ClosientStream):
    """Binary assets in each archive.

    Docs: https://docs.closient.com/api-reference/dashboard/data-export/request-an-organization-data-export
    Window: none, the full table of each run.
    Caveats: with files_storage the content is stored under its SHA-256, once for all runs.
    """

    name = "closient_export_files"
    properties = schemas.FILE
    primary_keys = ("job_id", "path")

    def reader(self) -> Reader:
        """Return what makes the rows of the files."""
        url = self.block.get("files_storage")
        store = Store(url, "closient.files_storage", self.tap.spool.create) if url else None
        return AssetReader(archive_limits(self.tap), store)


def discover(tap: Services, block: Entry) -> Iterator[EventStream]:
    """Yield the streams of the block.

    Raises:
        ConfigError: It names no organization.
    """
    organizations = list(dict.fromkeys(filter(None, map(normalised, block["organization_ids"]))))
    if not organizations:
        msg = 'config: "closient.organization_ids" names no organization'
        raise ConfigError(msg)
    headers = {"X-API-Key": block["api_key"]}
    quota = Quota("closient", tap.clock)
    api = ClosientApi(
        tap.client("closient", block, API_URL, headers=headers, parse_error=parse_error, gate=quota), organizations
    )
    ledger = with_account(LEDGER, tap.of_account)
    shared = shared_jobs(tap, api, LEDGER, requests(block, organizations, ledger), given(block, ledger), block)
    for stream in (Exports, Sections, Records, Files):
        yield stream(tap, shared, api, block)


def requests(block: Entry, organizations: list[str], ledger: str = LEDGER) -> list[Request]:
    """Return one request per organization."""
    kind = block.get("archive_format", "zip")
    params = [{"organization_id": organization, "archive_format": kind} for organization in organizations]
    return [Request("closient", ledger, each) for each in params]


def given(block: Entry, ledger: str = LEDGER) -> list[tuple[Request, Job]]:
    """Return the configured jobs."""
    ids = dict.fromkeys(filter(None, map(normalised, block.get("job_ids", ()))))
    return [(Request("closient", ledger, {"job_id": job_id}), Job(job_id, Status.PENDING)) for job_id in ids]
