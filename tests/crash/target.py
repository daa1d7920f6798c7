"""A target in a few lines: upserts by key, activates versions, keeps the last STATE."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from tests.tap.harness import Json

Key = tuple[Any, ...]


class Target:
    """What several runs leave at a target.

    Attributes:
        state: The last STATE that it took, or None.
        repeated: Rows that came although STATE covered them before, as messages.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.state: Json | None = None
        self.repeated: list[str] = []
        self._tables: dict[str, dict[Key, tuple[Any, Json]]] = {}
        self._keys: dict[str, list[str]] = {}

    def take(self, messages: Sequence[Json]) -> None:
        """Take the messages of one run, which began with the present STATE."""
        began = (self.state or {}).get("bookmarks", {})
        for message in messages:
            kind, stream = message["type"], message.get("stream", "")
            if kind == "SCHEMA":
                self._keys[stream] = message["key_properties"]
            elif kind == "RECORD":
                self._upsert(stream, message, began.get(stream, {}))
            elif kind == "ACTIVATE_VERSION":
                table = self._tables.get(stream, {})
                self._tables[stream] = {k: v for k, v in table.items() if v[0] == message["version"]}
            elif kind == "STATE":
                self.state = message["value"]

    def _upsert(self, stream: str, message: Json, bookmark: Json) -> None:
        record = message["record"]
        if is_covered(record, bookmark):
            self.repeated.append(f"{stream}: {json.dumps(record)[:200]}")
        table = self._tables.setdefault(stream, {})
        key = tuple(json.dumps(record.get(name)) for name in self._keys[stream]) or (len(table),)
        table[key] = (message.get("version"), record)

    def records(self) -> dict[str, list[Json]]:
        """Return the records of each stream."""
        return {stream: [record for _, record in table.values()] for stream, table in self._tables.items()}

    def rows(self, clean: Callable[[str, Json], Json | None]) -> dict[str, Counter[str]]:
        """Return the rows of each stream as text, with how often each is there.

        Args:
            clean: Returns a row without what differs from run to run; None leaves it out.
        """
        found = {}
        for stream, records in self.records().items():
            kept = [clean(stream, record) for record in records]
            if counted := Counter(json.dumps(record, sort_keys=True) for record in kept if record is not None):
                found[stream] = counted
        return found


def is_covered(record: Json, bookmark: Json) -> bool:
    """Tell whether a STATE says of a row that it need not come again."""
    proven = bookmark.get("replication_key_value")
    for job in bookmark.get("ledger", {}).get("jobs", ()):
        file = job.get("files", {}).get(record.get("_sdc_file"), {})
        if job["id"] == record.get("_sdc_job_id") and record["_sdc_row"] <= file.get("rows", 0):
            return True
    if proven is None:
        return False
    at = record.get("_sdc_window_end") or record.get("_sdc_operation_id") or record.get(bookmark["replication_key"])
    return at is not None and bool(at <= proven)
