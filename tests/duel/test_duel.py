"""`make duel`: what the peers write is read as their platforms read it, and a peer is played for real."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.duel import page
from bench.duel.readers import Airbyte, PlainTap, configure
from bench.duel.sides import DECLARATION
from tap_exports.providers.declared.declaration import checked, read
from tap_exports.proving.matrix import cases
from tap_exports.proving.reader import Held, Reader
from tap_exports.proving.rig import play
from tap_exports.proving.verdict import judge

PYTHON = Path(sys.executable)
ROW = {"row_id": "1", "name": "a"}
STATE = {"type": "STREAM", "stream": {"stream_state": {"interval_end": "2026-01-31"}}}
ERROR = {"type": "ERROR", "error": {"message": "it says why"}}


def taken(reader: Reader, *messages: dict[str, Any]) -> Held:
    """Return what a target holds of some messages."""
    held = Held()
    for message in messages:
        reader.take(json.dumps(message).encode(), held)
    return held


def test_messages_of_airbyte() -> None:
    """Rows, the last state and the reason."""
    record = {"type": "RECORD", "record": {"stream": "rows", "data": ROW}}
    trace = {"type": "TRACE", "trace": ERROR}
    held = taken(
        Airbyte(PYTHON), record, {"type": "LOG", "log": {"message": "x"}}, {"type": "STATE", "state": STATE}, trace
    )
    assert (held.rows, held.state, held.words) == ({"1": ROW}, STATE, "it says why")


def test_messages_of_a_plain_tap() -> None:
    """Rows and the last state."""
    state = {"bookmarks": {"rows": {"replication_key_value": "2026-01-31"}}}
    record = {"type": "RECORD", "stream": "rows", "record": ROW}
    held = taken(PlainTap(PYTHON), record, {"type": "STATE", "value": {}}, {"type": "STATE", "value": state})
    assert (held.rows, held.state) == ({"1": ROW}, state)


@pytest.mark.parametrize("reader", [Airbyte(PYTHON), PlainTap(PYTHON)])
def test_each_run_goes_on_from_the_last_state(tmp_path: Path, reader: Reader) -> None:
    """The first one has none."""
    assert not any("state" in word for word in reader.command(tmp_path, Held()))
    assert str(tmp_path / "state.json") in reader.command(tmp_path, Held(state=STATE))
    assert "2026-01-31" in (tmp_path / "state.json").read_text(encoding="utf-8")


def test_peers_read_what_the_tap_reads(tmp_path: Path) -> None:
    """Address, key and parameters are those of the tap's own configuration."""
    block = {"api_url": "http://a", "credentials": {"key": "k"}, "exports": [{"params": {"report": "r"}}]}
    configure(tmp_path, {"declared": [block]})
    told = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert [told[name] for name in ("api_url", "key", "report", "days")] == ["http://a", "k", "r", 31]


def verdict(**found: Any) -> dict[str, Any]:  # noqa: ANN401 - as JSON has it
    usual = {"case": "x", "lost": 0, "invented": 0, "changed": 2, "twice": 0, "secrets": 0, "stuck": 0, "codes": [0, 0]}
    return {**usual, **found}


def test_what_is_lost_silently_is_told_apart() -> None:
    """The last run ended with exit code 0, or somebody looks; kills are no failures."""
    verdicts = [
        verdict(case="x; killed at line 50 of 200"),
        verdict(lost=3),
        verdict(lost=5, codes=[1, 1]),
        verdict(twice=1, codes=[-9, 0]),
    ]
    results = {"dlt": {"package": "dlt 1", "at": "2026-11-28", "rows": 9, "verdicts": verdicts}}
    assert (
        page.summary(results, ["dlt"]).splitlines()[-1] == "| dlt 1 | 2026-11-28 | 1 of 4 | 8 | 3 | 0 | 2 | 1 | 0 | 2 |"
    )
    told = page.cases(results, ["dlt"]).splitlines()[-4:]
    assert told == [
        "| x; killed at 1/4 of the lines |  |",
        "| x | 3 lost silently |",
        "| x | 5 lost |",
        "| x | 1 jobs twice |",
    ]


@pytest.mark.process
@pytest.mark.parametrize(("name", "lost"), [("file: connection cut", 0), ("file: one line of text once", 3)])
def test_a_plain_tap_is_played(name: str, lost: int) -> None:
    """The SDK asks again for a body that breaks off; a line of text is a CSV without rows to it."""
    case = next(case for case in cases(checked(read(DECLARATION)).spec, 10, 3) if case.name == name)
    found = judge(play(DECLARATION, case, 9, PlainTap(PYTHON)), jobs=4)
    assert (found.codes, bool(found.lost)) == ((0, 0), bool(lost))
