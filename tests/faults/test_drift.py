"""Sources that change their columns: the three forms of `schema_contract`, for CSV, JSON and pages, and rejects."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.faults.witness import STREAMS, Witness, at_files, bookmark
from tests.tap.harness import Json, Ran, without_lineage

Watched = Callable[..., Witness]
# Per form of the data: the provider, a text column that every row holds, and one that the catalog invents.
FORMS = {"CSV": ("exelensia", "security"), "JSON": ("packagex", "tracking_number"), "pages": ("cension", "website")}
INVENTED = "gone_since_then"


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def configured(watched: Witness, form: str, **changes: object) -> Json:
    """Return a configuration of one export; of Cension's runs the first, whose columns do not drift."""
    provider, _ = FORMS[form]
    config = watched.config(provider, **changes)
    config[provider] |= {"operation_ids": [4836]} if form == "pages" else {}
    return config


Source = Callable[[str], tuple[Json, list[Json]]]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """Return the discovered catalog of a form, and its records without lineage."""

    @cache
    def known(form: str) -> tuple[Json, list[Json]]:
        watched, folder = Witness.start(), tmp_path_factory.mktemp("source")
        config = configured(watched, form)
        found = json.loads(b"\n".join(watched.run(folder, config, "--discover").lines))
        due = watched.run(folder, config).succeeded().records[STREAMS[FORMS[form][0]]]
        watched.box.stop()
        return found, without_lineage(due)

    return known


def changed(catalog: Json, form: str, name: str, prop: Json | None) -> Json:
    """Return a catalog in which one property of the export is another one, or with None absent."""
    copy: Json = json.loads(json.dumps(catalog))
    entry = next(s for s in copy["streams"] if s["stream"] == STREAMS[FORMS[form][0]])
    entry["schema"]["properties"].pop(name, None)
    entry["schema"]["properties"] |= {} if prop is None else {name: prop}
    return copy


def drifted(watched: Witness, folder: Path, form: str, contract: str, source: Source) -> Ran:
    """Return a run whose catalog lacks a column."""
    older = changed(source(form)[0], form, FORMS[form][1], None)
    return watched.run(folder, configured(watched, form, schema_contract=contract), catalog=older)


def test_evolve(tmp_path: Path, witness: Watched, source: Source, form: str) -> None:
    """A new column is announced before the first row that holds it, and all rows come with it."""
    ran, (provider, column) = drifted(witness(), tmp_path, form, "evolve", source), FORMS[form]
    stream = STREAMS[provider]
    assert without_lineage(ran.succeeded().records[stream]) == source(form)[1]
    mine = [m for m in ran.messages if m.get("stream") == stream and m["type"] in {"SCHEMA", "RECORD"}]
    first = next(n for n, m in enumerate(mine) if m["type"] == "RECORD")
    before = [m["schema"]["properties"] for m in mine[:first]]
    assert (column in before[0], column in before[-1]) == (False, True)


def test_discard(tmp_path: Path, witness: Watched, source: Source, form: str) -> None:
    """A new column goes into `_sdc_extra`, value by value; the schema stays as it is."""
    ran, (provider, column) = drifted(witness(), tmp_path, form, "discard", source), FORMS[form]
    stream, due = STREAMS[provider], source(form)[1]
    found = ran.succeeded().records[stream]
    restored = [{**r, **(r["_sdc_extra"] or {})} for r in found]
    assert [r.get(column) for r in restored] == [r.get(column) for r in due]
    assert any(r.get(column) for r in due)
    assert {column in r for r in found} == {False}
    assert column not in ran.schema(stream)["schema"]["properties"]


def test_freeze(tmp_path: Path, witness: Watched, source: Source, form: str) -> None:
    """A new column stops the stream before its first row; the message names column, setting and way out."""
    ran, (provider, column) = drifted(witness(), tmp_path, form, "freeze", source), FORMS[form]
    stream = STREAMS[provider]
    assert (ran.code, ran.records[stream], "replication_key_value" in bookmark(ran, stream)) == (1, [], False)
    assert f'column "{column}" is not in the catalog and schema_contract is "freeze"' in ran.errors[0]


@pytest.mark.parametrize("contract", ["evolve", "discard", "freeze"])
def test_column_that_is_gone(tmp_path: Path, witness: Watched, source: Source, form: str, contract: str) -> None:
    """A column that the source no longer has is no error under any contract; a file that lacks it is warned of."""
    watched, provider = witness(), FORMS[form][0]
    older = changed(source(form)[0], form, INVENTED, {"type": ["string", "null"]})
    ran = watched.run(tmp_path, configured(watched, form, schema_contract=contract), catalog=older).succeeded()
    assert ran.records[STREAMS[provider]] != []
    assert {r.get(INVENTED) for r in ran.records[STREAMS[provider]]} == {None}
    warnings = [line for line in ran.stderr.splitlines() if "| WARNING" in line and INVENTED in line]
    assert len(warnings) == (0 if form == "pages" else 1)


