"""The values that cross module borders: requests, jobs, files, columns, rows, receipts, and the events of a stream."""

from tap_exports.engine.model.columns import (
    ACCOUNT,
    COPY,
    DIGEST,
    EXTRA,
    FILE,
    JOB_ID,
    OPERATION_ID,
    ROW,
    WINDOW_END,
    WINDOW_START,
    Column,
    Contract,
    Kind,
)
from tap_exports.engine.model.events import Checkpoint, Event, NewColumns, Proven, Receipt, Rejected
from tap_exports.engine.model.jobs import Job, LocalFile, RemoteFile, Request, Status, Window
from tap_exports.engine.model.offers import Offer
from tap_exports.engine.model.progress import Progress
from tap_exports.engine.model.rows import Page, Place, Reject, Row, Rows, exact_number
from tap_exports.engine.model.steps import Action, Step

__all__ = [
    "ACCOUNT",
    "COPY",
    "DIGEST",
    "EXTRA",
    "FILE",
    "JOB_ID",
    "OPERATION_ID",
    "ROW",
    "WINDOW_END",
    "WINDOW_START",
    "Action",
    "Checkpoint",
    "Column",
    "Contract",
    "Event",
    "Job",
    "Kind",
    "LocalFile",
    "NewColumns",
    "Offer",
    "Page",
    "Place",
    "Progress",
    "Proven",
    "Receipt",
    "Reject",
    "Rejected",
    "RemoteFile",
    "Request",
    "Row",
    "Rows",
    "Status",
    "Step",
    "Window",
    "exact_number",
]
