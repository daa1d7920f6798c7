"""What an action of the fault plan does to a request, to a file and to a response.

`INSTEAD`, `CONTENT`, `LISTS` and `REPLY` hold every fault by name, with an example of its value and one sentence
about it; docs/sandbox.md shows them as tables. One action may name several faults.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from functools import partial
from http import HTTPStatus
from typing import Any, Generic, TypeVar

from tap_exports.sandbox.files import xml_error
from tap_exports.sandbox.lists import HONEST, Listing, Memory
from tap_exports.sandbox.tables import rewritten, without_value, zipped
from tap_exports.sandbox.web import Part, Refusal, Request, Response, Wire, json_response

_HTML = b"<!DOCTYPE html><html><head><title>Sorry</title></head><body><h1>Something went wrong</h1></body></html>"
_XML = b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>InternalError</Code><Message>Please retry</Message></Error>'
_PAGES = {
    "html": (_HTML, "text/html; charset=utf-8"),
    "xml": (_XML, "application/xml"),
    "text": (b"upstream connect error", "text/plain"),
    "empty": (b"", "text/plain"),
}
F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class Effect(Generic[F]):
    """One fault.

    Attributes:
        apply: what it does.
        meaning: what happens then, as one sentence.
        example: a value that a plan may give it.
        options: further keys of the same action, each with an example and a sentence.
    """

    apply: F
    meaning: str
    example: object = True
    options: Mapping[str, tuple[object, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scene:
    """What effects need to know beside the action: the time, and how the provider words an error."""

    now: datetime
    envelope: Callable[[Refusal], Response]


def instead(action: Mapping[str, Any], scene: Scene) -> Response | None:
    """Return the answer that takes the place of the provider's, if the action has one."""
    for name, effect in INSTEAD.items():
        if action.get(name):
            return effect.apply(action, scene)
    return None


def distorted_request(action: Mapping[str, Any], request: Request, memory: Memory) -> Request:
    """Return the request with what the files origin has to do to the file, and the API to a list."""
    for name, effect in CONTENT.items():
        if _is_given(action, name):
            request = effect.apply(request, action[name])
    listing = HONEST
    for name, moves in LISTS.items():
        if _is_given(action, name):
            listing = moves.apply(replace(listing, memory=memory), action[name])
    return replace(request, listing=listing)


def distorted_response(action: Mapping[str, Any], response: Response) -> Response:
    """Return the answer with what happens to it on its way."""
    for name, effect in REPLY.items():
        if _is_given(action, name):
            response = effect.apply(response, action[name])
    return response


def _is_given(action: Mapping[str, Any], name: str) -> bool:
    # 0 is a value, as in `truncate: 0`.
    return action.get(name) is not None and action[name] is not False


def _status(action: Mapping[str, Any], scene: Scene) -> Response:
    status, kind = int(action["status"]), action.get("body", "json")
    response = (
        scene.envelope(Refusal(status, "the sandbox was told to fail")) if kind == "json" else _page(kind, status)
    )
    extra = tuple(_retry_after(action, scene.now))
    return replace(response, headers=(*response.headers, *extra))


def _retry_after(action: Mapping[str, Any], now: datetime) -> list[tuple[str, str]]:
    if "retry_after_date" in action:
        due = now + timedelta(seconds=float(action["retry_after_date"]))
        return [("Retry-After", format_datetime(due, usegmt=True))]
    return [("Retry-After", str(action["retry_after"]))] if "retry_after" in action else []


def _page(kind: str, status: int = 200) -> Response:
    body, media_type = _PAGES[kind]
    return Response(status, body, (("Content-Type", media_type),))


def _redirect(action: Mapping[str, Any], _scene: Scene) -> Response:
    return Response(302, b"", (("Location", str(action["redirect"])),))


def _expire(_action: Mapping[str, Any], _scene: Scene) -> Response:
    return xml_error(Refusal(403, "Request has expired", code="AccessDenied"))


def _nothing(action: Mapping[str, Any], _scene: Scene) -> Response:
    kind = action["nothing"]
    return json_response({"data": None}) if kind == "data" else Response(int(kind), b"")


def _challenge(_action: Mapping[str, Any], _scene: Scene) -> Response:
    page = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>"
    return Response(403, page, (("Content-Type", "text/html"), ("Server", "cloudflare"), ("CF-Mitigated", "challenge")))


