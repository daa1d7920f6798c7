"""A small API on loopback for measurements: Exelensia's exports and results, Cension's runs, all from prepared bytes.

Run as `python -m bench.server`; the first line on stdout is its origin. One thread and no framework: it has to be so
much faster than what is measured that it never is the limit (`bench/work/limits.py` shows it).
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bench.table import FIELDS, WIDE

PAGE = 100
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_HEAD = "HTTP/1.1 {} OK\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n"
_SCHEMA_SINCE = datetime(2026, 1, 1, tzinfo=timezone.utc)
Query = Mapping[str, str]


@dataclass
class Export:
    """An export job."""

    id: str
    asked: dict[str, Any]
    created: datetime


@dataclass
class Api:
    """The state of the server and its answers.

    Attributes:
        data: Folder of the prepared pages.
        files: Origin of the files; job N of schema `x` gives `<files>/x`.
        job_seconds: From a job's creation to its end.
        exports: The jobs.
        pages: Pages that were read.
    """

    data: Path
    files: str
    job_seconds: float
    exports: list[Export] = field(default_factory=list)
    pages: dict[str, bytes] = field(default_factory=dict)
    most_open: int = 0
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def answer(self, method: str, path: str, query: Query, body: bytes) -> bytes:
        """Return the JSON for a request; an empty body where there is no such thing."""
        if method == "POST" and path == "/v1/exports":
            return _json(self.create(json.loads(body)))
        for pattern, reply in self.routes().items():
            if found := re.fullmatch(pattern, path):
                return reply(query, *found.groups())
        return b""

    def routes(self) -> dict[str, Callable[..., bytes]]:
        """Return what answers which path."""
        return {
            "/v1/results": self.results,
            "/v1/exports": self.listed,
            "/v1/exports/([^/]+)": lambda _, number: _json(self.shown(self.exports[int(number) - 1])),
            "/v1/exports/([^/]+)/download": lambda _, number: _json({"url": self.url(self.exports[int(number) - 1])}),
            "/v1/schemas": lambda _: _json({"data": [definition("bench")], "meta": {"total": 1, "totalPages": 1}}),
            "/v1/schemas/([^/]+)": lambda _, name: _json(definition(name)),
            "/api/operations/([0-9]+)": lambda _, number: _json({"operation": operation(int(number))}),
            "/api/export/[0-9]+": lambda query: _json(rows_of_run(int(query.get("operationId", 1)))),
            "/_most_open": lambda _: _json(self.most_open),
        }

    def results(self, query: Query) -> bytes:
        """Return one page of results, as it was prepared; read once, whoever asks for it. An empty one past the last.

        A client asks for one more after a full last page: the total may be too low.
        """
        number = query.get("page", "1")
        if number not in self.pages:
            prepared = self.data / "pages" / f"{number}.json"
            self.pages[number] = prepared.read_bytes() if prepared.exists() else self._past_the_last()
        return self.pages[number]

    def _past_the_last(self) -> bytes:
        first = json.loads((self.data / "pages" / "1.json").read_bytes())
        return _json({"data": [], "meta": first["meta"]})

    def create(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Begin a job."""
        made = Export(str(next(self._numbers)), asked, datetime.now(timezone.utc))
        self.exports.append(made)
        self.most_open = max(self.most_open, sum(self.status(each) != "COMPLETED" for each in self.exports))
        return self.shown(made)

    def status(self, export: Export) -> str:
        """Return where a job stands."""
        age = (datetime.now(timezone.utc) - export.created).total_seconds()
        return "COMPLETED" if age >= self.job_seconds else "PROCESSING"

    def shown(self, export: Export) -> dict[str, Any]:
        """Return a job as the API shows it; `url` is there for clients that read it from the job."""
        status = self.status(export)
        known = {"id": export.id, "status": status, "createdAt": _text(export.created), **export.asked}
        return known | ({"url": self.url(export)} if status == "COMPLETED" else {})

    def url(self, export: Export) -> str:
        """Return the address of a job's file."""
        return f"{self.files}/{export.asked['schema_id']}?signature={export.id}"

    def listed(self, query: Query) -> bytes:
        """Return a page of the jobs."""
        after, before = query.get("created_after", ""), query.get("created_before", "~")
        found = [each for each in self.exports if after <= _text(each.created) <= before]
        ordered = found if query.get("sort_order") == "asc" else found[::-1]
        start = (int(query.get("page", 1)) - 1) * PAGE
        shown = [self.shown(each) for each in ordered[start : start + PAGE]]
        return _json({"data": shown, "meta": {"total": len(found), "totalPages": -(-len(found) // PAGE)}})


@lru_cache(maxsize=1 << 16)
def parsed(target: str) -> tuple[str, Query]:
    """Return path and query of a request's target; all sides ask for the same pages, again and again."""
    parts = urlsplit(target)
    return parts.path, {name: values[0] for name, values in parse_qs(parts.query).items()}


def definition(name: str) -> dict[str, Any]:
    """Return the definition of a schema, which is named as its file: its columns."""
    wide = {"id": "integer"} | {f"c{number}": "string" for number in range(1, WIDE)}
    columns = {"wide": wide, "long": {"id": "integer", "text": "string"}}.get(name.partition("-")[0], FIELDS)
    fields = [{"key": each, "type": kind} for each, kind in columns.items()]
    return {"id": name, "schema": {"fields": fields}, "createdAt": _text(_SCHEMA_SINCE)}


def operation(number: int) -> dict[str, Any]:
    """Return a run that is over."""
    return {"operationId": number, "status": "completed", "startedAt": _text(_SCHEMA_SINCE), "processedItems": 1}


def rows_of_run(number: int) -> dict[str, Any]:
    """Return the one row of a run."""
    return {"data": {"items": [{"company": f"Company {number}", "score": number}], "total_count": 1, "total_pages": 1}}


class Connection(asyncio.Protocol):
    """One connection with keep-alive."""

    def __init__(self, api: Api, latency: float) -> None:
        """Keep the answers and how long one takes."""
        self.api, self.latency, self.buffer = api, latency, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that is complete."""
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, _, rest = self.buffer.partition(b"\r\n\r\n")
            found = _LENGTH.search(head)
            size = int(found[1]) if found else 0
            if len(rest) < size:
                return
            self.buffer = rest[size:]
            self.respond(head.split(b"\r\n", 1)[0].decode(), rest[:size])

    def respond(self, line: str, body: bytes) -> None:
        """Answer one request, after the latency of a list's page."""
        method, target, _ = line.split(" ")
        path, query = parsed(target)
        content = self.api.answer(method, path, query, body)
        kind = "application/json" if content[:1] in b"[{" else "application/octet-stream"
        status = (201 if method == "POST" else 200) if content else 404
        reply = _HEAD.format(status, kind, len(content)).encode() + content
        if self.latency and path == "/v1/results":
            asyncio.get_running_loop().call_later(self.latency, self.write, reply)
        else:
            self.write(reply)

    def write(self, reply: bytes) -> None:
        """Send a reply."""
        if isinstance(self.transport, asyncio.WriteTransport) and not self.transport.is_closing():
            self.transport.write(reply)


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _text(instant: datetime) -> str:
    # Cut, not rounded: a job must not lie after the bound that its own text gives.
    floored = instant - timedelta(microseconds=instant.microsecond % 1000)
    return floored.strftime("%Y-%m-%dT%H:%M:%S.") + f"{floored.microsecond // 1000:03d}Z"


async def serve(api: Api, latency: float) -> None:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(api, latency), "127.0.0.1", 0, backlog=256)
    origin = "http://{}:{}".format(*server.sockets[0].getsockname())
    api.files = api.files or f"{origin}/file"
    print(origin, flush=True)
    await server.serve_forever()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--files", default="")
    parser.add_argument("--job-seconds", type=float, default=0)
    parser.add_argument("--latency", type=float, default=0, help="seconds before a page of results")
    given = parser.parse_args()
    asyncio.run(serve(Api(given.data, given.files, given.job_seconds), given.latency))


if __name__ == "__main__":
    main()
