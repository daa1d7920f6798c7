"""CSV files as exporters write them, the whole tap: the same rows with the `csv` block that the error proposes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.witness import STREAMS, Witness, at_files, bookmark
from tests.tap.harness import Json, Ran, without_lineage

Watched = Callable[..., Witness]
COMPANIES, RUNS, SHIPMENTS = STREAMS["exelensia"], STREAMS["cension"], STREAMS["packagex"]

# What the sandbox does to the file, and the block that reads it; none where it is read as it is.
DIALECTS: dict[str, tuple[Json, Json]] = {
    "pipes": ({"csv": {"delimiter": "|"}}, {}),
    "tabs, all quoted": ({"csv": {"delimiter": "\t", "all": True}}, {}),
    "sep": ({"csv": {"delimiter": ";", "sep": True, "end": "\r\n"}}, {}),
    "titles": ({"csv": {"titles": 2}}, {"skip_rows": 2}),
    "comments": ({"csv": {"comment": "#"}}, {"comment": "#"}),
    "an odd delimiter": ({"csv": {"delimiter": "^"}}, {"delimiter": "^"}),
    "days": ({"csv": {"dates": "%d.%m.%Y"}}, {"date_formats": {"date_added": "%d.%m.%Y"}}),
    "code page": ({"recode": "utf-16-le"}, {"encoding": "utf-16-le"}),
    "a zip of parts": ({"zip": {"parts": 3, "litter": True}}, {}),
}


def read(watched: Witness, folder: Path, block: Json) -> Ran:
    """Run with a `csv` block at the export."""
    config = watched.config()
    config["exelensia"]["exports"][0]["csv"] = block
    return watched.run(folder, config)


def plain(ran: Ran) -> list[Json]:
    """Return records without lineage; an empty text and null are one, as the sandbox writes both alike."""
    return [{k: v or None for k, v in row.items()} for row in without_lineage(ran.records[COMPANIES])]


@pytest.mark.parametrize("case", DIALECTS)
def test_a_dialect_is_read_or_refused_with_the_block_that_reads_it(tmp_path: Path, witness: Watched, case: str) -> None:
    """P1, P6: without the block no window closes; with the one that is proposed all values arrive."""
    action, block = DIALECTS[case]
    due = plain(read(witness(), tmp_path, {}).succeeded())
    watched = witness(at_files(action))
    if block:
        refused = read(watched, tmp_path, {})
        (line,) = [e for e in refused.errors if e.startswith(COMPANIES)]
        assert (refused.code, "replication_key_value" in bookmark(refused, COMPANIES)) == (1, False)
        proposed = re.search(r"csv: (\{.*\})", line)
        assert proposed, line
        assert json.loads(proposed[1]) == block
    ran = read(watched, tmp_path, block).succeeded()
    assert plain(ran) == due
    assert "replication_key_value" in bookmark(ran, COMPANIES)


@pytest.mark.parametrize(
    ("action", "block"),
    [
        ({"csv": {"trailing": True}}, {"trailing_delimiter": True}),
        ({"csv": {"footers": 1}}, {"footer_rows": 1}),
    ],
)
def test_what_the_first_rows_do_not_show_can_be_said(
    tmp_path: Path, witness: Watched, action: Json, block: Json
) -> None:
    due = plain(read(witness(), tmp_path, {}).succeeded())
    assert plain(read(witness(at_files(action)), tmp_path, block).succeeded()) == due


def test_batch_mode_obeys_the_block(tmp_path: Path, witness: Watched) -> None:
    """The block travels to the executor, and so does the proposal back."""
    batches = {"encoding": {"format": "jsonl", "compression": "none"}, "storage": {"root": f"file://{tmp_path}/parts"}}
    watched = witness(at_files({"csv": {"delimiter": ";", "dates": "%d.%m.%Y"}}))
    config = watched.config(batch_config=batches)
    refused = watched.run(tmp_path, config)
    assert 'csv: {"delimiter": ";", "date_formats": {"date_added": "%d.%m.%Y"}}' in refused.errors[0]
    config["exelensia"]["csv"] = {"date_formats": {"date_added": "%d.%m.%Y"}}
    watched.run(tmp_path, config).succeeded()
    days = {json.loads(line)["date_added"] for part in Path(tmp_path, "parts").glob("*") for line in _lines(part)} - {
        None
    }
    assert days
    assert all(re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", day) for day in days)


def _lines(part: Path) -> list[str]:
    return part.read_text().splitlines() if COMPANIES in part.name else []


def test_the_entry_goes_before_the_block_key_by_key(tmp_path: Path, witness: Watched) -> None:
    watched = witness(at_files({"csv": {"delimiter": "^", "titles": 1}}))
    config = watched.config()
    config["exelensia"]["csv"] = {"delimiter": "~", "skip_rows": 1}
    config["exelensia"]["exports"][0]["csv"] = {"delimiter": "^"}
    assert len(watched.run(tmp_path, config).succeeded().records[COMPANIES]) > 0


def test_a_misspelt_option_is_named(tmp_path: Path, witness: Watched) -> None:
    watched = witness()
    config = watched.config()
    config["exelensia"]["exports"][0]["csv"] = {"delimeter": ";"}
    (line,) = watched.run(tmp_path, config).errors
    assert 'unknown key "exelensia.exports[0].csv.delimeter"; the nearest setting is "delimiter"' in line


@pytest.mark.parametrize(("effect", "code"), [("stray", "quote"), ("nul", "nul")])
def test_a_damaged_row_is_a_reject(tmp_path: Path, witness: Watched, effect: str, code: str) -> None:
    watched = witness(at_files({"csv": {effect: True}}))
    config = watched.config(rejects_max_count=1)
    config["exelensia"]["exports"][0]["csv"] = {"nul": "reject"}
    (reject,) = watched.run(tmp_path, config).succeeded().records["export_rejects"]
    assert (reject["row"], reject["code"]) == (1, code)


def test_a_page_with_a_null_key(tmp_path: Path, witness: Watched) -> None:
    """Two common targets die on such a row at every run."""
    plan = {"faults": [{"match": {"provider": "cension", "path": "*export*"}, "action": {"null_field": "company"}}]}
    watched = witness(plan)
    config = watched.config("cension", rejects_max_count=1000)
    config["cension"]["exports"][0]["primary_keys"] = ["company"]
    ran = watched.run(tmp_path, config).succeeded()
    assert {(r["column"], r["code"]) for r in ran.records["export_rejects"]} == {("company", "key")}
    assert all(row["company"] is not None for row in ran.records[RUNS])
    stopped = watched.run(tmp_path, {**config, "rejects_max_count": 0})
    assert (stopped.code, 'the key "company" is null' in stopped.errors[0]) == (1, True)


@pytest.mark.parametrize("word", ["1735689600", "2025-01-01T00:00:00Z"])
def test_instants_of_packagex_in_csv(tmp_path: Path, witness: Watched, word: str) -> None:
    """Its CSV writes instants as seconds since 1970 too."""
    text = f"id,created_at,count\ns1,{word},1735689600\n"
    watched = witness(at_files({"replace": {"text": text}}, path="*.csv"))
    config: Any = watched.config("packagex", verify_counts="off")
    config["packagex"]["exports"][0] |= {"format": "csv", "columns": []}
    (row,) = watched.run(tmp_path, config).succeeded().records[SHIPMENTS]
    assert (row["created_at"][:19], row["count"]) == ("2025-01-01T00:00:00", 1735689600)
