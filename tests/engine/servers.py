"""A scripted HTTP server on loopback: one step per request, the last step for all that follow."""

from __future__ import annotations

import json
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from typing_extensions import Self

Step = Callable[["Handler"], None]


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    headers: Message
    body: bytes


class Handler(BaseHTTPRequestHandler):
    """Runs the step that is due."""

    protocol_version = "HTTP/1.1"
    server: Server

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def run(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.next_step(Seen(self.command, self.path, self.headers, body))(self)

    do_GET = do_HEAD = do_POST = do_DELETE = do_CONNECT = run  # noqa: N815 - the names are http.server's

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        pass

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response_only(status)  # without a Server header: what a gateway calls itself is in the steps
        self.send_header("Date", self.date_time_string())
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def reset(self) -> None:
        """Break the connection with RST."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True


@dataclass(eq=False)
class Server(ThreadingHTTPServer):
    """Answers with its steps and remembers the requests.

    Attributes:
        steps: What to do, request by request.
        seen: The requests so far.
        connections: How many connections were accepted.
        tls: Serves TLS where given.
    """

    steps: list[Step]
    tls: ssl.SSLContext | None = None
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0

    daemon_threads = True

    def __post_init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.released = threading.Event()
        if self.tls:
            self.socket = self.tls.wrap_socket(self.socket, server_side=True)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        connection, address = super().get_request()
        self.connections += 1
        connection.settimeout(10)
        return connection, address

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent: broken connections are what these tests are about."""

    def next_step(self, request: Seen) -> Step:
        self.seen.append(request)
        return self.steps[min(len(self.seen), len(self.steps)) - 1]


def reply(status: int = 200, body: object = b"", **headers: str) -> Step:
    """Answer completely; a body that is not bytes is sent as JSON, `_` in header names stands for `-`."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    kind = {} if isinstance(body, bytes) else {"Content-Type": "application/json"}

    def step(handler: Handler) -> None:
        handler.head(status, {**kind, "Content-Length": str(len(content)), **named})
        handler.wfile.write(content)

    return step


def cut(body: bytes, announced: int, **headers: str) -> Step:
    """Announce more than is sent, then hang up."""

    def step(handler: Handler) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.head(200, {"Content-Length": str(announced), **named})
        handler.wfile.write(body)
        handler.close_connection = True

    return step


def reset(handler: Handler) -> None:
    """Break the connection without a reply."""
    handler.reset()


def hang(handler: Handler) -> None:
    """Say nothing until the test is over."""
    handler.server.released.wait(10)
    handler.close_connection = True


@dataclass(frozen=True, slots=True)
class Store:
    """A step that serves a file as an object store does.

    Attributes:
        content: The file.
        etag: Its ETag, empty for none.
        modified: Its Last-Modified, empty for none.
        stop_at: Where the body breaks off, as an offset in the file, or None.
        ranges: Whether it honours Range, and If-Range where it is sent.
        break_with: `close` or `reset`.
    """

    content: bytes
    etag: str = '"v1"'
    modified: str = ""
    stop_at: int | None = None
    ranges: bool = True
    break_with: str = "close"

    def __call__(self, handler: Handler) -> None:
        start = self._start(handler.headers)
        end = len(self.content)
        headers = {"Content-Length": str(end - start), "Content-Type": "text/csv"}
        headers |= {"ETag": self.etag} if self.etag else {}
        headers |= {"Last-Modified": self.modified} if self.modified else {}
        headers |= {"Content-Range": f"bytes {start}-{end - 1}/{end}"} if start else {}
        handler.head(206 if start else 200, headers)
        handler.wfile.write(self.content[start : self.stop_at])
        if self.stop_at is not None:
            handler.close_connection = True
            if self.break_with == "reset":
                handler.reset()

    def _start(self, headers: Message) -> int:
        wanted = re.fullmatch(r"bytes=(\d+)-", headers.get("Range") or "")
        same = headers.get("If-Range", self.etag or self.modified) in {self.etag, self.modified}
        return int(wanted[1]) if wanted and same and self.ranges else 0
