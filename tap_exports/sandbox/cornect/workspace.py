"""One Cornect workspace: its credits, what it has unlocked, its saved lists and its exports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tap_exports.sandbox.clock import iso_s, parse_iso
from tap_exports.sandbox.cornect.directory import Directory, Row
from tap_exports.sandbox.cornect.exports import MEDIA_TYPES, Export, Order, writer
from tap_exports.sandbox.cornect.filters import Filters
from tap_exports.sandbox.ids import named_uuid
from tap_exports.sandbox.jobs import COMPLETED, FAILED, Ended, Life, Phase, is_known
from tap_exports.sandbox.provider import World
from tap_exports.sandbox.web import Refusal

WORKSPACE_ID = str(named_uuid("cornect workspace"))
LIST_ID = str(named_uuid("cornect list"))
EXPORT_ID, AGAIN_ID, FAILED_ID, RUNNING_ID = (
    str(named_uuid(f"cornect {name}")) for name in ("semiconductors", "semiconductors again", "failed", "running")
)
_LISTED = 30
_START = parse_iso("2024-06-01T08:00:00Z")


@dataclass(frozen=True, slots=True)
class Shape:
    """How files and counts look where the documents leave it open; see `Knobs`."""

    json_root: str
    packed: bool
    total_records: str
    count_error: int


@dataclass(frozen=True, slots=True)
class Charge:
    """What an export takes: `paid` of the `new` companies; the others of the new ones are skipped."""

    known: int
    new: int
    paid: int
    transaction_id: str | None


class Workspace:
    """The state that all tokens share."""

    def __init__(self, world: World, shape: Shape, balance: int, running: Life) -> None:
        """Start with exports that somebody else made, and with `balance` credits left of them."""
        self.directory = Directory(world.options.rows)
        self.balance = 0
        self.transactions: list[Row] = []
        self.lists = {LIST_ID: range(_LISTED)}
        self._world = world
        self._shape = shape
        self._unlocked: set[int] = set()
        self._exports: dict[str, Export] = {}
        self._made = 0
        self._seed(balance, running)

    @property
    def unlocked(self) -> Sequence[str]:
        """The ids of the companies that were exported before."""
        return [self.directory.row(position)["id"] for position in sorted(self._unlocked)]

    def new_id(self) -> str:
        """Return the id of the next export."""
        self._made += 1
        return str(named_uuid(f"cornect export {self._made}"))

    def charge(self, export_id: str, positions: Sequence[int], *, refuse: bool) -> tuple[Charge, Sequence[int]]:
        """Pay for the companies that are new to the workspace; return the charge and what the export holds.

        Raises:
            Refusal: 402, the balance is too low and `refuse` says so. Nothing is charged then.
        """
        new = [position for position in positions if position not in self._unlocked]
        if len(new) > self.balance and refuse:
            details = {"balance": self.balance, "required": len(new)}
            raise Refusal(402, "Not enough credits", code="insufficient_balance", details=details)
        skipped = set(new[self.balance :])
        paid = min(len(new), self.balance)
        self._unlocked.update(set(new) - skipped)
        transaction = self._book(-paid, "export_charge", f"export:{export_id}:create") if paid else None
        kept = [position for position in positions if position not in skipped]
        return Charge(len(positions) - len(new), len(new), paid, transaction), kept

    def add(self, export_id: str, order: Order, new: int, life: Life) -> Export:
        """Add a job; its file is written when somebody needs it."""
        directory, shape = self.directory, self._shape
        write = writer(
            lambda: map(directory.row, order.positions), order.export_format, shape.json_root, packed=shape.packed
        )
        content = self._world.files.content(("cornect", export_id), write)
        path = f"/cornect/cornect-exports/{WORKSPACE_ID}/{export_id}.{order.export_format}"
        self._world.files.publish(path, content, style="amz", media_type=MEDIA_TYPES[order.export_format])
        total = (new if shape.total_records == "new" else len(order.positions)) + shape.count_error
        self._exports[export_id] = Export(export_id, WORKSPACE_ID, order, total, path, content, life)
        return self._exports[export_id]

    def exports(self) -> list[Export]:
        """Return all jobs that have not vanished, in the order of their addition."""
        return [export for export in self._exports.values() if is_known(export.life)]

    def booked(self) -> list[Row]:
        """Return the transactions, the oldest first, without those of jobs that have not arrived yet."""
        late = {f"export:{export.id}:create" for export in self._exports.values() if not export.life.arrived()}
        return [transaction for transaction in self.transactions if transaction["reference"] not in late]

    def find(self, export_id: str) -> Export:
        """Return a job.

        Raises:
            Refusal: 404.
        """
        for export in self.exports():
            if export.id == export_id:
                return export
        raise Refusal(404, "Export not found")

    def grow(self) -> dict[str, Any]:
        """Add three companies, and an export of them that somebody else made and paid."""
        positions = self.directory.grow(3)
        now = self._world.clock.now()
        export_id = str(named_uuid(f"cornect foreign {positions.start}"))
        charge, kept = self.charge(export_id, positions, refuse=False)
        order = Order("newcomers", "search", "json", kept)
        export = self.add(export_id, order, charge.new, Ended(now, Phase(COMPLETED, 1.0, now)))
        booked = self.transactions[-1:] if charge.transaction_id else []
        companies = [self.directory.row(position) for position in positions]
        return {"companies": companies, "exports": [export.record()], "transactions": booked}

    def _seed(self, balance: int, running: Life) -> None:
        semiconductors = self._of_industry("Semiconductors")
        self._book(balance, "grant", "grant:2024-06", _START)
        self._foreign(EXPORT_ID, "Semiconductors", semiconductors, COMPLETED, 1)
        self._foreign(AGAIN_ID, "Semiconductors again", semiconductors, COMPLETED, 2)
        utilities = self._of_industry("Electric Utilities")
        self._foreign(FAILED_ID, "Utilities", utilities, FAILED, 3)
        self._book(len(utilities), "export_refund", f"export:{FAILED_ID}:refund", _START + timedelta(hours=4))
        self._unlocked.difference_update(utilities)
        self._foreign(RUNNING_ID, "Half of the list", range(_LISTED // 2), "processing", 0, running)
        # What was granted at first is what is left and what was charged.
        self.transactions[0]["amount"] += balance - self.balance
        self.balance = balance

    def _foreign(
        self,
        export_id: str,
        name: str,
        positions: Sequence[int],
        status: str,
        hours: int,
        life: Life | None = None,
    ) -> None:
        created = life.created if life else _START + timedelta(hours=hours)
        ended = Ended(created, Phase(status, 1.0, created + timedelta(seconds=75)))
        new = len(set(positions) - self._unlocked)
        if new:
            self._book(-new, "export_charge", f"export:{export_id}:create", created)
        self._unlocked.update(positions)
        self.add(export_id, Order(name, "search", "csv", positions), new, life or ended)

    def _of_industry(self, industry: str) -> Sequence[int]:
        return self.directory.find(Filters({"industries": [industry], "countries": ["United States"]}))

    def _book(self, amount: int, reason: str, reference: str, created: datetime | None = None) -> str:
        self.balance += amount
        transaction = {
            "id": str(named_uuid(f"cornect transaction {len(self.transactions)}")),
            "amount": amount,
            "reason": reason,
            "reference": reference,
            "created_at": iso_s(created or self._world.clock.now()),
        }
        self.transactions.append(transaction)
        return str(transaction["id"])
