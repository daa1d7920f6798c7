"""The API of Cornect. Docs: https://cornect.io/docs/api/reference/exports/create (seen 2026-11)."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Any, Literal

from tap_exports.engine.clock import Clock
from tap_exports.engine.http import Client, Pace, Reply, again, fields
from tap_exports.engine.http.pace import Answered
from tap_exports.engine.jobs.budget import Budget
from tap_exports.engine.model import Job, Offer, Page, RemoteFile, Request, Row, Status, Window
from tap_exports.errors import (
    JobLostError,
    NotFoundError,
    NotReadyError,
    PaymentError,
    RefusedError,
    StopError,
    TapError,
    is_outcome_unknown,
)

API_URL = "https://api.cornect.io"
EXPORTS, SEARCH, CREDITS = "/api/v1/exports", "/api/v1/companies/search", "/api/v1/credits"
CAP = 10_000  # https://cornect.io/docs/api/guides/credit-consumption: companies in one export
SAMPLES = 5
SKEW = timedelta(hours=1)  # between an export and its transaction

# https://cornect.io/docs/api/reference/exports/get
STATUSES = {
    "pending": Status.PENDING,
    "processing": Status.RUNNING,
    "completed": Status.COMPLETED,
    "failed": Status.FAILED,
}

# The page of each endpoint: requests a minute per token.
PER_MINUTE = {"create": 5, "export": 120, "download": 30, "search": 60, "credits": 60}

CREATED = re.compile(r"export:(?P<id>[^:]+):create")
EMPTY = "no_candidates-"  # begins the id of an export that was refused because it would be empty


@dataclass(slots=True)
class _Quote:
    """Reserves what a creation may cost, before each attempt: it may have grown while the provider was busy.

    Attributes:
        pace: Of creations.
        budget: What may be spent.
        stream: Whose creation it is.
        price: Returns the most that it can cost now, and the balance.
        need: What it returned last.
        balance: As `need`.
        is_taken: Whether that is reserved.
    """

    pace: Pace
    budget: Budget
    stream: str
    price: Callable[[], tuple[int, int]]
    need: int = 0
    balance: int = 0
    is_taken: bool = False

    def before(self) -> None:
        """Wait for the pace, then reserve anew.

        Raises:
            PaymentError: The budget or the balance does not allow it.
        """
        self.pace.before()
        if self.is_taken:
            self.budget.settle(self.stream, 0)
        self.is_taken = False
        self.need, self.balance = self.price()
        self.budget.take(self.stream, self.need, self.balance)
        self.is_taken = True

    def after(self, reply: Answered) -> None:
        """Learn nothing."""


class CornectApi:
    """The verbs of Cornect; the paces hold for all streams of a token.

    Args:
        client: Sends requests with the token.
        clock: Measures the pace.
        budget: What this run may spend.
    """

    costs: Literal[True] = True

    def __init__(self, client: Client, clock: Clock, budget: Budget) -> None:
        """Start with the whole pace."""
        self._client = client
        self.time = client.time
        self.time.ask = self.credits
        self._budget, self._clock = budget, clock
        self._paces = {name: Pace(number, clock) for name, number in PER_MINUTE.items()}
        self._creating = threading.Lock()
        self.known: list[str] = []
        self._workspace: str | None = None

    # https://cornect.io/docs/api/reference/credits/get: the youngest transactions only, newest first, without pages.
    def credits(self) -> tuple[Row, list[Row]]:
        """Return workspace and balance, and the transactions, oldest first."""
        row, transactions = parse_credits(self._client.send("GET", CREDITS, gate=self._paces["credits"]).json())
        self._workspace = fields.text(row.get("workspace_id")) or self._workspace
        return row, transactions

    @property
    def account(self) -> str | None:
        """Return the workspace, to which a token is bound; asked for once, which is free."""
        if self._workspace is None:
            self._workspace = ""
            with contextlib.suppress(TapError):
                self.credits()
        return self._workspace or None

    # https://cornect.io/docs/api/guides/pagination: the cursor goes into the body, beside the same filters.
    def search(self, filters: Mapping[str, Any]) -> Iterator[Page]:
        """Yield the pages of a company search, which is free.

        Raises:
            StopError: A cursor came twice.
        """
        cursor, seen = None, set[str]()
        while True:
            body = {**filters, "cursor": cursor} if cursor else dict(filters)
            page, cursor = parse_search(self._client.send("POST", SEARCH, body=body, gate=self._paces["search"]).json())
            yield page
            if not cursor:
                return
            if cursor in seen:
                msg = f"cornect {SEARCH}: the same cursor came twice; the provider does not turn pages"
                raise StopError(msg)
            seen.add(cursor)

    # https://cornect.io/docs/api/reference/exports/get
    def export(self, export_id: str) -> Row:
        """Return the record of an export.

        Raises:
            NotFoundError: The workspace has no such export.
        """
        reply = self._client.send("GET", f"{EXPORTS}/{export_id}", gate=self._paces["export"])
        return fields.record(reply.json(), f"cornect: export {export_id}", key="id", inside=("data", "export_job"))

    def exports(self, window: Window | None, ids: Sequence[str]) -> Iterator[Row]:
        """Return the exports that are known: some by their ids, others by the transactions of a window.

        Args:
            window: Older transactions are passed over; None for all that the provider shows.
            ids: Further exports; one that is gone is passed over.
        """
        since = window.start - SKEW if window and window.start else None
        booked = [i for i, at in created_by(self.credits()[1]) if since is None or at >= since]
        found = (self._export_if_any(export_id) for export_id in dict.fromkeys([*ids, *self.known, *booked]))
        return (record for record in found if record is not None)

    def look(self, path: str, params: Mapping[str, Any] | None = None) -> Reply:
        """Return the reply to a free GET, to see what the documents leave open."""
        return self._client.send("GET", path, params=params, gate=self._paces["export"])

    def offers(self) -> Iterator[Offer]:
        """Yield the completed exports that were charged, newest first; to read one again costs nothing."""
        for export_id, _ in reversed(created_by(self.credits()[1])):
            record = self._export_if_any(export_id)
            if record and parse_job(record).status is Status.COMPLETED:
                name = fields.text(record.get("name")) or export_id
                yield Offer(name, "exports", {"export_id": export_id, "name": name})

    def jobs(self) -> Iterator[Job]:
        """Yield the exports that were charged, newest first; others are not known to any list."""
        transactions = self.credits()[1]
        for export_id, _ in reversed(created_by(transactions)):
            if record := self._export_if_any(export_id):
                yield replace(parse_job(record), credits=charge_of(transactions, export_id))

    def most_credits(self) -> int:
        """Return the most that one export may take: its cap, the balance, or what `max_credits` leaves."""
        return max(0, min(CAP, int(self.credits()[0]["balance"]), self._budget.left))

    def _export_if_any(self, export_id: str) -> Row | None:
        """Return an export's record, None if it is gone; one that is passed over never comes again."""
        return again.if_any(lambda: self.export(export_id), self._clock)

    # https://cornect.io/docs/api/reference/exports/create: takes credits, so the cap is checked before.
    def submit(self, request: Request) -> Job:
        """Create an export within the budget, or name the configured one.

        Raises:
            PaymentError: It could cost more than `max_credits` or the balance allows; nothing was sent.
        """
        if given := self.given(request):
            return replace(parse_job(self.export(given)), given=True)
        with self._creating:
            quote = _Quote(self._paces["create"], self._budget, request.stream, partial(self._price, request))
            try:
                reply = self._client.send("POST", EXPORTS, body=body_of(request), idempotent=False, gate=quote)
            except TapError as error:
                if is_outcome_unknown(error) or not quote.is_taken:
                    raise  # what it may have cost stays reserved
                self._budget.settle(request.stream, 0)
                if isinstance(error, RefusedError) and error.code.lower() == "no_candidates":
                    return empty_job(request)
                if isinstance(error, PaymentError):
                    raise self._budget.refused(error, quote.need, quote.balance) from error
                raise
            job = parse_created(reply.json())
            self._budget.settle(request.stream, job.credits)
            self.known.append(job.id)
            return job

    def given(self, request: Request) -> str | None:
        """Return the id of the configured export."""
        return fields.text(request.params.get("export_id"))

    def _price(self, request: Request) -> tuple[int, int]:
        """Return the most that an export can cost now, and the balance.

        Raises:
            StopError: They cannot be read; nothing was created.
        """
        try:
            balance = self.credits()[0]["balance"]
            return self._need(request, balance), balance
        except TapError as error:
            if is_outcome_unknown(error):  # of a look, which creates nothing
                raise StopError(f"{error.message}; nothing was created or spent") from error
            raise

    def _need(self, request: Request, balance: int) -> int:
        """Return the most that an export can cost; nobody tells the size of a list, so it may take all there is."""
        if request.params["source_type"] == "list":
            return min(CAP, balance)
        total = next(self.search(request.params["search_filters"])).total
        return CAP if total is None else min(total, CAP)

    # There is no list of exports: the transaction of a charge names its export, and our label holds the fingerprint.
    def find(self, request: Request, since: datetime, closed: Collection[str] = ()) -> Job | None:
        """Return the job that this very request created; one that cost nothing leaves no trace and may be repeated."""
        if given := self.given(request):
            return replace(parse_job(self.export(given)), given=True)
        if job := next(self._marked(request, since, closed), None):
            self._budget.settle(request.stream, job.credits)
            self.known.append(job.id)
        return job

    def earlier(self, request: Request, since: datetime) -> Iterator[tuple[Job, Window | None]]:
        """Yield the charged exports with our label of this request, newest first; all of them are full."""
        if not request.params.get("export_id"):
            yield from ((job, None) for job in self._marked(request, since))

    def _marked(self, request: Request, since: datetime, closed: Collection[str] = ()) -> Iterator[Job]:
        transactions = self.credits()[1]
        for export_id in [i for i, at in reversed(created_by(transactions)) if at >= since and i not in closed]:
            record = self._export_if_any(export_id)
            if record and request.fingerprint in str(record.get("name")):
                yield replace(parse_job(record), credits=charge_of(transactions, export_id))

    def poll(self, job: Job) -> Job:
        """Return the job as it stands, with the charge of its creation.

        Raises:
            JobLostError: The workspace no longer knows it.
        """
        if job.id.startswith(EMPTY):
            return replace(job, status=Status.COMPLETED, raw_status="no_candidates")
        try:
            seen = parse_job(self.export(job.id))
        except NotFoundError as error:
            raise JobLostError(error.message) from error
        return replace(seen, credits=job.credits, warnings=job.warnings, is_capped=seen.is_capped or job.is_capped)

    # https://cornect.io/docs/api/reference/exports/download: POST, although the scope `read` is enough.
    def open(self, job: Job) -> Sequence[RemoteFile]:
        """Return the one file of a completed export, with a fresh URL; an empty export has none."""
        if job.id.startswith(EMPTY):
            return []
        form = str(job.data.get("export_format") or self.export(job.id).get("export_format") or "csv")
        try:
            reply = self._client.send("POST", f"{EXPORTS}/{job.id}/download", gate=self._paces["download"])
        except NotFoundError as error:
            raise JobLostError(error.message) from error
        except RefusedError as error:
            if error.status == 400:  # noqa: PLR2004 - documented: not completed
                raise NotReadyError(error.message) from error
            raise
        found = fields.record(reply.json(), f"cornect: the download of export {job.id}", key="download_url")
        return [RemoteFile(f"export.{form}", str(found["download_url"]), form)]

    def samples(self, request: Request) -> Iterator[Job]:
        """Yield the configured export, or charged ones of the same form, those of this very request first."""
        if given := self.given(request):
            records = [self.export(given)]
        else:
            alike = [r for r in self._recent if r.get("export_format") == request.params["export_format"]]
            records = sorted(alike, key=lambda record: request.fingerprint not in str(record.get("name")))
        return (job for job in map(parse_job, records) if job.status is Status.COMPLETED)

    @cached_property
    def _recent(self) -> list[Row]:
        """Return the exports that were charged last, newest first; asked for once for all streams."""
        booked = [export_id for export_id, _ in reversed(created_by(self.credits()[1]))]
        return [record for record in map(self._export_if_any, booked[:SAMPLES]) if record is not None]


