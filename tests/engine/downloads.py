"""Downloads between one scripted server and one spool, for tests."""

from __future__ import annotations

import hashlib
import ssl
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

from tap_exports.engine.download import download
from tap_exports.engine.http import HttpSettings, Transport
from tap_exports.engine.model import LocalFile, RemoteFile
from tap_exports.engine.spool import Spool
from tests.engine.fakes import FakeClock
from tests.engine.servers import Handler, Server, Step, Store

SETTINGS = HttpSettings(allow_private_hosts=True, request_timeout_seconds=5)
DATA = b"".join(b"%07d\n" % number for number in range(50_000))
OTHER = DATA[::-1]
HALF = len(DATA) // 2
WHOLE = Store(DATA)
BROKEN = replace(WHOLE, stop_at=HALF)
QUERY = "?token=SECRET&expires=1"


class Downloads:
    """One server, one spool, and downloads between them."""

    def __init__(self, stack: ExitStack, folder: Path, max_mb: int = 1) -> None:
        self.clock = FakeClock()
        self.renewed = 0
        self.spool = stack.enter_context(closing(Spool(str(folder), max_mb=max_mb)))
        self._stack = stack

    def server(self, *steps: Step, tls: ssl.SSLContext | None = None) -> Server:
        self.current = self._stack.enter_context(Server(list(steps), tls))
        return self.current

    def run(self, settings: HttpSettings = SETTINGS, path: str = "/export.csv") -> LocalFile:
        remote = RemoteFile("export.csv", self.current.url + path + QUERY)
        with closing(Transport(settings)) as transport:
            return download(remote, self.renew, transport, self.spool, settings, self.clock)

    def renew(self) -> RemoteFile:
        self.renewed += 1
        return RemoteFile("export.csv", f"{self.current.url}/new-{self.renewed}{QUERY}")

    @property
    def ranges(self) -> list[tuple[str | None, str | None]]:
        return [(seen.headers["Range"], seen.headers["If-Range"]) for seen in self.current.seen]


def assert_is(local: LocalFile, content: bytes) -> None:
    """The bytes, their number and their digest are those of the content."""
    assert local.path.read_bytes() == content
    assert (local.name, local.size, local.sha256) == ("export.csv", len(content), hashlib.sha256(content).hexdigest())


def part(handler: Handler, content_range: str, body: bytes = b"x", **headers: str) -> None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    handler.head(206, {"Content-Range": content_range, "Content-Length": str(len(body)), **named})
    handler.wfile.write(body)
