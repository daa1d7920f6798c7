"""Declared providers, the whole tap: the declarations of two built-in providers give their rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tap_exports.sandbox import Sandbox, SandboxOptions
from tap_exports.sandbox.exelensia.seed import INVOICES_ID
from tests.tap.harness import Json, Ran, tap, without_lineage

START, END = "2024-01-01T00:00:00.000Z", "2024-03-31T00:00:00.000Z"
SHARED = {"start_date": START, "end_date": END, "progress": "never", "allow_private_hosts": True}
ENTRIES: dict[str, tuple[Json, Json]] = {
    "exelensia": (
        {"schema_id": INVOICES_ID, "name": "rows", "primary_keys": ["invoice_number"]},
        {
            "name": "rows",
            "primary_keys": ["invoice_number"],
            "params": {"schema_id": INVOICES_ID},
            "schema": {"total": "number"},
        },
    ),
    "packagex": (
        {"resource": "shipment", "name": "rows", "format": "csv", "primary_keys": ["id"]},
        {"name": "rows", "params": {"resource": "shipment"}, "primary_keys": ["id"]},
    ),
}


def sandbox(**options: object) -> Sandbox:
    return Sandbox(SandboxOptions(**{"job_seconds": 0, **options}))  # type: ignore[arg-type] # of the options


def config(box: Sandbox, provider: str, **entry: object) -> Json:
    """Return a configuration with the shipped declaration of a built-in provider."""
    block = {
        "file": f"{provider}_declared",
        "api_url": box.api_url(provider),
        "credentials": {"key": box.key(provider)},
        "exports": [{**ENTRIES[provider][1], **entry}],
    }
    return {**SHARED, **{k: v for k, v in box.config(provider).items() if k != provider}, **SHARED, "declared": [block]}


def built_in(box: Sandbox, provider: str) -> Json:
    whole = box.config(provider)
    return {**whole, **SHARED, provider: {**whole[provider], "exports": [ENTRIES[provider][0]]}}


def rows(ran: Ran, stream: str) -> list[Json]:
    return sorted(without_lineage(ran.records[stream]), key=str)


def posts(box: Sandbox) -> int:
    return sum(entry["method"] == "POST" for entry in box.requests())


@pytest.mark.parametrize("provider", ENTRIES)
def test_a_declared_provider_gives_the_rows_of_the_built_in_one(tmp_path: Path, provider: str) -> None:
    """Value by value, whatever door the provider comes through."""
    with sandbox() as box:
        expected = rows(tap(tmp_path, built_in(box, provider)).succeeded(), f"{provider}_export_rows")
        found = rows(tap(tmp_path, config(box, provider)).succeeded(), f"{provider}_declared_export_rows")
    assert len(expected) > 10
    assert found == expected


def test_a_second_run_has_nothing_to_do(tmp_path: Path) -> None:
    """The bookmark counts windows, as of every provider."""
    with sandbox() as box:
        first = tap(tmp_path, config(box, "exelensia")).succeeded()
        made = posts(box)
        second = tap(tmp_path, config(box, "exelensia"), state=first.states[-1]).succeeded()
        assert (made > 0, posts(box) - made) == (True, 0)
    assert second.records["exelensia_declared_export_rows"] == []


def test_other_params_under_one_name_stop_the_stream(tmp_path: Path) -> None:
    """STATE is about the rows that were asked for, of a declared export as of any other."""
    with sandbox() as box:
        first = tap(tmp_path, config(box, "exelensia")).succeeded()
        ran = tap(tmp_path, config(box, "exelensia", params={"schema_id": "another"}), state=first.states[-1])
        assert (ran.code, ran.records["exelensia_declared_export_rows"]) == (1, [])
        assert "params was sha256:" in ran.errors[0].replace('"', ""), ran.errors
