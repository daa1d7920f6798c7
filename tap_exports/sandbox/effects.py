"""What an action of the fault plan does to a request, to a file and to a response.

Instead of an answer (the provider does not see the request):

- `status: 503` with `retry_after: 5` (seconds) or `retry_after_date: 5` (the same as an HTTP date), and `body: json`
  (the provider's error envelope, the default), `html`, `xml`, `text` or `empty`
- `html: true`, `xml: true`: status 200 with a page that is no data
- `redirect: URL`: status 302
- `expire: true`: status 403 as for a signed URL that has run out
- `reset: true`: the connection is reset

To the file, on the files origin (ranges are taken from the changed file):

- `replace: {text: …, encoding: utf-16}` or `{base64: …}`; `recode: latin-1`; `bom: true`
- `gzip: true` or `gzip: {members: 2, drop_bytes: 10}`; `flip_byte: 20` (damages this byte)
- `change_etag: salt`; `no_range: true` (Range is ignored)

To the answer, after the work is done:

- `lose_reply: true`: the connection is closed instead
- `truncate: 100` (Content-Length tells the same), `wrong_length: 10` (Content-Length tells so much more)
- `cut_after_bytes: 100`, `slow: {delay_seconds: 1, bytes_per_second: 1000}`
- `wrong_content_range: 10` (starts so much later than asked), `gzip_encoding: true` (Content-Encoding)

Several may stand in one action.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any

from tap_exports.sandbox.files import xml_error
from tap_exports.sandbox.web import Part, Refusal, Request, Response, Wire

_HTML = b"<!DOCTYPE html><html><head><title>Sorry</title></head><body><h1>Something went wrong</h1></body></html>"
_XML = b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>InternalError</Code><Message>Please retry</Message></Error>'
_PAGES = {
    "html": (_HTML, "text/html; charset=utf-8"),
    "xml": (_XML, "application/xml"),
    "text": (b"upstream connect error", "text/plain"),
    "empty": (b"", "text/plain"),
}
_OPTIONS = frozenset({"retry_after", "retry_after_date", "body"})


@dataclass(frozen=True, slots=True)
class Scene:
    """What effects need to know beside the action: the time, and how the provider words an error."""

    now: datetime
    envelope: Callable[[Refusal], Response]


def instead(action: Mapping[str, Any], scene: Scene) -> Response | None:
    """Return the answer that takes the place of the provider's, if the action has one."""
    for name, effect in _INSTEAD.items():
        if action.get(name):
            return effect(action, scene)
    return None


def distorted_request(action: Mapping[str, Any], request: Request) -> Request:
    """Return the request with what the files origin has to do to the file."""
    steps = tuple(partial(effect, action[name]) for name, effect in _CONTENT.items() if action.get(name) is not None)
    headers = request.headers
    if action.get("no_range"):
        headers = {name: value for name, value in headers.items() if name != "range"}
    return replace(request, headers=headers, content=steps, etag_salt=str(action.get("change_etag", "")))


def distorted_response(action: Mapping[str, Any], response: Response) -> Response:
    """Return the answer with what happens to it on its way."""
    for name, effect in _REPLY.items():
        if action.get(name) is not None:
            response = effect(response, action[name])
    return response


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


_INSTEAD: dict[str, Callable[[Mapping[str, Any], Scene], Response]] = {
    "reset": lambda _action, _scene: Response(wire=Wire(drop="reset")),
    "status": _status,
    "html": lambda _action, _scene: _page("html"),
    "xml": lambda _action, _scene: _page("xml"),
    "redirect": _redirect,
    "expire": _expire,
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


_CONTENT: dict[str, Callable[[Any, bytes], bytes]] = {
    "replace": _replace,
    "recode": _recode,
    "bom": _bom,
    "gzip": _gzip,
    "flip_byte": _flip_byte,
}


def _lose_reply(response: Response, _value: object) -> Response:
    return replace(response, wire=replace(response.wire, drop="close"))


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


def _gzip_encoding(response: Response, _value: object) -> Response:
    body = response.body.read() if isinstance(response.body, Part) else response.body
    return _with_header(replace(response, body=gzip.compress(body, mtime=0)), "Content-Encoding", "gzip")


def _with_header(response: Response, name: str, value: str) -> Response:
    others = tuple(pair for pair in response.headers if pair[0].lower() != name.lower())
    return replace(response, headers=(*others, (name, value)))


_REPLY: dict[str, Callable[[Response, Any], Response]] = {
    "gzip_encoding": _gzip_encoding,
    "truncate": _truncate,
    "wrong_content_range": _wrong_content_range,
    "wrong_length": _wrong_length,
    "cut_after_bytes": _cut,
    "slow": _slow,
    "lose_reply": _lose_reply,
}

NAMES = frozenset({*_INSTEAD, *_CONTENT, *_REPLY, *_OPTIONS, "change_etag", "no_range"})
