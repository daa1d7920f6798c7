"""HTTP on loopback: listeners with keep-alive, and responses that may go wrong on purpose."""

from __future__ import annotations

import socket
import struct
import sys
import threading
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from tap_exports.sandbox.web import Part, Request, Response

Sent = Callable[[int], None]
Respond = Callable[[Request], tuple[Response, Sent]]
_LINGER_ZERO = struct.pack("ii", 1, 0)
_STEPS_PER_SECOND = 20
_BODILESS = {204, 304}


class Listener(ThreadingMixIn, TCPServer):
    """One origin: a listening socket with a thread per connection."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], origin: str, respond: Respond) -> None:
        """Listen on `address` and answer with `respond`.

        Args:
            address: host and port, port 0 for a free one.
            origin: `api` or `files`; becomes `Request.origin`.
            respond: returns the response and a function that is told the number of body bytes sent.
        """
        self.origin = origin
        self.respond = respond
        self.stopping = threading.Event()
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(address, _Handler)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        """The origin's address, such as `http://127.0.0.1:8080`."""
        host, port = self.socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self) -> None:
        """Serve in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and close every connection."""
        self.stopping.set()
        # Wakes the thread, which waits for a connection without a time-out: idle costs nothing, stopping is quick.
        socket.create_connection(self.socket.getsockname()[:2]).close()
        self._thread.join()
        self.server_close()
        with self._guard:
            for connection in self._open:
                _hang_up(connection)

    def _serve(self) -> None:
        while not self.stopping.is_set():
            self.handle_request()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, then serve it in its thread."""
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection, without the half-close of the base class: it would turn a reset into a plain end."""
        with self._guard:
            self._open.discard(request)
        request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay quiet about clients that went away; show everything else."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self) -> None:
        listener = cast("Listener", self.server)
        response, sent = listener.respond(self._request(listener.origin))
        if response.wire.delay_seconds:
            listener.stopping.wait(response.wire.delay_seconds)
        if response.wire.drop:
            self._drop(response.wire.drop)
        else:
            self._send(response, sent)

    # The base class looks for a method of this name per verb.
    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    def log_message(self, *_arguments: object) -> None:
        """Log nothing: `GET /_requests` is the log."""

    def _request(self, origin: str) -> Request:
        target = urlsplit(self.path)
        return Request(
            origin=origin,
            provider="",
            method=self.command,
            path=unquote(target.path),
            query=tuple(parse_qsl(target.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(self.headers.get("Content-Length") or 0)),
        )

    def _drop(self, how: str) -> None:
        self.close_connection = True
        if how == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)

    def _send(self, response: Response, sent: Sent) -> None:
        whole = 0 if self.command == "HEAD" or response.status in _BODILESS else len(response.body)
        cut = response.wire.cut_after
        size = whole if cut is None else min(whole, cut)
        head = self._head(response)
        # Set after the header was made: a broken response does not announce that the connection is going to close.
        self.close_connection = self.close_connection or size < whole or bool(response.wire.length_error)
        # Told before the client can see the last byte, so that its next look at the log finds it.
        sent(size)
        try:
            self._send_all(head, response, size)
        except OSError:
            sent(0)
            raise

    def _send_all(self, head: bytes, response: Response, size: int) -> None:
        speed, body = response.wire.bytes_per_second, response.body
        if speed:
            self.connection.sendall(head)
            self._send_slowly(body, size, speed)
        elif isinstance(body, Part):
            self.connection.sendall(head)
            self._send_file(body, size)
        else:
            self.connection.sendall(head + body[:size])

    def _head(self, response: Response) -> bytes:
        length = len(response.body) + response.wire.length_error
        headers = list(response.headers)
        if response.wire.framed:
            headers.append(("Content-Length", str(length)))
        if response.header("Date") is None:
            headers.append(("Date", formatdate(usegmt=True)))
        self.close_connection = self.close_connection or not response.wire.framed
        if self.close_connection:
            headers.append(("Connection", "close"))
        start = f"HTTP/1.1 {response.status} {_phrase(response.status)}"
        return "\r\n".join([start, *(f"{key}: {value}" for key, value in headers), "", ""]).encode("latin-1")

    def _send_file(self, part: Part, size: int) -> None:
        if size:
            with part.path.open("rb") as file:
                self.connection.sendfile(file, part.start, size)

    def _send_slowly(self, body: bytes | Part, size: int, speed: float) -> None:
        step = max(1, int(speed / _STEPS_PER_SECOND))
        data = body.read() if isinstance(body, Part) else body
        stopping = cast("Listener", self.server).stopping
        for start in range(0, size, step):
            self.connection.sendall(data[start : min(start + step, size)])
            if stopping.wait(step / speed):
                return


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        # The client was faster.
        return
