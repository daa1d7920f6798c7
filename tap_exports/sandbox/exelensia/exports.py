"""The export jobs of Exelensia and the files behind them."""

from __future__ import annotations

from dataclasses import dataclass

from tap_exports.sandbox.clock import iso_ms, parse_iso
from tap_exports.sandbox.exelensia import seed
from tap_exports.sandbox.exelensia.results import Row, Selection
from tap_exports.sandbox.exelensia.table import Table
from tap_exports.sandbox.files import Content, FileStore
from tap_exports.sandbox.ids import named_uuid, uuids
from tap_exports.sandbox.jobs import COMPLETED, FAILED, PROCESSING, QUEUED, Ended, Life, Phase, is_known
from tap_exports.sandbox.web import Refusal

_STATUSES = {QUEUED: "PENDING", PROCESSING: "PROCESSING", COMPLETED: "COMPLETED", FAILED: "FAILED"}
# Up to here a file is written before the reply; a larger one is written beside, and its job waits for it.
_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Order:
    """What an export is to hold; dates are ISO 8601 with milliseconds."""

    schema_id: str
    start_date: str
    end_date: str
    expand_array: str | None


@dataclass(frozen=True, slots=True)
class Export:
    """One export job."""

    id: str
    order: Order
    path: str
    life: Life

    def record(self) -> Row:
        """Return the job as the API shows it."""
        phase = self.life.phase()
        return {
            "id": self.id,
            "schema_id": self.order.schema_id,
            "status": _STATUSES.get(phase.name, phase.name),
            "start_date": self.order.start_date,
            "end_date": self.order.end_date,
            "expand_array": self.order.expand_array,
            "createdAt": iso_ms(self.life.created),
            "updatedAt": iso_ms(phase.since),
        }


class Exports:
    """All jobs of the team, in the order of their creation."""

    def __init__(self, files: FileStore, *, named_ids: bool = False) -> None:
        """Start without jobs; with `named_ids`, the id of one follows from its order."""
        self._files = files
        self._named_ids = named_ids
        self._jobs: dict[str, Export] = {}
        self._ids = uuids(seed.PREFIX, 0x50, 0x50)

    def content(self, order: Order, table: Table, results: Selection) -> Content:
        """Return the file of an order over the results that stand at the source now."""
        key = ("exelensia", order.schema_id, order.expand_array, results.key)
        content = self._files.content(key, lambda file: table.write(file, results))
        if len(results) > _AT_ONCE:
            content.start()
        else:
            content.make()
        return content

    def add(self, order: Order, content: Content, life: Life) -> Export:
        """Add a job, and its file under an address that only a signed URL opens."""
        export_id = self._named(order) if self._named_ids else next(self._ids)
        month = order.start_date[:7].replace("-", "_")
        path = f"/exelensia/teams/{seed.TEAM_ID}/export_{month}_{export_id[-12:]}.csv"
        self._files.publish(path, content, style="token", media_type="text/csv; charset=utf-8")
        self._jobs[export_id] = Export(export_id, order, path, life)
        return self._jobs[export_id]

    def _named(self, order: Order) -> str:
        same = sum(export.order == order for export in self._jobs.values())
        return str(named_uuid(f"{order} {same}"))

    def add_foreign(self, order: Order, content: Content, name: str) -> None:
        """Add a job that somebody else made and that ended with the phase `name`, at the time of the documents."""
        end = Phase(name, 1.0, parse_iso("2024-01-31T12:01:30Z"))
        self.add(order, content, Ended(parse_iso("2024-01-31T12:00:00Z"), end))

    def known(self) -> list[Export]:
        """Return the jobs that have not vanished."""
        return [export for export in self._jobs.values() if is_known(export.life)]

    def find(self, export_id: str) -> Export:
        """Return a job.

        Raises:
            Refusal: 404.
        """
        for export in self.known():
            if export.id == export_id:
                return export
        raise Refusal(404, "Export not found")

    def observed(self, export_id: str) -> Export:
        """Return a job, its status read once more."""
        self._jobs[export_id].life.observe()
        return self._jobs[export_id]

    def download_url(self, export: Export) -> str:
        """Return a signed URL; asking counts as a status read.

        Raises:
            Refusal: 409, the job is not completed, or failed.
        """
        if export.life.observe().name != COMPLETED:
            raise Refusal(409, "Export is not yet completed")
        return self._files.sign(export.path)[0]

    def delete(self, export: Export) -> None:
        """Delete a job and its file."""
        self._files.remove(export.path)
        del self._jobs[export.id]