def body_of(request: Request) -> dict[str, Any]:
    """Return the body that asks for an export; its label makes the job recognisable."""
    asked = {
        k: v for k, v in request.params.items() if k in {"source_type", "search_filters", "list_id", "export_format"}
    }
    return {"name": f"{request.stream} {request.fingerprint}", **asked}


def empty_job(request: Request) -> Job:
    """Return the job that stands for an export that nothing matches: completed, without rows, never at the provider."""
    warning = "no company matches: the export is empty (no_candidates)"
    return Job(f"{EMPTY}{request.fingerprint}", Status.PENDING, "no_candidates", credits=0, warnings=(warning,))


def parse_credits(body: Any) -> tuple[Row, list[Row]]:  # noqa: ANN401 - `Any` stops here
    """Return workspace and balance, and the transactions, oldest first.

    Raises:
        BadContentError: The balance is missing: nothing may be spent without knowing it.
    """
    outer = fields.record(body, f"cornect {CREDITS}", key="balance")
    listed = fields.records(outer.get("recent_transactions"), f"cornect {CREDITS}: `recent_transactions`")
    rest = {k: v for k, v in outer.items() if k != "recent_transactions"}
    rest["balance"] = fields.number(rest["balance"]) if fields.number(rest["balance"]) is not None else rest["balance"]
    return rest, sorted(listed, key=lambda t: (str(t.get("created_at")), str(t.get("id"))))