_Instead = Callable[[Mapping[str, Any], Scene], Response]
INSTEAD: Mapping[str, Effect[_Instead]] = {
    "reset": Effect(lambda _action, _scene: Response(wire=Wire(drop="reset")), "The connection is reset."),
    "status": Effect(
        _status,
        "An answer with this status.",
        503,
        {
            "body": (
                "html",
                "Body of `status`: `json` (default; the provider's error), `html`, `xml`, `text`, `empty`.",
            ),
            "retry_after": (5, "Header `Retry-After` of `status`, in seconds; 0 or a fraction too."),
            "retry_after_date": (
                5,
                "The same header as an HTTP date, so many seconds ahead; negative: behind.",
            ),
        },
    ),
    "html": Effect(lambda _action, _scene: _page("html"), "Status 200 with an HTML page."),
    "xml": Effect(lambda _action, _scene: _page("xml"), "Status 200 with an XML error document."),
    "redirect": Effect(_redirect, "Status 302 to this address.", "http://127.0.0.1:9/"),
    "expire": Effect(_expire, "Status 403, as for a signed URL that has expired."),
    "nothing": Effect(_nothing, 'A success without a body, with this status; `data`: with `{"data": null}`.', 204),
    "challenge": Effect(_challenge, "Status 403 with a page of a gateway in front of the API."),
}


def _replace(value: Mapping[str, str], _data: bytes) -> bytes:
    if "base64" in value:
        return base64.b64decode(value["base64"])
    return value["text"].encode(value.get("encoding", "utf-8"))


def _recode(encoding: str, data: bytes) -> bytes:
    return data.decode("utf-8").encode(encoding, errors="replace")


def _bom(_value: object, data: bytes) -> bytes:
    return b"\xef\xbb\xbf" + data


def _gzip(value: Any, data: bytes) -> bytes:
    options = value if isinstance(value, Mapping) else {}
    members = int(options.get("members", 1))
    step = len(data) // members + 1
    parts = [data[start : start + step] for start in range(0, max(len(data), 1), step)]
    packed = b"".join(gzip.compress(part, mtime=0) for part in parts)
    return packed[: len(packed) - int(options.get("drop_bytes", 0))]


def _flip_byte(index: int, data: bytes) -> bytes:
    return data[:index] + bytes([data[index] ^ 0xFF]) + data[index + 1 :]


def _no_range(request: Request, _value: object) -> Request:
    return replace(request, headers={name: value for name, value in request.headers.items() if name != "range"})


def _change_etag(request: Request, salt: object) -> Request:
    return replace(request, etag_salt=str(salt))


_Content = Callable[[Request, Any], Request]


def _on_bytes(change: Callable[[Any, bytes], bytes]) -> _Content:
    return lambda request, value: replace(request, content=(*request.content, partial(change, value)))


CONTENT: Mapping[str, Effect[_Content]] = {
    "replace": Effect(
        _on_bytes(_replace),
        "The file holds this text instead (UTF-8 unless `encoding` is given), or the bytes of `{base64: …}`.",
        {"text": "a;b", "encoding": "utf-16"},
    ),
    "csv": Effect(
        _on_bytes(rewritten),
        "The CSV file is written in another dialect; `tap_exports/sandbox/tables.py` lists what there is.",
        {"delimiter": "|", "all": True},
    ),
    "recode": Effect(_on_bytes(_recode), "The text of the file is encoded this way instead of in UTF-8.", "utf-16"),
    "bom": Effect(_on_bytes(_bom), "The file starts with a UTF-8 byte-order mark."),
    "zip": Effect(
        _on_bytes(zipped),
        "The CSV file is a zip of so many parts, and of what systems leave beside files.",
        {"parts": 2, "litter": True},
    ),
    "gzip": Effect(
        _on_bytes(_gzip),
        "The file is compressed; in so many members and without its last bytes, where they are given; or `true`.",
        {"members": 2, "drop_bytes": 10},
    ),
    "flip_byte": Effect(_on_bytes(_flip_byte), "The byte at this offset is inverted.", 20),
    "no_range": Effect(_no_range, "`Range` is ignored: the whole file is sent with status 200."),
    "change_etag": Effect(_change_etag, "The entity tag is another one, as of a file that has changed.", "v2"),
}


_List = Callable[[Listing, Any], Listing]
LISTS: Mapping[str, Effect[_List]] = {
    "ties": Effect(
        lambda listing, _value: replace(listing, ties=True),
        "Records that sort alike come in another order with each request; all records where no order is documented.",
    ),
    "delete": Effect(
        lambda listing, count: replace(listing, delete=int(count)),
        "So many records of the first page are gone once the second one is asked for.",
        1,
    ),
    "insert": Effect(
        lambda listing, count: replace(listing, insert=int(count)),
        "So many records at the start of the list are there only once the second page is asked for.",
        1,
    ),
    "total": Effect(
        lambda listing, value: replace(listing, total=value),
        "The total of the list is said to be this; negative: so much too low; `absent`: no total.",
        -1,
    ),
    "ignore_page": Effect(
        lambda listing, _value: replace(listing, ignore_page=True), "Whatever page is asked for, the first one comes."
    ),
}


