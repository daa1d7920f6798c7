"""Requests, jobs and their files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from tap_exports.engine.clock import to_text


class Status(Enum):
    """Where a job stands; providers map their own words to these."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    UNKNOWN = "unknown"

    @property
    def is_terminal(self) -> bool:
        """Return whether the job will not change any more; an unknown status never is terminal."""
        return self in {Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.TIMED_OUT}


@dataclass(frozen=True, slots=True)
class Window:
    """A range of creation instants, inclusive on both sides; `start` None means from the beginning."""

    start: datetime | None
    end: datetime

    def __str__(self) -> str:
        """Return `start…end` for messages."""
        return f"{to_text(self.start) if self.start else ''}…{to_text(self.end)}"


@dataclass(frozen=True, slots=True)
class Request:
    """One export to be asked for.

    Attributes:
        provider: The provider's name.
        stream: The stream that wants the rows.
        params: What defines the export, as JSON values; the fingerprint covers them and the window.
        window: The window that the export covers, or None for a full export.
    """

    provider: str
    stream: str
    params: Mapping[str, Any]
    window: Window | None = None

    @property
    def fingerprint(self) -> str:
        """Return 32 hex digits that are equal for equal requests, whatever the order of keys."""
        bounds = [to_text(i) if i else None for i in (self.window.start, self.window.end)] if self.window else None
        content = [self.provider, self.stream, self.params, bounds]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=dict)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the provider reports it.

    Attributes:
        id: The provider's id, always as text.
        status: Where it stands.
        raw_status: The provider's own word, for messages.
        created_at: When the provider says that it was created.
        updated_at: When the provider says that it changed last, or None.
        rows: The provider's own count of rows, once it gives one.
        progress: Anything that differs once the job has moved; feeds the stall timeout.
        reason: The provider's words on a failure.
        poll_after: Seconds that the provider asks to wait before the next poll.
        credits: What the creation was charged, where the provider says so.
        warnings: What the user must know of this job, such as a capped export.
        given: Whether the request named it, so that nothing was created.
        is_capped: Whether the provider left rows out, by a limit of its own.
        data: What the same provider's verbs need of the reply, or of the request for a job that only the ledger knows;
            never leaves the process.
    """

    id: str
    status: Status
    raw_status: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    rows: int | None = None
    progress: object = None
    reason: str | None = None
    poll_after: float | None = None
    credits: int | None = None
    warnings: tuple[str, ...] = ()
    given: bool = False
    is_capped: bool = False
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file to download.

    Attributes:
        name: The name that rows carry in `_sdc_file`; stable between two reads of one job, safe for a file system.
        url: The signed URL: a secret, never printed.
        format: `csv`, `json`, `jsonl` or `archive`; a gzip layer is recognised by its first bytes. `jsonl` is read as
            `json` is, and may hold nothing.
        rows: The provider's own count of rows in this file, or None.
        ahead: Whether it is downloaded before its reader needs it, so that it must not fill the spool.
        sha256: What the provider says that the SHA-256 of its bytes is, as hex digits, or None.
        rows_at: The keys, joined by dots, of the list of rows in a JSON object; empty: it is recognised.
        columns: The names of the values, where rows are arrays.
    """

    name: str
    url: str = field(repr=False)
    format: str = "csv"
    rows: int | None = None
    ahead: bool = False
    sha256: str | None = None
    rows_at: str = ""
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A complete download in the spool.

    Attributes:
        name: As in `RemoteFile`.
        path: Where the bytes are, mode 0600.
        size: Bytes.
        sha256: Hex digest of the bytes: what makes a resume inside the file provably safe.
        etag: The strong ETag of the bytes, or None.
        member: The part that is read, where the download is a zip of several.
        max_mb: What the bytes may unpack to, in MiB (`archive_max_mb`).
        max_ratio: The same, per packed byte (`archive_max_ratio`).
        rows_at: As in `RemoteFile`.
        columns: As in `RemoteFile`.
        summed: Whether its bytes have a digest that the provider or the server of the file gives of them.
        is_whole: Whether its end is proven; False where `unframed_files: accept` took it all the same.
    """

    name: str
    path: Path
    size: int
    sha256: str
    etag: str | None = None
    member: str | None = None
    max_mb: int = 4096
    max_ratio: int = 200
    rows_at: str = ""
    columns: tuple[str, ...] = ()
    summed: bool = False
    is_whole: bool = True
