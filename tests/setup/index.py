"""A package index on loopback: the simple repository API in HTML, with digests in its links."""

from __future__ import annotations

import html
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from packaging.utils import canonicalize_name

from tests.setup.wheels import Wheel


class Index(ThreadingHTTPServer):
    """A server of wheels.

    Attributes:
        pages: HTML of each project's page, by normalized name.
        wheels: Bytes of the wheels, by file name.
        fetched: File names of the wheels that were downloaded.
        agents: Client and version of each request, such as `pip/23.0.1`.
    """

    daemon_threads = True

    def __init__(self, wheels: Iterable[Wheel]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        links = defaultdict[str, list[str]](list)
        self.wheels: dict[str, bytes] = {}
        for wheel in wheels:
            links[canonicalize_name(wheel.name)].append(link(wheel))
            self.wheels[wheel.filename] = wheel.content
        self.pages: dict[str, str] = {
            name: f"<!DOCTYPE html><body>{''.join(each)}</body>" for name, each in links.items()
        }
        self.fetched: set[str] = set()
        self.agents: set[str] = set()

    @property
    def url(self) -> str:
        """Return the root of the simple API, for pip's `--index-url`."""
        return f"http://127.0.0.1:{self.server_port}/simple"


class Handler(BaseHTTPRequestHandler):
    """Answers for one connection."""

    server: Index
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Send `/simple/<project>/` or `/files/<wheel>`."""
        self.server.agents.add(self.headers.get("User-Agent", "").split(" ")[0])
        match self.path.strip("/").split("/"):
            case "simple", project if project in self.server.pages:
                self._send("text/html", self.server.pages[project].encode())
            case "files", wheel if wheel in self.server.wheels:
                self.server.fetched.add(wheel)
                self._send("application/octet-stream", self.server.wheels[wheel])
            case _:
                self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, *arguments: object) -> None:
        """Log nothing: what a test asks for stands in the index."""

    def _send(self, kind: str, body: bytes) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def link(wheel: Wheel) -> str:
    """Return a wheel's link as it stands on its project's page."""
    yanked = ' data-yanked="broken"' if wheel.yanked else ""
    target = html.escape(f"/files/{wheel.filename}#sha256={wheel.sha256}")
    return f'<a href="{target}"{yanked}>{html.escape(wheel.filename)}</a>\n'


@contextmanager
def serve(wheels: Iterable[Wheel]) -> Iterator[Index]:
    """Serve wheels while the block runs."""
    with Index(wheels) as index:
        thread = threading.Thread(target=index.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield index
        finally:
            index.shutdown()
            thread.join()
