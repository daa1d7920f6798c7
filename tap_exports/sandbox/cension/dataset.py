"""A dataset and the operations that worked on its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, overload

from tap_exports.sandbox.clock import iso_ms
from tap_exports.sandbox.jobs import CANCELLED, COMPLETED, FAILED, PROCESSING, QUEUED, Life
from tap_exports.sandbox.web import Refusal

Item = dict[str, Any]

_STATUSES = {QUEUED: "running", PROCESSING: "running", COMPLETED: "completed", FAILED: "failed", CANCELLED: "cancelled"}


class Generated(Sequence[Item]):
    """Items for load, made when they are asked for."""

    def __init__(self, size: int) -> None:
        """Offer `size` items."""
        self._size = size

    def __len__(self) -> int:
        """Return the number of items."""
        return self._size

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        """Make one item, or several."""
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(self._size))]
        mixed = index * 2654435761 % 2**32
        return {
            "company": f"Generated Company {index:08d}",
            "website": f"c{index}.example",
            "employees": mixed % 100_000,
            "score": Decimal(mixed % 10_000) / 100,
            "active": mixed % 3 == 0,
            "code": f"{mixed % 100_000:05d}",
            "hq": {"city": f"City {mixed % 97}", "country": "Øland"},
            "note": f"line one\nline two of {index}" if index % 10 == 0 else None,
        }


@dataclass(slots=True)
class Operation:
    """One run: the items it works on, in its order, and how far it is.

    `reaches` is the share of the items that a run gets through before it ends without success.
    """

    id: int
    feed_id: int
    project_id: int
    kind: str
    items: Sequence[int]
    life: Life
    reaches: float = 0.5

    def processed(self) -> Sequence[int]:
        """Return the indices of the items that are processed by now."""
        phase = self.life.phase()
        share = phase.share if phase.name in {QUEUED, PROCESSING, COMPLETED} else self.reaches
        return self.items[: int(len(self.items) * share + 1e-9)]

    def record(self) -> Item:
        """Return the operation as the API shows it."""
        phase = self.life.phase()
        return {
            "operationId": self.id,
            "feedId": self.feed_id,
            "projectId": self.project_id,
            "operationType": self.kind,
            "status": _STATUSES.get(phase.name, phase.name),
            "processedItems": len(self.processed()),
            "totalItems": len(self.items),
            "startedAt": iso_ms(self.life.created),
            "completedAt": iso_ms(phase.since) if phase.ended else None,
            "errorMessage": phase.reason,
        }


@dataclass(slots=True)
class Dataset:
    """The items of one feed; `pending` maps items that only exist once a run has processed them to that run."""

    feed_id: int
    project_id: int
    items: Sequence[Item]
    pending: dict[int, Operation] = field(default_factory=dict)
    og_ids: dict[str, int] = field(default_factory=dict)

    def add(self, items: list[Item], og_ids: Sequence[str] = ()) -> Sequence[int]:
        """Add items and return their positions."""
        first = len(self.items)
        self.items = [*self.items, *items]
        self.og_ids.update({og_id: first + number for number, og_id in enumerate(og_ids)})
        return range(first, len(self.items))

    def position(self, og_id: str) -> int:
        """Return the position of an item: of an uploaded one by its id, of others the id is the position.

        Raises:
            Refusal: 400, there is no such item.
        """
        position = self.og_ids.get(og_id, int(og_id) if og_id.isdecimal() else -1)
        if not 0 <= position < len(self.items):
            raise Refusal(400, f"no item with og_id {og_id}")
        return position

    def visible(self) -> Sequence[int]:
        """Return the indices of the items that exist by now."""
        hidden = self._hidden()
        return [index for index in range(len(self.items)) if index not in hidden] if hidden else range(len(self.items))

    def _hidden(self) -> set[int]:
        operations = {operation.id: operation for operation in self.pending.values()}
        done = {index for operation in operations.values() for index in operation.processed()}
        return set(self.pending) - done
