"""The API of PackageX. Docs: https://docs.packagex.io/apis/exports/retrieve (seen 2026-11)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Any

from tap_exports.engine.clock import from_text, to_text
from tap_exports.engine.decode.instants import instant_text
from tap_exports.engine.http import Client, Reply, fields
from tap_exports.engine.http.shifting import newest_first, read_shifting
from tap_exports.engine.http.whole import WholeList
from tap_exports.engine.jobs.echo import different, means_same
from tap_exports.engine.jobs.statuses import still_completed
from tap_exports.engine.model import Job, Offer, Page, RemoteFile, Request, Row, Status, Window
from tap_exports.errors import BadContentError, FileGoneError, JobLostError, NotFoundError

API_URL = "https://api.packagex.io"
PATH = "/v1/exports"
LIMIT = 100  # No maximum is documented; where the server caps it, its pages tell.
RETENTION = timedelta(hours=24)
SAMPLES = 5

# https://docs.packagex.io/apis/exports/write: the values of `resource`.
RESOURCES = (
    "contact",
    "group",
    "fulfillment",
    "item",
    "location",
    "manifest",
    "shipment",
    "tracker",
    "shipping_label_inference",
    "asset",
)

STATUSES = {
    "queued": Status.PENDING,
    "processing": Status.RUNNING,
    "completed": Status.COMPLETED,
    "failed": Status.FAILED,
    "timed_out": Status.TIMED_OUT,
}

# https://docs.packagex.io/apis/exports/overview: dates in CSV take this form; ours keeps the offset.
CSV_DATES = {"timezone": "UTC", "datetime_format": "yyyy-MM-dd'T'HH:mm:ssxxx"}

# The URL field of an export, and the file behind it.
JSON = ("_json_url", "export.json", "json")
CSV = ("_csv_url", "export.csv", "csv")
ERRORS = ("_csv_error_url", "errors.csv", "csv")
SANITIZED = ("_csv_sanitized_url", "sanitized.csv", "csv")
Wanted = Sequence[tuple[str, str, str]]


class PackagexApi:
    """The verbs of PackageX.

    Args:
        client: Sends requests with the key.
        wanted: The file to read, by preference.
    """

    def __init__(self, client: Client, wanted: Wanted = (JSON, CSV)) -> None:
        """Keep the client."""
        self._client = client
        self.time = client.time
        self.time.ask = lambda: client.get(PATH, {"page": 1, "limit": 1})
        self._wanted = wanted

    # https://docs.packagex.io/apis/exports/retrieve: no filter on dates; jobs vanish after 24 hours, the oldest first.
    def list(self, path: str, window: Window | None) -> Iterator[Page]:
        """Yield the exports, oldest first, all of them: the caller cuts."""
        del window
        return read_shifting(lambda number, size: self._page(path, number, size, "asc"), LIMIT, f"packagex {path}")

    def _page(self, path: str, number: int, size: int, direction: str) -> Page:
        params = {"page": number, "limit": size, "order_by": "created_at", "direction": direction}
        return parse_page(self._client.get(path, params).json())

    def _newest(self) -> Iterator[Row]:
        return newest_first(lambda number, size: self._page(PATH, number, size, "desc"), LIMIT, f"packagex {PATH}")

    def look(self, path: str, params: Mapping[str, Any] | None = None) -> Reply:
        """Return the reply to a free GET, to see what the documents leave open."""
        return self._client.get(path, params)

    def offers(self) -> Iterator[Offer]:
        """Yield the documented resources, and those of exports that the organization has made lately."""
        seen = (str(item["resource"]) for item in islice(self._newest(), LIMIT) if item.get("resource"))
        for resource in dict.fromkeys([*RESOURCES, *seen]):
            yield Offer(resource, "exports", {"resource": resource, "name": resource})

    def jobs(self) -> Iterator[Job]:
        """Yield the exports of the organization, newest first."""
        return map(parse_job, self._newest())

    # https://docs.packagex.io/apis/exports/write: options as in the resource's own list.
    def submit(self, request: Request) -> Job:
        """Create the export of a window."""
        reply = self._client.send("POST", PATH, body=body_of(request), idempotent=False)
        return parse_job(unwrap(reply.json()))

    # https://docs.packagex.io/apis/exports/retrieve: captures differ in which flag brings which URL, so both are sent.
    def poll(self, job: Job) -> Job:
        """Return the job as it stands.

        Raises:
            JobLostError: It was removed.
            FileGoneError: Its files were: 24 hours have passed.
        """
        try:
            reply = self._client.get(f"{PATH}/{job.id}", {"include_csv": True, "include_json": True})
        except NotFoundError as error:
            raise JobLostError(error.message) from error
        seen = parse_job(unwrap(reply.json()))
        if is_removed(seen, reply):
            msg = f"packagex: export {job.id} is older than 24 hours, its files are gone"
            raise FileGoneError(msg)
        return seen

    def open(self, job: Job) -> Sequence[RemoteFile]:
        """Return the wanted file of a completed export, with a fresh URL; errors and held out rows may have none.

        Raises:
            NotReadyError: It is not completed, as a replica that lags says.
            BadContentError: The rows have no URL, and the export does not say that there are none.
        """
        return parse_files(still_completed(job, self.poll(job), "packagex").data, self._wanted)

    # The list echoes `options`, as far as is known; an export that does not echo them is not recognised.
    def find(self, request: Request, since: datetime, closed: Collection[str] = ()) -> Job | None:
        """Return the job that this very request created: its resource and options are echoed in the list."""
        asked = body_of(request)
        for item in takewhile(lambda row: not is_older(row, since), self._newest()):
            job = parse_job(item)
            if job.id not in closed and is_same(item, asked) and job.status not in {Status.FAILED, Status.TIMED_OUT}:
                return job
        return None

    def earlier(self, request: Request, since: datetime) -> Iterator[tuple[Job, Window | None]]:
        """Yield the exports created since whose echo is this very request, with the window that it names."""
        for item in takewhile(lambda row: not is_older(row, since), self._newest()):
            window = window_of(item, request.params["replication_key"])
            if window and is_exactly(item, body_of(replace(request, window=window))):
                yield parse_job(item), window

    def contradiction(self, request: Request, job: Job) -> str:
        """Return what an export shows that differs from the request: its resource, and options as far as is known."""
        asked, echoed = body_of(request), job.data.get("options")
        options = different(asked["options"], echoed if isinstance(echoed, Mapping) else {})
        resource = different({"resource": asked["resource"]}, job.data)
        return ", ".join([*resource, *(name for name in options if name != "limit")])

    def completed(self, request: Request, window: Window) -> Iterator[Job]:
        """Yield the exports of a resource created in a window."""
        for page in WholeList(lambda: self.list(PATH, window), ("id",), f"packagex {PATH}").required():
            for item in page.items:
                job = parse_job(item)
                if is_like(item, request.params) and job.created_at is not None and is_within(job.created_at, window):
                    yield job

    def samples(self, request: Request) -> Iterator[Job]:
        """Yield the newest completed exports of the resource."""
        found = 0
        for item in self._newest():
            job = parse_job(item)
            if item.get("resource") == request.params["resource"] and job.status is Status.COMPLETED:
                yield job
                found += 1
            if found == SAMPLES:
                return


def body_of(request: Request) -> dict[str, Any]:
    """Return the body that asks for an export."""
    params = request.params
    options = {"limit": "all", **params["options"]}
    if request.window:
        options[params["replication_key"]] = date_filter(request.window)
    columns = {"columns": dict.fromkeys(params["columns"], True)} if params["columns"] else {}
    return {"resource": params["resource"], "options": options, "csv_field_options": {**CSV_DATES, **columns}}


# https://docs.packagex.io/apis/getting-started/date-filters: `bwi` takes two dates, the first before the second.
def date_filter(window: Window) -> str:
    """Return the filter for a window, both ends inclusive."""
    if window.start is None:
        return f"lte:{to_text(window.end)}"
    if window.start == window.end:
        return f"equals:{to_text(window.end)}"
    return f"bwi:{to_text(window.start)},{to_text(window.end)}"


def window_of(item: Row, key: str) -> Window | None:
    """Return the window that an export's echoed filter names, or None; the reverse of `date_filter`."""
    kind, _, rest = str(fields.mapping(item.get("options")).get(key)).partition(":")
    first, _, second = rest.partition(",")
    try:
        if kind == "bwi":
            return Window(from_text(first), from_text(second))
        instant = from_text(first)
    except ValueError:
        return None
    return {"lte": Window(None, instant), "equals": Window(instant, instant)}.get(kind)


