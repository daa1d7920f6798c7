"""Holds rejected rows on disk until `export_rejects` is synced; the limits may allow too many for memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import islice

import msgspec

from tap_exports.engine.model import Rejected, Row
from tap_exports.engine.spool import Spool, SpoolFile

ROWS_PER_BATCH = 1000


class RejectLog:
    """The rejects of a run, in their order.

    Args:
        spool: Returns the spool for the file; called at the first reject.
    """

    def __init__(self, spool: Callable[[], Spool]) -> None:
        """Start without a file."""
        self._spool = spool
        self._file: SpoolFile | None = None

    def add(self, stream: str, rejected: Rejected) -> None:
        """Append one reject; one of a list, which has no job, is keyed by its record, so that runs do not overwrite it.

        Raises:
            StopError: The disk is full, or the rejects outgrow `spool_max_mb`.
        """
        if self._file is None:
            self._file = self._spool().create("rejects.jsonl")
        job_id = rejected.job_id or hashlib.sha256(rejected.reject.raw.encode(errors="replace")).hexdigest()[:32]
        row = {"stream": stream, "job_id": job_id, **asdict(rejected.reject)}
        self._file.write(msgspec.json.encode(row) + b"\n")

    def batches(self) -> Iterator[list[Row]]:
        """Yield all rejects in batches of up to `ROWS_PER_BATCH`; closes the log, so call it after the last `add`."""
        if self._file is None:
            return
        self._file.close()
        with self._file.path.open("rb") as lines:
            while batch := [msgspec.json.decode(line) for line in islice(lines, ROWS_PER_BATCH)]:
                yield batch