def test_type_that_no_longer_fits(tmp_path: Path, witness: Watched, source: Source, form: str) -> None:
    """Text in a column that the catalog calls a number stops the stream: never a null, never a guess."""
    watched, (provider, column) = witness(), FORMS[form]
    older = changed(source(form)[0], form, column, {"type": ["integer", "null"]})
    ran = watched.run(tmp_path, configured(watched, form), catalog=older)
    stream = STREAMS[provider]
    assert (ran.code, "replication_key_value" in bookmark(ran, stream)) == (1, False)
    assert f', row 1, column "{column}": "' in ran.errors[0]
    assert " is not of the type integer; 1 rows rejected, allowed are 0 " in ran.errors[0]


def csv(*rows: str) -> Json:
    """Return a plan in which these rows come, `symbol` and `founded`."""
    text = "".join(f"{row}\n" for row in ("symbol,founded", *rows)).encode()
    return at_files({"replace": {"base64": base64.b64encode(text).decode()}})


def companies(watched: Witness, **changes: Any) -> Json:  # noqa: ANN401 - any setting
    config = watched.config(**changes)
    config["exelensia"]["exports"][0]["schema"] = {"founded": "integer"}
    return config


GOOD = [f"G{n},{n}" for n in range(8)]
LIMITS: dict[str, tuple[Json, bool]] = {
    "none": ({}, False),
    "count below": ({"rejects_max_count": 1}, False),
    "count": ({"rejects_max_count": 2}, True),
    "share below": ({"rejects_max_ratio": 0.19}, False),
    "share": ({"rejects_max_ratio": 0.2}, True),
    "the larger one": ({"rejects_max_count": 2, "rejects_max_ratio": 0.01}, True),
}


@pytest.mark.parametrize("case", LIMITS)
def test_limits_of_rejects(tmp_path: Path, witness: Watched, case: str) -> None:
    """Two of ten rows do not fit: within the limits the others arrive and the window is proven, else it stays open."""
    changes, fits = LIMITS[case]
    watched = witness(csv(*GOOD[:4], "B1,old", *GOOD[4:], "B2,older"))
    ran = watched.run(tmp_path, companies(watched, **changes))
    proven = "replication_key_value" in bookmark(ran, STREAMS["exelensia"])
    assert (ran.code == 0, proven) == (fits, fits), ran.errors
    if fits:
        assert [r["symbol"] for r in ran.records[STREAMS["exelensia"]]] == [row[:2] for row in GOOD]
        assert [(r["row"], r["raw"]) for r in ran.records["export_rejects"]] == [(5, "B1,old"), (10, "B2,older")]


def test_message_of_a_reject(tmp_path: Path, witness: Watched) -> None:
    """File, row and column are named, the value is cut, and neither breaks of a line nor escapes reach a terminal."""
    value = "\x1b[31m" + "long " * 4000
    watched = witness(csv(*GOOD, f'"B\r\n1","{value}"'))
    ran = watched.run(tmp_path, companies(watched))
    (line,) = (e for e in ran.errors if e.startswith(STREAMS["exelensia"]))
    assert line.startswith(f'{STREAMS["exelensia"]}: file export.csv, row 9, column "founded": "')
    assert (len(line) < 400, "…" in line, "\x1b" in ran.stderr) == (True, True, False)


def test_latin_1_where_it_is_configured(tmp_path: Path, witness: Watched) -> None:
    """`encoding` says what a file without a byte order mark is written in; without it the same bytes are rejects."""
    body = base64.b64encode("symbol,security\nÅ,Café\n".encode("latin-1")).decode()
    watched = witness(at_files({"replace": {"base64": body}}))
    config = watched.config()
    config["exelensia"]["exports"][0]["encoding"] = "latin-1"
    (record,) = watched.run(tmp_path, config).succeeded().records[STREAMS["exelensia"]]
    assert (record["symbol"], record["security"]) == ("Å", "Café")
    plain = watched.run(tmp_path, watched.config())
    assert (plain.code, "file export.csv, row 1" in plain.errors[0]) == (1, True)
    config["exelensia"]["exports"][0]["encoding"] = "latin-eleventy"
    assert '"latin-eleventy" is not a known text encoding' in watched.run(tmp_path, config).errors[0]
