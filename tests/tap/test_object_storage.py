"""Batches in an object storage: a run against an S3 server on loopback, read back from there."""

from __future__ import annotations

import gzip
import io
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import Request, urlopen
from xml.etree import ElementTree as ET

import pyarrow.parquet as pq
import pytest

from tap_exports.sandbox import Sandbox
from tests.tap.harness import Json, tap
from tests.tap.test_batches import COMPANIES, FORMATS, exelensia, messages, typed, untexted

Boxes = Callable[..., Sandbox]
BUCKET = "exports"
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "S3-SECRET", "AWS_DEFAULT_REGION": "us-east-1"}

SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, Signature=0"}


@dataclass(frozen=True)
class Store:
    """An S3 server, which wants a signature and does not look whether it is right."""

    url: str

    def ask(self, path: str, method: str = "GET") -> bytes:
        request = Request(f"{self.url}/{quote(path)}", method=method, headers=SIGNED)  # noqa: S310 - loopback
        with closing(urlopen(request, timeout=10)) as answer:  # noqa: S310 - loopback
            return bytes(answer.read())

    def names(self) -> list[str]:
        found = ET.fromstring(self.ask(BUCKET))  # noqa: S314 - the test's own server
        return [str(element.text) for element in found.iter() if element.tag.endswith("}Key")]


@pytest.fixture(scope="module")
def server() -> Iterator[Store]:
    """Run the server as a process of its own."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield _ready(Store(f"http://127.0.0.1:{port}"), process)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def store(server: Store) -> Store:
    """Empty the server but for one bucket."""
    server.ask("moto-api/reset", "POST")
    server.ask(BUCKET, "PUT")
    return server


def _ready(store: Store, process: subprocess.Popen[bytes]) -> Store:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(URLError, ConnectionError):
            store.ask("moto-api/reset", "POST")
            return store
        time.sleep(0.1)
    pytest.fail("the S3 server does not answer")


def read(content: bytes, form: str) -> list[Json]:
    if form == "parquet":
        return pq.read_table(io.BytesIO(content)).to_pylist()
    return [json.loads(line) for line in gzip.decompress(content).splitlines()]


@pytest.mark.parametrize("form", FORMATS)
def test_parts_in_an_s3_bucket(tmp_path: Path, sandbox: Boxes, store: Store, form: str) -> None:
    """BATCH names the objects of the bucket, they hold the rows of RECORD messages, and nothing else is left there."""
    storage = {"root": f"s3://{BUCKET}/deep", "prefix": "run/", "params": {"endpoint_url": store.url}}
    batches = {"batch_config": {"encoding": {"format": form}, "storage": storage, "batch_size": 200}}
    records = tap(tmp_path, exelensia(sandbox())).succeeded()
    ran = tap(tmp_path, exelensia(sandbox(), **batches), environment=KEYS, fresh=True).succeeded()
    announced = [url.removeprefix("s3://") for m in ran.messages if m["type"] == "BATCH" for url in m["manifest"]]
    assert sorted(announced) == sorted(f"{BUCKET}/{name}" for name in store.names())
    for stream in (COMPANIES, "exelensia_results"):
        urls = [url for m in messages(ran, "BATCH", stream) for url in m["manifest"]]
        held = [row for url in urls for row in read(store.ask(url.removeprefix("s3://")), form)]
        properties = ran.schema(stream)["schema"]["properties"]
        expected = records.records[stream]
        if form == "parquet":
            held = [untexted(row, properties) for row in held]
            expected = [typed(record, properties) for record in expected]
        assert held == expected != []
    assert "S3-SECRET" not in ran.stderr