def parse_search(body: Any) -> tuple[Page, str | None]:  # noqa: ANN401 - `Any` stops here
    """Return a page of companies and the cursor of the next one.

    Raises:
        BadContentError: There is no list of companies in it.
    """
    outer = body if isinstance(body, dict) else {"items": body}
    items = fields.records(outer.get("items", {}), f"cornect {SEARCH}: `items`, the companies,")
    cursor = fields.text(outer.get("next_cursor"))
    return Page(items, total=fields.number(outer.get("total")), last=cursor is None), cursor


def parse_created(body: Any) -> Job:  # noqa: ANN401 - `Any` stops here
    """Return the job of a creation, with its charge and what the user must know.

    Raises:
        BadContentError: It names no export.
    """
    record = fields.record(body, "cornect: the reply to a creation names no export", key="id", inside=("export_job",))
    outer, warnings = fields.mapping(body), []
    if outer.get("capped_at_10k"):
        warnings.append(f"capped at {CAP} companies by the provider (capped_at_10k): split the filters")
    if outer.get("would_skip"):
        warnings.append(f"{outer['would_skip']} companies are missing: the balance did not cover them (would_skip)")
    charged = fields.number(outer.get("credits_charged", outer.get("cost")))
    return replace(parse_job(record), credits=charged, warnings=tuple(warnings), is_capped=bool(warnings))


