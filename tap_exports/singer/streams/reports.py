"""Passes receipts and rejected rows to `export_jobs` and `export_rejects` when they occur.

No STATE may cover a rejected row or a job of which the target was not told (P4). So both are written when a stream
yields them, before the STATE that follows, and not at the turn of these two streams, which come last.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Protocol, cast

from tap_exports.engine.model import ACCOUNT, Receipt, Rejected, Row
from tap_exports.engine.model.accounts import account_of, shared_name
from tap_exports.engine.secrets import Redactor


class Reported(Protocol):
    """A stream whose rows are written before its turn."""

    lineage: Sequence[str]

    def report(self, row: Row) -> None:
        """Write a row, if the stream is selected."""


class HasStreams(Protocol):
    """A tap with its streams."""

    @property
    def streams(self) -> Mapping[str, object]:
        """Return the streams by name."""


class Reports:
    """Receipts and rejects of a run.

    Args:
        tap: Has the streams `export_jobs` and `export_rejects`.
        redactor: Removes secrets from the texts of a provider.
    """

    def __init__(self, tap: HasStreams, redactor: Redactor) -> None:
        """Keep the parts; the streams are looked up when the first row comes."""
        self._tap, self._redactor = tap, redactor

    def receipt(self, receipt: Receipt) -> None:
        """Write a receipt; messages of a provider may quote an API key or a signed URL, so they are redacted."""
        clean = self._redactor.clean
        warnings = [clean(warning) for warning in receipt.warnings]
        reason = receipt.reason and clean(receipt.reason)
        self._report("export_jobs", {**asdict(receipt), "reason": reason, "warnings": warnings})

    def reject(self, stream: str, rejected: Rejected) -> None:
        """Write a reject; one of a list, which has no job, is keyed by its record, so that runs do not overwrite it."""
        job_id = rejected.job_id or hashlib.sha256(rejected.reject.raw.encode(errors="replace")).hexdigest()[:32]
        self._report("export_rejects", {"stream": stream, "job_id": job_id, **asdict(rejected.reject)})

    def _report(self, stream: str, row: Row) -> None:
        target, of = cast("Reported", self._tap.streams[stream]), str(row["stream"])
        whose = {ACCOUNT: account_of(of) or ""} if ACCOUNT in target.lineage else {}  # part of the key, so never null
        target.report({**row, "stream": shared_name(of), **whose})
