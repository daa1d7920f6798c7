"""Files as nobody would write them on purpose, the whole tap: each value that arrives is the one in the file (P6)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from tests.faults.witness import STREAMS, Witness, at_files, bookmark
from tests.tap.harness import Json, Ran, without_lineage

Watched = Callable[..., Witness]
COMPANIES, SHIPMENTS = STREAMS["exelensia"], STREAMS["packagex"]
LONG = "5 MB, and more " * 360_000


def serving(body: bytes, suffix: str = "csv") -> Json:
    """Return a plan in which every file of a suffix holds these bytes."""
    return at_files({"replace": {"base64": base64.b64encode(body).decode()}}, path=f"*.{suffix}")


def exact(ran: Ran, stream: str) -> list[Json]:
    """Return records without lineage, their numbers digit by digit."""
    messages = [json.loads(line, parse_float=Decimal) for line in ran.lines if b'"RECORD"' in line]
    return without_lineage([m["record"] for m in messages if m["stream"] == stream])


CSV: dict[str, tuple[bytes, list[Json]]] = {
    "a cell of 5 MB": (
        f'symbol,security\n"{LONG}",x\nB,y\n'.encode(),
        [{"symbol": LONG, "security": "x"}, {"symbol": "B", "security": "y"}],
    ),
    "names twice, empty, ours": (
        b"symbol,symbol,,_sdc_row,symbol_2,,security,gics_sector,cik\n1,2,3,4,5,6,7,8,9\n",
        [
            {"symbol": "1", "symbol_3": "2", "column_3": "3", "_sdc_row_2": "4", "symbol_2": "5", "column_6": "6"}
            | {"security": "7", "gics_sector": "8", "cik": 9}
        ],
    ),
    "breaks in and between rows": (
        b'symbol,security\r\n"a\rb","c\nd"\n"e\r\nf",g\r"\n",h',
        [
            {"symbol": "a\rb", "security": "c\nd"},
            {"symbol": "e\r\nf", "security": "g"},
            {"symbol": "\n", "security": "h"},
        ],
    ),
    "NUL": (b'symbol,security\n\x00,"a\x00b"\n', [{"symbol": "\x00", "security": "a\x00b"}]),
    "header only": (b"symbol,security\n", []),
    "header only, without its end": (b"symbol,security", []),
}


@pytest.mark.parametrize("case", CSV)
def test_csv(tmp_path: Path, witness: Watched, case: str) -> None:
    """The columns keep apart, breaks and NUL stay in their cells, and a file of no rows proves its window."""
    body, due = CSV[case]
    watched = witness(serving(body))
    ran = watched.run(tmp_path, watched.config()).succeeded()
    lineage = {"_sdc_job_id", "_sdc_file", "_sdc_row", "_sdc_extra", "_sdc_window_start", "_sdc_window_end"}
    assert [{k: v for k, v in r.items() if k not in lineage and v is not None} for r in ran.records[COMPANIES]] == due
    assert "replication_key_value" in bookmark(ran, COMPANIES)


ROWS = b"""{"id": "s1", "big": 123456789012345678901234567890, "fine": 0.1000000000000000000000000000000000001,
 "list": [1e400, -0.10, {"x": [null, true, "\\u0000\\ud83d\\ude00"]}]}"""
DUE: Json = {
    "id": "s1",
    "big": 123456789012345678901234567890,
    "fine": Decimal("0.1000000000000000000000000000000000001"),
    "list": [Decimal("1E+400"), Decimal("-0.10"), {"x": [None, True, "\x00😀"]}],
}
JSON: dict[str, bytes] = {
    "array": b"[%b, %b]" % (ROWS, ROWS),
    "object with one list": b'{"count": 2, "shipments": [%b,%b]}' % (ROWS, ROWS),
    "lines": b"%b\n%b" % (ROWS.replace(b"\n", b""), ROWS.replace(b"\n", b"")),
}


@pytest.mark.parametrize("case", JSON)
def test_json(tmp_path: Path, witness: Watched, case: str) -> None:
    """Integers and decimals keep every digit through all forms of a file, at any depth."""
    watched = witness(serving(JSON[case], "json"))
    ran = watched.run(tmp_path, watched.config("packagex", verify_counts="off")).succeeded()
    found = [{name: record[name] for name in DUE} for record in exact(ran, SHIPMENTS)]
    assert (found, [str(r["fine"]) for r in found]) == ([DUE, DUE], [str(DUE["fine"])] * 2)


BROKEN: dict[str, tuple[bytes, str]] = {
    "truncated": (b'[{"id": "s1"}, {"id": "s', "the JSON text ends in the middle; the file may be cut"),
    "cut behind a row": (b'[{"id": "s1"},', "the JSON text ends in the middle; the file may be cut"),
    "nested deeply": (b'[{"id": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]", ", row 1: "),
    "more digits than fit": (b'[{"id": "s1", "n": %b}]' % (b"9" * 5000), ", row 1: "),
    "no number": (b'[{"id": "s1", "n": NaN}]', ", row 1: "),
    "half a pair": (b'[{"id": "\\ud800"}]', ", row 1: "),
    "only a number": (b"5", "malformed JSON at the start: 5"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_json(tmp_path: Path, witness: Watched, case: str) -> None:
    """One line says what and where; the window stays open, and the job stays for the next run."""
    body, message = BROKEN[case]
    watched = witness(serving(body, "json"))
    ran = watched.run(tmp_path, watched.config("packagex", verify_counts="off"))
    assert (ran.code, message in ran.errors[0]) == (1, True), ran.errors
    assert max(map(len, ran.errors)) < 500
    state = bookmark(ran, SHIPMENTS)
    assert ("replication_key_value" in state, len(state["ledger"]["jobs"])) == (False, 1)