def unwrap(body: Any) -> Row:  # noqa: ANN401 - `Any` stops here
    """Return the object of a reply, with or without a `data` around it.

    Raises:
        BadContentError: There is none.
    """
    return fields.record(body, "packagex")


def parse_page(body: Any) -> Page:  # noqa: ANN401 - `Any` stops here
    """Return a page: `{"data": […], "pagination": {"has_more", "total_count", "limit"}}`; without the latter the last.

    Raises:
        BadContentError: There is no array in it.
    """
    outer = body if isinstance(body, dict) else {"data": body}
    items = fields.records(outer.get("data", {}), f"packagex {PATH}: `data` of a list", key="id")
    turns = fields.mapping(outer.get("pagination"))
    more = fields.flag(turns.get("has_more"))
    last = None if turns and more is None else not more
    total, size = fields.number(turns.get("total_count")), fields.number(turns.get("limit"))
    return Page([parse_export(item) for item in items], total=total, last=last, size=size)


def parse_export(item: Row) -> Row:
    """Return an export's record: instants as text, without its signed URLs."""
    shown = {k: v for k, v in item.items() if not (k.startswith("_") and k.endswith("_url"))}
    return {k: instant_text(v) if k.endswith("_at") else v for k, v in shown.items()}


def parse_job(item: Row) -> Job:
    """Return the job that an export record describes.

    Raises:
        BadContentError: It has no id.
    """
    if not item.get("id"):
        msg = "packagex: an export without an id"
        raise BadContentError(msg)
    raw, record = str(item.get("status", "")), parse_export(item)
    return Job(
        id=str(item["id"]),
        status=fields.status(STATUSES, raw),
        raw_status=raw,
        created_at=fields.instant(record.get("created_at"), f"packagex: created_at of export {item['id']}"),
        updated_at=fields.instant(record.get("updated_at"), f"packagex: updated_at of export {item['id']}"),
        progress=(item.get("count_total"), item.get("count_batches")),
        reason=item.get("reason"),
        data=item,
    )


