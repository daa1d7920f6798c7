"""The state of one Cension organization, and what starting a run does to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tap_exports.sandbox.cension import seed
from tap_exports.sandbox.cension.dataset import Dataset, Item, Operation
from tap_exports.sandbox.clock import iso_ms
from tap_exports.sandbox.jobs import CANCELLED, COMPLETED, Ended, Life, Phase, is_known
from tap_exports.sandbox.provider import World
from tap_exports.sandbox.web import Refusal

_CREDITS_PER_ITEM = 2


class Organization:
    """Datasets, operations and saved queries."""

    def __init__(self, world: World, running: Life) -> None:
        """Start with the seeds; `running` is the life of the one run that has not ended."""
        rows = world.options.rows
        self.queries = seed.queries()
        self.runs = 0
        self.credits = 0
        self._world = world
        self._datasets = seed.datasets(rows)
        self._operations = seed.operations(rows, running)
        self._newcomers = 0

    def dataset(self, export_id: int) -> Dataset:
        """Return the dataset behind an export.

        Raises:
            Refusal: 404.
        """
        if export_id not in self._datasets:
            raise Refusal(404, "Export not found")
        return self._datasets[export_id]

    def feed(self, body: Item) -> Dataset:
        """Return the dataset that a request to start a run names.

        Raises:
            Refusal: 404.
        """
        for dataset in self._datasets.values():
            if (dataset.feed_id, dataset.project_id) == (body["feedId"], body["projectId"]):
                return dataset
        raise Refusal(404, "Feed not found")

    def operation(self, operation_id: int) -> Operation:
        """Return an operation.

        Raises:
            Refusal: 404.
        """
        operation = self._operations.get(operation_id)
        if operation is None or not is_known(operation.life):
            raise Refusal(404, "Operation not found")
        return operation

    def operations(self) -> list[Operation]:
        """Return all operations that worked on something, by ascending id."""
        return [operation for _, operation in sorted(self._operations.items()) if operation.items]

    def indices(self, dataset: Dataset, operation_id: int | None) -> Sequence[int]:
        """Return the positions of a dataset's items, of one run where there is a run; an unknown run has none."""
        if operation_id is None:
            return dataset.visible()
        operation = self._operations.get(operation_id)
        return operation.processed() if operation and operation.feed_id == dataset.feed_id else ()

    def upload(self, dataset: Dataset, data_items: list[Any]) -> Sequence[int]:
        """Add raw rows, given as the API takes them (`og_id`, and `og_data` as JSON text); return their positions.

        Raises:
            Refusal: 400, an item is malformed.
        """
        return dataset.add([_parsed(entry) for entry in data_items], [entry["og_id"] for entry in data_items])

    def newcomers(self, dataset: Dataset, count: int) -> Sequence[int]:
        """Add rows that a run has found; return their positions."""
        numbers = range(self._newcomers + 1, self._newcomers + count + 1)
        self._newcomers += count
        return dataset.add([seed.new_item(number) for number in numbers])

    def start(self, dataset: Dataset, kind: str, positions: Sequence[int], life: Life, *, new: bool) -> Operation:
        """Start a run that somebody pays for; `new` rows exist only once they are processed."""
        self.runs += 1
        self.credits += _CREDITS_PER_ITEM * len(positions)
        operation = self._add(dataset, kind, positions, life)
        if new:
            dataset.pending.update(dict.fromkeys(positions, operation))
        return operation

    def cancel(self, operation: Operation) -> None:
        """Stop a run; what it has processed stays.

        Raises:
            Refusal: 400, it has ended.
        """
        phase = operation.life.phase()
        if phase.ended:
            raise Refusal(400, "Operation is not running")
        operation.reaches = phase.share
        operation.life = Ended(operation.life.created, Phase(CANCELLED, phase.share, self._world.clock.now()))

    def grow(self) -> dict[str, Any]:
        """Add a completed run with five new rows, and two rows of the saved query; return them."""
        now = self._world.clock.now()
        dataset, query = self._datasets[seed.EXPORT_ID], self.queries[seed.QUERY_ID]
        positions = self.newcomers(dataset, 5)
        operation = self._add(dataset, "horizontal", positions, Ended(now, Phase(COMPLETED, 1.0, now)))
        query.extend([seed.query_row(len(query) + each, iso_ms(now)) for each in (1, 2)])
        items = [dataset.items[position] for position in positions]
        return {"operation": operation.record(), "export_id": seed.EXPORT_ID, "items": items, "query_rows": query[-2:]}

    def _add(self, dataset: Dataset, kind: str, positions: Sequence[int], life: Life) -> Operation:
        # Numbers go on from the running seed: those of the load data are far above.
        number = max(number for number in self._operations if number < seed.LOAD_OPERATION_ID) + 1
        operation = Operation(number, dataset.feed_id, dataset.project_id, kind, positions, life)
        self._operations[number] = operation
        return operation


def _parsed(entry: Any) -> Item:
    try:
        row = json.loads(entry["og_data"])
        if isinstance(row, dict) and isinstance(entry["og_id"], str):
            return row
    except (KeyError, TypeError, ValueError):
        pass
    raise Refusal(400, "dataItems must hold og_id (text) and og_data (a JSON object as text)")
