"""The export jobs of PackageX, their files, and their removal after a day."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, BinaryIO

from tap_exports.sandbox.files import Content, FileStore
from tap_exports.sandbox.jobs import COMPLETED, Life, is_known
from tap_exports.sandbox.packagex import seed
from tap_exports.sandbox.packagex.options import Selection
from tap_exports.sandbox.packagex.seed import Row
from tap_exports.sandbox.packagex.table import CsvFile, Format, JsonFile, error_file, formula_file
from tap_exports.sandbox.provider import World
from tap_exports.sandbox.web import Refusal

# Up to here files are written before the reply; larger ones are written beside, and their job waits for them.
_AT_ONCE = 10_000
_BATCH = 100
_TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for: the request's parts as they came, and what they mean."""

    resource: str
    options: Mapping[str, Any]
    csv_field_options: Mapping[str, Any]
    selection: Selection
    format: Format


@dataclass(frozen=True, slots=True)
class Shape:
    """How files look where the documents leave it open; see `Knobs`."""

    json_root: str
    nesting: str
    timestamps: str


@dataclass(frozen=True, slots=True)
class Export:
    """One export job; `paths` are its files on the files origin by the field that shows their URL."""

    id: str
    order: Order
    paths: Mapping[str, str]
    life: Life

    def record(self, count_error: int = 0) -> Row:
        """Return the job as the API shows it, moments as such."""
        phase, selection = self.life.phase(), self.order.selection
        total = selection.count() + count_error if phase.name == COMPLETED else 0
        return {
            "id": self.id,
            "object": "export",
            "organization_id": seed.ORGANIZATION_ID,
            "resource": self.order.resource,
            "status": phase.name,
            "name": f"{self.order.resource} {self.life.created:%Y-%m-%d}",
            "reason": phase.reason,
            "count_total": total,
            "count_batches": -(-total // _BATCH),
            "options": dict(self.order.options),
            "csv_field_options": dict(self.order.csv_field_options),
            "created_by": None,
            "updated_by": None,
            "created_at": self.life.created,
            "updated_at": phase.since,
        }


class Exports:
    """All jobs of the organization, in the order of their creation."""

    def __init__(self, world: World, shape: Shape, keep_hours: float) -> None:
        """Start without jobs; files are kept for `keep_hours` after their job's creation."""
        self._world = world
        self._shape = shape
        self._keep = timedelta(hours=keep_hours)
        self._jobs: dict[str, Export] = {}

    def contents(self, export_id: str, order: Order) -> dict[str, Content]:
        """Return the files of an order by the field that shows their URL; nothing is written yet."""
        rows, shape = order.selection.exported, self._shape
        writers: dict[str, Callable[[BinaryIO], None]] = {
            "_json_url": JsonFile(rows, shape.json_root, shape.timestamps).write,
            "_csv_url": CsvFile(rows, shape.nesting, order.format).write,
        }
        if order.selection.looked_at <= _AT_ONCE:
            if errors := order.selection.errors():
                writers["_csv_error_url"] = error_file(errors, order.format)
            if formulas := order.selection.formulas():
                writers["_csv_sanitized_url"] = formula_file(formulas, order.format)
        files: FileStore = self._world.files
        return {field: files.content(("packagex", export_id, field), write) for field, write in writers.items()}

    def add(self, export_id: str, order: Order, contents: Mapping[str, Content], life: Life) -> Export:
        """Add a job and publish its files."""
        paths = {}
        for field, content in contents.items():
            kind = "json" if field == "_json_url" else "csv"
            paths[field] = f"/packagex/exports/{seed.ORGANIZATION_ID}/{export_id}{field.removesuffix('_url')}.{kind}"
            gone = partial(self._past, life)
            self._world.files.publish(paths[field], content, style="amz", media_type=_TYPES[kind], gone=gone)
        self._jobs[export_id] = Export(export_id, order, paths, life)
        return self._jobs[export_id]

    def known(self, *, removed: bool = False) -> list[Export]:
        """Return the jobs that have not vanished, those that were removed after their time only when asked."""
        jobs = [job for job in self._jobs.values() if is_known(job.life)]
        return sorted(
            (job for job in jobs if removed or not self._past(job.life)),
            key=lambda job: job.life.created,
        )

    def find(self, export_id: str, *, removed: str) -> Export:
        """Return a job.

        Args:
            export_id: of the job.
            removed: what becomes of removed ones; see `Knobs`.

        Raises:
            Refusal: 404, or 410.
        """
        jobs = {job.id: job for job in self.known(removed=removed == "listed")}
        if export_id in jobs:
            return jobs[export_id]
        raise Refusal(
            410 if removed == "410" and export_id in self._jobs else 404, "Export not found", code="not_found"
        )

    def _past(self, life: Life) -> bool:
        return self._world.clock.now() >= life.created + self._keep

    def url(self, export: Export, field: str) -> str | None:
        """Return a signed URL of a file of a completed job, None when there is no such file."""
        if field not in export.paths or export.life.phase().name != COMPLETED:
            return None
        return self._world.files.sign(export.paths[field])[0]


def written(contents: Mapping[str, Content], selection: Selection) -> None:
    """Write the files, beside when they are large."""
    for content in contents.values():
        if selection.looked_at <= _AT_ONCE:
            content.make()
        else:
            content.start()
