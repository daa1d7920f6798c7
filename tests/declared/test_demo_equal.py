"""Exelensia and PackageX, declared, give the rows of the built-in providers over the whole demo, value by value.

Twice, as the demo runs: everything at first, then what grew at the source, with STATE.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tap_exports.providers.declared.streams import SHIPPED
from tap_exports.sandbox import Sandbox, SandboxOptions
from tests.tap.harness import Json, Ran, tap, without_lineage

SHARED: Json = {"start_date": "2020-01-01T00:00:00Z", "settling_seconds": 0, "poll_interval_seconds": 0.05}
# What Exelensia's definitions of its schemas say, which a declaration does not read.
TYPES: dict[str, Json] = {
    "invoices": {"issued_on": "date", "total": "number"},
    "invoice lines": {"issued_on": "date", "total": "number"},
    "companies": {},
}
COMMON: Json = {"null_is_empty": True, "instants": ["created_at", "updated_at"]}
SIDES = {"errors": "_csv_error_url", "sanitized": "_csv_sanitized_url"}


def spec_of(provider: str, name: str, **changes: object) -> Json:
    spec = yaml.safe_load((SHIPPED / f"{provider}_declared.yaml").read_text(encoding="utf-8"))
    return {**spec, "seen": str(spec["seen"]), "name": name, **changes}


def exelensia(block: Json, api_url: str) -> list[Json]:
    """Return the block that declares all exports of the demo."""
    exports = [
        {
            "name": entry["name"],
            "params": {k: entry[k] for k in ("schema_id", "expand_array") if k in entry},
            "schema": TYPES[entry["name"]],
            **{k: entry[k] for k in ("primary_keys", "max_window_days") if k in entry},
        }
        for entry in block["exports"]
    ]
    spec = spec_of("exelensia", "exelensia2")
    return [{"api": spec, "api_url": api_url, "credentials": {"key": block["api_key"]}, "exports": exports}]


def packagex(block: Json, api_url: str) -> list[Json]:
    """Return a block for each form of file: rows as JSON, as CSV, errors, and rows that were held out."""
    blocks = []
    for entry in block["exports"]:
        forms = {"": {"url": f"_{entry['format']}_url", "format": entry["format"]}}
        forms |= {f" {side}": {"url": url, "format": "csv"} for side, url in SIDES.items()}
        for side, files in forms.items():
            spec = spec_of("packagex", "packagex2", files={**files, **COMMON})
            if side:
                del spec["job"]["rows"]  # counts the rows, not the errors
            rows = {"name": entry["name"] + side, "params": {"resource": entry["resource"]}, "primary_keys": ["id"]}
            key = {"credentials": {"key": block["api_key"]}}
            blocks.append({"api": spec, "api_url": api_url, "name": f"packagex2{side}", **key, "exports": [rows]})
    return blocks


BLOCKS = {"exelensia": exelensia, "packagex": packagex}


def exported(ran: Ran, prefix: str) -> dict[str, list[Json]]:
    """Return the rows of exports by what their streams are called behind the provider's name."""
    found: dict[str, list[Json]] = {}
    for stream, records in ran.records.items():
        provider, _, name = stream.partition("_export_")
        if provider.startswith(prefix) and name:
            found.setdefault(name, []).extend(sorted(without_lineage(records), key=str))
    return found


@pytest.mark.parametrize("provider", BLOCKS)
def test_the_demo_declared(tmp_path: Path, provider: str) -> None:
    """Every export of the demo, first run and second."""
    with Sandbox(SandboxOptions(job_seconds=0)) as box:
        whole = box.config(provider)
        blocks = BLOCKS[provider](whole[provider], box.api_url(provider))
        built_in = {**whole, **SHARED, "progress": "never"}
        declared = {**{k: v for k, v in built_in.items() if k != provider}, "declared": blocks}
        states: list[Json | None] = [None, None]
        for turn in range(2):
            runs = [tap(tmp_path, c, state=s).succeeded() for c, s in zip((built_in, declared), states, strict=True)]
            expected, found = exported(runs[0], provider), exported(runs[1], f"{provider}2")
            assert {name: len(rows) for name, rows in found.items()} == {n: len(r) for n, r in expected.items()}
            assert found == expected
            assert sum(map(len, expected.values())) > (30, 0)[turn]
            states = [ran.states[-1] for ran in runs]
            box.grow()
