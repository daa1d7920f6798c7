"""Redirects out of the provider's hands: files may come from elsewhere, keys may not go there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.faults.witness import STREAMS, Witness, at_files, bookmark

Watched = Callable[..., Witness]
COMPANIES = STREAMS["exelensia"]
ROWS = b"symbol,security\nA,Alpha\nB,Beta\n"


@contextmanager
def elsewhere() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Serve a file at another origin; yield its address and the headers of all requests."""
    seen: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(dict(self.headers))
            self.send_response(200)
            self.send_header("Content-Length", str(len(ROWS)))
            self.end_headers()
            self.wfile.write(ROWS)

        do_POST = do_GET  # noqa: N815 - the name that http.server calls

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/rows.csv?sig=abc-secret-of-the-hop", seen
        server.shutdown()
        thread.join()


def test_file_from_another_origin(tmp_path: Path, witness: Watched) -> None:
    """A signed URL may lead on to another host: that host gets no key, and its query is a secret as well."""
    with elsewhere() as (url, seen):
        watched = witness(at_files({"redirect": url}))
        ran = watched.run(tmp_path, watched.config()).succeeded()
    assert [r["symbol"] for r in ran.records[COMPANIES]] == ["A", "B"]
    assert watched.leaked(str(seen)) == []
    assert "abc-secret-of-the-hop" not in ran.stderr


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_provider_that_leads_elsewhere(tmp_path: Path, witness: Watched, method: str) -> None:
    """P7: an answer of the API that points to another origin is refused; nothing at all is sent there."""
    with elsewhere() as (url, seen):
        match = {"provider": "exelensia", "path": "/v1/exports*", "method": method}
        watched = witness({"faults": [{"match": match, "action": {"redirect": url}}]})
        ran = watched.run(tmp_path, watched.config())
    assert (ran.code, seen) == (1, [])
    assert "replication_key_value" not in bookmark(ran, COMPANIES)
    assert "abc-secret-of-the-hop" not in ran.stderr


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("ftp://127.0.0.1/rows.csv", "the scheme `ftp` is refused"),
        ("file:///etc/passwd", "an URL without a host was refused"),
        ("http://[broken", "redirects to nowhere"),
        (" ", "redirect"),
    ],
)
def test_hop_to_something_else(tmp_path: Path, witness: Watched, target: str, message: str) -> None:
    """Only web addresses are followed, whatever an answer names; the window stays open."""
    watched = witness(at_files({"redirect": target}))
    ran = watched.run(tmp_path, watched.config())
    assert (ran.code, message in ran.errors[0]) == (1, True), ran.errors
    assert "replication_key_value" not in bookmark(ran, COMPANIES)


def test_private_address_of_a_file(tmp_path: Path, witness: Watched) -> None:
    """P8: without the setting no file is fetched from a private address, whoever signed its URL."""
    watched = witness()
    ran = watched.run(tmp_path, watched.config(allow_private_hosts=False))
    assert (ran.code, [r for r in watched.box.requests() if r["origin"] == "files"]) == (1, [])
    assert "plain http is refused" in ran.errors[0]
