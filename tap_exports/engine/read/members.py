"""Readers of the streams of one archive: jobs, sections, records and files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, TypeAlias

from tap_exports.engine import decode
from tap_exports.engine.archive import (
    ArchiveLimits,
    Counts,
    Inventory,
    Member,
    Section,
    Store,
    Survey,
    digest,
    media_type,
    read_items,
    read_members,
    section_of,
    suffix_of,
)
from tap_exports.engine.jobs import Outcome
from tap_exports.engine.model import FILE, JOB_ID, ROW, Event, Proven, Reject, Rejected, Row, Rows
from tap_exports.engine.read.files import Layouts

ROWS_PER_BATCH = 1000
BYTES_PER_BATCH = 4 * 1024 * 1024
DOCUMENTS = frozenset({".yaml", ".yml"})

Archive: TypeAlias = tuple[Path, Survey]


@dataclass(frozen=True, slots=True)
class Opened:
    """One job, as the readers of its streams get it.

    Attributes:
        outcome: The job and how it ended.
        inventory: Content that the provider declares.
        constants: Columns with the same value in all its rows.
        complain: Raises or logs a warning, as `verify_counts` says; call it with the message when a count differs.
        archive: Path of the archive and its survey; None when the reader needs no archive.
    """

    outcome: Outcome
    inventory: Inventory
    constants: Row
    complain: Callable[[str], None]
    archive: Archive | None = None


class Reader(Protocol):
    """Makes the rows of one stream; `takes_failed` says whether failed jobs are passed to it."""

    takes_failed: ClassVar[bool]

    def needs_archive(self, inventory: Inventory) -> bool:
        """Return whether the archive must be downloaded, given what the job declares."""

    def read(self, opened: Opened) -> Iterator[Event]:
        """Yield the rows of one job; code after the last event runs only when all of it was read and counted."""


@dataclass(frozen=True, slots=True)
class JobReader:
    """One row per job, failed jobs included.

    Attributes:
        row: Makes the row.
        layout: Columns, selection and contract of the stream.
        stream: Its name.
    """

    row: Callable[[Outcome], Row]
    layout: Layouts
    stream: str
    takes_failed: ClassVar[bool] = True

    def needs_archive(self, inventory: Inventory) -> bool:
        """Return False."""
        del inventory
        return False

    def read(self, opened: Opened) -> Iterator[Event]:
        """Yield the row of the job."""
        yield from conformed([self.row(opened.outcome)], opened, self.layout, self.stream)
        yield Proven()


@dataclass(frozen=True, slots=True)
class SectionReader:
    """One row per section, as listed by the job, or by the manifest where the job lists none."""

    layout: Layouts
    stream: str
    takes_failed: ClassVar[bool] = False

    def needs_archive(self, inventory: Inventory) -> bool:
        """Return whether only the manifest, which is in the archive, lists the sections."""
        return inventory.sections is None

    def read(self, opened: Opened) -> Iterator[Event]:
        """Yield the rows of the sections."""
        rows = [section_row(section) for section in opened.inventory.sections or ()]
        yield from conformed(rows, opened, self.layout, self.stream)
        yield Proven()


@dataclass(frozen=True, slots=True)
class RecordReader:
    """One row per item of a YAML file."""

    limits: ArchiveLimits
    takes_failed: ClassVar[bool] = False

    def needs_archive(self, inventory: Inventory) -> bool:
        """Return True."""
        del inventory
        return True

    def read(self, opened: Opened) -> Iterator[Event]:
        """Yield the records in archive order, then compare their number with the count of each section."""
        counts = Counts()
        constants = {**opened.constants, JOB_ID: opened.outcome.job.id}
        yield from batches(record_rows(opened.archive, opened.inventory.keys, self.limits, counts), constants)
        yield self.proven(opened, counts)

    def proven(self, opened: Opened, counts: Counts) -> Proven:
        """Compare the number of records with the count of each section.

        Raises:
            CountError: They differ and `verify_counts` is `fail`.
        """
        return verify(opened, counts, [(s, s.records) for s in opened.inventory.sections or ()], "records")


@dataclass(frozen=True, slots=True)
class AssetReader:
    """One row per file that is not YAML; the file is stored if a storage is configured."""

    limits: ArchiveLimits
    store: Store | None
    takes_failed: ClassVar[bool] = False

    def needs_archive(self, inventory: Inventory) -> bool:
        """Return True."""
        del inventory
        return True

    def read(self, opened: Opened) -> Iterator[Event]:
        """Yield the files in archive order, then compare their number with the count of each section."""
        counts = Counts()
        yield from batches(self._files(opened, counts), opened.constants)
        yield verify(opened, counts, [(s, s.binaries) for s in opened.inventory.sections or ()], "files")

    def _files(self, opened: Opened, counts: Counts) -> Iterator[tuple[Row, int]]:
        keys = opened.inventory.keys
        for member, section in members(opened.archive, keys, self.limits):
            if suffix_of(member.path) in DOCUMENTS:
                continue
            counts.add(section, keys)
            kept = self.store.keep(member) if self.store else digest(member)
            content = {"bytes": kept.size, "sha256": kept.sha256, "media_type": media_type(member.path)}
            yield {"section": section, "path": member.path, **content, "stored_url": kept.url}, 0


def section_row(section: Section) -> Row:
    """Return the row of a section."""
    return {
        "key": section.key,
        "status": section.status,
        "record_count": section.records,
        "binary_count": section.binaries,
        "error": section.error,
    }


def record_rows(
    archive: Archive | None, keys: frozenset[str], limits: ArchiveLimits, counts: Counts
) -> Iterator[tuple[Row, int]]:
    """Yield the items of the YAML files in archive order, each with its approximate size, and count them."""
    for member, section in members(archive, keys, limits):
        path = member.path
        if suffix_of(path) not in DOCUMENTS:
            continue
        for index, item in enumerate(read_items(member, path)):
            counts.add(section, keys)
            record = item.value if isinstance(item.value, dict) else {"value": item.value}
            place = {"section": section, "path": path, "index": index, FILE: path, ROW: index + 1}
            yield {**place, "record": record}, item.bytes


def members(archive: Archive | None, keys: frozenset[str], limits: ArchiveLimits) -> Iterator[tuple[Member, str]]:
    """Yield every file except the manifest, with its section; nothing without an archive."""
    if archive is None:
        return
    path, found = archive
    for member in read_members(path, limits):
        if member.path != found.manifest:
            yield member, section_of(member.path, found.root, keys)


def batches(rows: Iterator[tuple[Row, int]], constants: Row) -> Iterator[Rows]:
    """Yield rows in batches of bounded number and size.

    Args:
        rows: Each row with its approximate size in bytes.
        constants: Columns with the same value in all rows.
    """
    batch: list[Row] = []
    size = 0
    for row, weight in rows:
        batch.append(row)
        size += weight
        if len(batch) >= ROWS_PER_BATCH or size >= BYTES_PER_BATCH:
            yield Rows(batch, constants)
            batch, size = [], 0
    if batch:
        yield Rows(batch, constants)


def conformed(rows: list[Row], opened: Opened, layout: Layouts, stream: str) -> Iterator[Event]:
    """Yield rows checked against the columns of the stream; rows that do not fit become `Rejected`."""
    for item in decode.conform([{**opened.constants, **row} for row in rows], layout(), 1, stream):
        yield Rejected(opened.outcome.job.id, item) if isinstance(item, Reject) else item


def verify(opened: Opened, counts: Counts, declared: list[tuple[Section, int | None]], what: str) -> Proven:
    """Compare what was found with the provider's own counts, where it gives any; a failed section is not whole.

    Raises:
        CountError: They differ and `verify_counts` is `fail`.
    """
    differences = counts.differences(declared) if declared else ()
    if differences:
        opened.complain(f"{what} read differ from the provider's counts: {'; '.join(differences)}")
    return Proven(not differences and not opened.inventory.failed)