def parse_files(item: Mapping[str, Any], wanted: Wanted) -> list[RemoteFile]:
    """Return the first wanted file that has a URL; only where there is none, a count of 0 means no rows.

    Raises:
        BadContentError: The rows have no URL.
    """
    total, rows = fields.number(item.get("count_total")), wanted[0] in {JSON, CSV}
    for field, name, form in wanted:
        if fields.text(item.get(field)):
            return [RemoteFile(name, str(item[field]), form, rows=total if rows else None)]
    if rows and total != 0:
        msg = f"packagex: export {item.get('id')} is completed, but shows neither _json_url nor _csv_url"
        raise BadContentError(msg)
    return []


def is_same(item: Row, asked: Mapping[str, Any]) -> bool:
    """Tell whether an export in the list is what a body asked for, window included."""
    echoed = item.get("options")
    if item.get("resource") != asked["resource"] or not isinstance(echoed, Mapping):
        return False
    shown = {"limit": asked["options"].get("limit"), **echoed}
    return means_same(asked["options"], shown)


def is_exactly(item: Row, asked: Mapping[str, Any]) -> bool:
    """Tell whether an export in the list is what a body asked for, and shows no filter or column beyond that."""
    echoed = fields.mapping(item.get("options"))
    added = [value for name, value in echoed.items() if name not in asked["options"] and value not in (None, "", [])]
    columns = item.get("csv_field_options")
    return is_same(item, asked) and not added and (columns is None or means_same(asked["csv_field_options"], columns))


def is_like(item: Row, params: Mapping[str, Any]) -> bool:
    """Tell whether somebody's export is of the resource, and of the configured options where it shows its own."""
    echoed = item.get("options")
    shown = echoed if isinstance(echoed, Mapping) else params["options"]
    same = all(str(shown.get(k)) == str(v) for k, v in params["options"].items())
    return bool(item.get("resource") == params["resource"] and same)


def is_older(item: Row, since: datetime) -> bool:
    """Tell whether an export was created before an instant; its own is cut to whole seconds."""
    created = parse_job(item).created_at
    return created is not None and created < since.replace(microsecond=0)


def is_within(created: datetime, window: Window) -> bool:
    """Tell whether an instant lies in a window."""
    return (window.start is None or created >= window.start) and created <= window.end


def is_removed(job: Job, reply: Reply) -> bool:
    """Tell by the provider's own clock whether the files of an ended job are gone; records may outlive them."""
    if reply.date is None or job.created_at is None or not job.status.is_terminal:
        return False
    return reply.date - job.created_at > RETENTION


def parse_error(reply: Reply) -> tuple[str, str]:
    """Return code and message of an error body: `code` or, in older replies, `error_code`."""
    body = reply.json()
    fields = "; ".join(str(e) for e in body.get("errors") or [])
    return str(body.get("code") or body.get("error_code") or ""), ": ".join(filter(None, (body.get("message"), fields)))