def _lose_reply(response: Response, _value: object) -> Response:
    return replace(response, wire=replace(response.wire, drop="close"))


def _odd_status(response: Response, status: int) -> Response:
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return replace(response, status=status)
    target = (("Location", "/moved"),) if status < HTTPStatus.BAD_REQUEST else ()
    return replace(response, status=status, body=_PAGES["text"][0], headers=(("Content-Type", "text/plain"), *target))


def _truncate(response: Response, size: int) -> Response:
    body = response.body.head(size) if isinstance(response.body, Part) else response.body[:size]
    return replace(response, body=body)


def _wrong_length(response: Response, error: int) -> Response:
    return replace(response, wire=replace(response.wire, length_error=error))


def _cut(response: Response, size: int) -> Response:
    return replace(response, wire=replace(response.wire, cut_after=size))


def _slow(response: Response, value: Mapping[str, float]) -> Response:
    wire = replace(
        response.wire,
        delay_seconds=value.get("delay_seconds", 0.0),
        bytes_per_second=value.get("bytes_per_second"),
    )
    return replace(response, wire=wire)


def _wrong_content_range(response: Response, shift: int) -> Response:
    span, _, size = (response.header("Content-Range") or "").removeprefix("bytes ").partition("/")
    if "-" not in span:
        return response
    first, last = span.split("-")
    changed = f"bytes {int(first) + shift}-{int(last) + shift}/{size}"
    return _with_header(response, "Content-Range", changed)


def _null_field(response: Response, field: str) -> Response:
    body = response.body.read() if isinstance(response.body, Part) else response.body
    return replace(response, body=without_value(field, body))


def _gzip_encoding(response: Response, _value: object) -> Response:
    body = response.body.read() if isinstance(response.body, Part) else response.body
    return _with_header(replace(response, body=gzip.compress(body, mtime=0)), "Content-Encoding", "gzip")


def dated(response: Response, seconds: float) -> Response:
    """Return the answer with a `Date` that is so many seconds ahead of the time."""
    shown = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    return _with_header(response, "Date", format_datetime(shown, usegmt=True))


def _stored_encoding(response: Response, value: str) -> Response:
    return _with_header(response, "Content-Encoding", value)


def _digest(response: Response, _value: object) -> Response:
    return _with_header(response, "Repr-Digest", f"sha-256=:{base64.b64encode(bytes(32)).decode()}:")


def _unframed(response: Response, _value: object) -> Response:
    return replace(response, wire=replace(response.wire, framed=False))


def _with_header(response: Response, name: str, value: str) -> Response:
    others = tuple(pair for pair in response.headers if pair[0].lower() != name.lower())
    return replace(response, headers=(*others, (name, value)))


_Reply = Callable[[Response, Any], Response]
REPLY: Mapping[str, Effect[_Reply]] = {
    "null_field": Effect(
        _null_field, "In the JSON reply, this field of the first record is null, and missing in the second.", "status"
    ),
    "gzip_encoding": Effect(_gzip_encoding, "The body is compressed, with `Content-Encoding: gzip`."),
    "truncate": Effect(_truncate, "Only the first bytes of the body, and a `Content-Length` that agrees.", 100),
    "wrong_content_range": Effect(
        _wrong_content_range, "`Content-Range` starts so many bytes after what was asked.", 10
    ),
    "wrong_length": Effect(_wrong_length, "`Content-Length` is so much greater than the body.", 10),
    "cut_after_bytes": Effect(_cut, "The connection is closed after so many bytes of the body.", 100),
    "slow": Effect(
        _slow,
        "The answer starts so much later, and its body goes out at this speed; either may be absent.",
        {"delay_seconds": 1, "bytes_per_second": 1000},
    ),
    "date_skew": Effect(dated, "`Date` is so many seconds ahead of the time, or behind.", -300),
    "lose_reply": Effect(_lose_reply, "The connection is closed instead of an answer; the request took effect."),
    "odd_status": Effect(
        _odd_status,
        "The request took effect and this status is told: below 300 with the body, otherwise with a text instead.",
        502,
    ),
    "stored_encoding": Effect(_stored_encoding, "`Content-Encoding` says this over bytes as they were.", "aws-chunked"),
    "digest": Effect(_digest, "A `Repr-Digest` that is false."),
    "unframed": Effect(
        _unframed, "No `Content-Length`: the connection ends the body; a cut shows nowhere (`cut_after_bytes`)."
    ),
}

_OPTIONS = frozenset(name for effect in INSTEAD.values() for name in effect.options)
NAMES = frozenset({*INSTEAD, *CONTENT, *LISTS, *REPLY, *_OPTIONS})
