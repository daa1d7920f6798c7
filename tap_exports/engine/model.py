"""The values that cross module borders: requests, jobs, files, columns, batches, receipts, and a stream's events."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import pyarrow as pa

from tap_exports.engine.clock import to_text

Row = dict[str, Any]
_SHORT = 16  # characters of a decimal with at most 15 digits, which a float shows again

JOB_ID, FILE, ROW, EXTRA = "_sdc_job_id", "_sdc_file", "_sdc_row", "_sdc_extra"
OPERATION_ID, WINDOW_START, WINDOW_END = "_sdc_operation_id", "_sdc_window_start", "_sdc_window_end"


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
        rows: The provider's own count of rows, once it gives one.
        progress: Anything that differs once the job has moved; feeds the stall timeout.
        reason: The provider's words on a failure.
        poll_after: Seconds that the provider asks to wait before the next poll.
        credits: What the creation was charged, where the provider says so.
        warnings: What the user must know of this job, such as a capped export.
        given: Whether the request named it, so that nothing was created.
        data: What the same provider's verbs need of the reply, or of the request for a job that only the ledger knows;
            never leaves the process.
    """

    id: str
    status: Status
    raw_status: str = ""
    created_at: datetime | None = None
    rows: int | None = None
    progress: object = None
    reason: str | None = None
    poll_after: float | None = None
    credits: int | None = None
    warnings: tuple[str, ...] = ()
    given: bool = False
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file to download.

    Attributes:
        name: The name that rows carry in `_sdc_file`; stable between two reads of one job, safe for a file system.
        url: The signed URL: a secret, never printed.
        format: `csv`, `json` or `archive`; a gzip layer is recognised by its first bytes.
        rows: The provider's own count of rows in this file, or None.
    """

    name: str
    url: str = field(repr=False)
    format: str = "csv"
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A complete download in the spool.

    Attributes:
        name: As in `RemoteFile`.
        path: Where the bytes are, mode 0600.
        size: Bytes.
        sha256: Hex digest of the bytes: what makes a resume inside the file provably safe.
        etag: The strong ETag of the bytes, or None.
    """

    name: str
    path: Path
    size: int
    sha256: str
    etag: str | None = None


class Kind(Enum):
    """The type of a column; the values are those of JSON Schema, `date` and `date-time` being string formats."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "date-time"
    OBJECT = "object"
    ARRAY = "array"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a stream: the name in the records and its type.

    Attributes:
        name: The property's name.
        kind: Its type.
        schema: The full JSON Schema where the type alone does not say it all (nested objects), else None.
    """

    name: str
    kind: Kind
    schema: Mapping[str, Any] | None = None


class Contract(Enum):
    """What happens with a column that the catalog does not know (`schema_contract`)."""

    EVOLVE = "evolve"
    DISCARD = "discard"
    FREEZE = "freeze"


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that could not be used.

    Attributes:
        file: The file's name.
        row: Its 1-based ordinal in the file.
        column: The column, or an empty string where the whole row is at fault.
        code: `ragged`, `undecodable`, `type` or `extra`.
        message: What is wrong, with the value shortened.
        raw: The text of the row, shortened to 10,000 characters.
    """

    file: str
    row: int
    column: str
    code: str
    message: str
    raw: str


def exact_number(text: str) -> float | Decimal:
    """Return the number of a JSON text with a fraction or an exponent, as float only where that loses nothing."""
    if len(text) <= _SHORT and "e" not in text and "E" not in text:
        return float(text)
    number = Decimal(text)
    short = float(text)
    return short if Decimal(repr(short)) == number else number


# Events: what a run yields, in the order in which it has to be written ------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rows:
    """A batch of rows, in the order of the source.

    Attributes:
        data: Arrow columns for files (a field with metadata `json: raw` holds the exact text of numbers), or a list of
            records for JSON pages. Holds selected columns only.
        constants: Columns with one value for all rows of the batch (lineage).
    """

    data: pa.RecordBatch | list[Row]
    constants: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.data.num_rows if isinstance(self.data, pa.RecordBatch) else len(self.data)


@dataclass(frozen=True, slots=True)
class NewColumns:
    """Columns that the next rows hold and the schema does not know yet."""

    columns: Sequence[Column]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The ledger or a bookmark moved: write STATE before the generator goes on."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Something was left to the next run on purpose (`detach`): what earlier reads left at the target must stay."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A quarantined row, and the job that it came from."""

    job_id: str
    reject: Reject


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one job did; a row of `export_jobs`. Times are ISO 8601 text, spans seconds."""

    provider: str
    job_id: str
    stream: str
    fingerprint: str
    status: str
    window_start: str | None = None
    window_end: str | None = None
    requested_at: str | None = None
    completed_at: str | None = None
    wait_seconds: float | None = None
    read_seconds: float | None = None
    attempts: int = 1
    rows: int = 0
    rejects: int = 0
    bytes: int = 0
    sha256: str | None = None
    credits_charged: int | None = None
    reason: str | None = None
    warnings: tuple[str, ...] = ()


Event = Rows | NewColumns | Checkpoint | Unfinished | Rejected | Receipt
