"""Contents that are not the export's, the whole tap: no window closes over them, and no table is replaced by them."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.witness import STREAMS, Witness, at_files, bookmark, rows_of
from tests.tap.harness import Json, Ran

Watched = Callable[..., Witness]
PROVIDERS = ("exelensia", "packagex", "cornect")
BODIES: dict[str, bytes] = {
    "one line": b"Service temporarily unavailable. Please retry later.",
    "three words": b"Too many requests",
    "two lines": b"Error\nThe export could not be generated\n",
    "a table of an error": b"error,message\nE17,try again\n",
    "an object": b'{"error":{"code":"AccessDenied","message":"Request has expired"}}',
    "a list of errors": b'[{"error": "timeout", "message": "x"}]',
    "nothing": b"{}",
    "zlib": zlib.compress(b"id,name\n1,a\n"),
    "Parquet": b"PAR1\x15\x04\x15\x10",
}


def activated(ran: Ran, stream: str) -> bool:
    return any(m["type"] == "ACTIVATE_VERSION" and m["stream"] == stream for m in ran.messages)


def run(watched: Witness, folder: Path, provider: str, **given: Any) -> Ran:  # noqa: ANN401 - of `tap`
    return watched.run(folder, watched.config(provider), **given)


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_window_closes_over_what_is_no_export(tmp_path: Path, witness: Watched, provider: str, body: str) -> None:
    """The columns are known by then; the next run, with the fault gone, brings everything."""
    stream = STREAMS[provider]
    watched = witness()
    due = run(watched, tmp_path, provider).succeeded()
    catalog = {"streams": [entry for entry in catalog_of(due) if entry["tap_stream_id"] == stream]}
    watched.box.set_faults(at_files({"replace": {"base64": base64.b64encode(BODIES[body]).decode()}}))
    spoilt = run(watched, tmp_path, provider, catalog=catalog)
    assert spoilt.code == 1, spoilt.stderr
    assert (spoilt.records[stream], activated(spoilt, stream)) == ([], False)
    assert "replication_key_value" not in bookmark(spoilt, stream)
    watched.box.set_faults({})
    state = spoilt.states[-1] if spoilt.states else None
    after = run(watched, tmp_path, provider, catalog=catalog, state=state).succeeded()
    assert sorted(map(str, rows_of(after, stream))) == sorted(map(str, rows_of(due, stream)))


def catalog_of(ran: Ran) -> list[Json]:
    """Return the entries that the SCHEMA messages of a run stand for."""
    entries = []
    for message in ran.messages:
        if message["type"] == "SCHEMA":
            root: Json = {"breadcrumb": [], "metadata": {"selected": True, "inclusion": "available"}}
            keys = message["key_properties"]
            entries.append(
                {
                    "tap_stream_id": message["stream"],
                    "stream": message["stream"],
                    "schema": message["schema"],
                    "key_properties": keys,
                    "metadata": [root],
                }
            )
    return entries