def parse_job(record: Row) -> Job:
    """Return the job that an export record describes."""
    raw = str(record.get("status", ""))
    return Job(
        id=str(record["id"]),
        status=fields.status(STATUSES, raw),
        raw_status=raw,
        created_at=fields.instant(record.get("created_at"), f"cornect: created_at of export {record['id']}"),
        rows=fields.number(record.get("total_records")),
        is_capped=(fields.number(record.get("total_records")) or 0) >= CAP,
        progress=record.get("processed_records"),
        data={"export_format": record.get("export_format")},
    )


def created_by(transactions: Sequence[Row]) -> list[tuple[str, datetime]]:
    """Return the ids of the exports that were charged, and when, oldest first."""
    found = [(CREATED.fullmatch(str(t.get("reference"))), t.get("created_at")) for t in transactions]
    dated = [(match["id"], fields.instant(at, "cornect: created_at of a transaction")) for match, at in found if match]
    return [(export_id, at) for export_id, at in dated if at is not None]


def charge_of(transactions: Sequence[Row], export_id: str) -> int | None:
    """Return what the creation of an export was charged."""
    told = [fields.number(t.get("amount")) for t in transactions if t.get("reference") == f"export:{export_id}:create"]
    amounts = [amount for amount in told if amount is not None]
    return -sum(amounts) if amounts else None


def parse_error(reply: Reply) -> tuple[str, str]:
    """Return code and message of an error body: `detail` is an object, a text, or a list of places and messages."""
    body = reply.json()
    detail = body.get("detail", body) if isinstance(body, dict) else body
    if isinstance(detail, list):
        return "", "; ".join(f"{'.'.join(map(str, d.get('loc', ())))}: {d.get('msg')}" for d in detail)
    if isinstance(detail, dict):
        return str(detail.get("code") or ""), str(detail.get("message") or "")
    return "", str(detail)
