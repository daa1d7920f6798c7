"""All providers are alike: the same files, the same order, documents, sandbox and tests for each and for no other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tap_exports import registry
from tap_exports.sandbox import Sandbox, SandboxOptions
from tap_exports.sandbox.registry import PROVIDERS as SERVED
from tap_exports.tap import PROVIDERS, TapExports
from tap_exports.testing import ProviderConformance
from tests.tap.harness import Json, Ran, tap

pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parents[2]
CODE = ROOT / "tap_exports" / "providers"
CONFIG: Any = TapExports.config_jsonschema
FILES = ["__init__.py", "api.py", "schemas.py", "settings.py", "streams.py"]

# The statuses that each provider's documents name, and where the sandbox shows those of its jobs.
STATUSES = {
    "cension": ("operations", {"running", "completed", "failed", "cancelled"}),
    "exelensia": ("exports", {"PENDING", "PROCESSING", "COMPLETED", "FAILED"}),
    "packagex": ("exports", {"queued", "processing", "completed", "failed", "timed_out"}),
    "cornect": ("exports", {"pending", "processing", "completed", "failed"}),
    "closient": ("jobs", {"pending", "processing", "completed", "failed"}),
}

PLACE = ["_sdc_row_digest", "_sdc_row_copy"]
# Every stream of the contract with its key and bookmark; of entries, what the sandbox's configuration gives them.
STREAMS: Mapping[str, tuple[list[str], str | None]] = {
    "cension_operations": (["operationId"], "operationId"),
    "cension_export_<name>": (["company"], "operationId"),
    "cension_query_<name>": (["id"], "created_at"),
    "exelensia_schemas": (["id"], None),
    "exelensia_templates": (["id"], None),
    "exelensia_files": (["id"], "createdAt"),
    "exelensia_processes": (["id"], "createdAt"),
    "exelensia_results": (["id"], "createdAt"),
    "exelensia_exports": (["id"], "createdAt"),
    "exelensia_export_<name>": (["_sdc_window_start", *PLACE], "created_at"),
    "packagex_exports": (["id"], "created_at"),
    "packagex_export_<name>": (["id"], "created_at"),
    "packagex_export_<name>_errors": (["id"], "created_at"),
    "packagex_export_<name>_sanitized": (["id"], "created_at"),
    "cornect_credits": (["workspace_id"], None),
    "cornect_credit_transactions": (["id"], "created_at"),
    "cornect_companies": (["id"], None),
    "cornect_exports": (["id"], "created_at"),
    "cornect_export_<name>": (PLACE, None),
    "closient_exports": (["job_id"], None),
    "closient_export_sections": (["job_id", "key"], None),
    "closient_export_records": (["job_id", "section", "path", "index"], None),
    "closient_export_files": (["job_id", "path"], None),
    "export_jobs": (["provider", "job_id"], "requested_at"),
    "export_rejects": (["stream", "job_id", "file", "row"], None),
}
# Entries of the sandbox's configuration that set a key of their own.
KEYED = {"exelensia_export_companies": ["symbol"], "exelensia_export_invoices": ["invoice_number"]}


class BuiltIn(ProviderConformance):
    """The conformance tests against the sandbox."""

    @contextmanager
    def served(self) -> Iterator[Mapping[str, Any]]:
        """Serve the provider, with jobs that are completed at once."""
        with Sandbox(SandboxOptions(job_seconds=0)) as box:
            yield box.config(self.provider)

    def run(self, folder: Path, config: Mapping[str, Any], *arguments: str, **options: Any) -> Ran:  # noqa: ANN401 - of `tap`
        """Run the tap, forked."""
        return tap(folder, config, *arguments, **options)


class TestCension(BuiltIn):
    provider = "cension"


class TestClosient(BuiltIn):
    provider = "closient"


class TestCornect(BuiltIn):
    provider = "cornect"


class TestExelensia(BuiltIn):
    provider = "exelensia"


class TestPackagex(BuiltIn):
    provider = "packagex"


def pattern_of(stream: str) -> str | None:
    """Return the row of the contract that a stream belongs to: its own name, else the longest pattern that fits."""
    fitting = [row for row in STREAMS if re.fullmatch(row.replace("<name>", r"[a-z0-9_]+"), stream)]
    return max(fitting, key=lambda row: (row == stream, len(row)), default=None)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Json]:
    """Return the catalog of all providers by stream."""
    with Sandbox(SandboxOptions(job_seconds=0)) as box:
        found = tap(tmp_path_factory.mktemp("catalog"), box.config(), "--discover").succeeded()
    return {stream["stream"]: stream for stream in json.loads(b"\n".join(found.lines))["streams"]}


# Files ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_provider_is_four_files(provider: str) -> None:
    assert sorted(p.name for p in (CODE / provider).iterdir() if p.name != "__pycache__") == FILES


DECLARED = "declared"  # all other providers, of whatever name


def folders(path: Path) -> set[str]:
    return {p.name for p in path.iterdir() if (p / "__init__.py").exists()}


def stems(place: str, pattern: str) -> set[str]:
    return {m[1] for p in (ROOT / place).glob("*") if (m := re.fullmatch(pattern, p.name))}


def test_every_place_knows_the_same_providers() -> None:
    """Code, settings, sandbox, documents and tests: one for each provider, and none for one that is not there."""
    providers = set(PROVIDERS)
    places = {
        "code": folders(CODE) - {DECLARED},
        "sandbox": folders(ROOT / "tap_exports" / "sandbox") - {DECLARED},
        "served": {kind.name for kind in SERVED},
        "page": stems("docs/providers", r"(\w+)\.md"),
        "test of the api": stems("tests/providers", r"test_(\w+)_api\.py"),
        "test of the tap": stems("tests/providers", r"test_(\w+)_tap\.py"),
        "statuses": set(STATUSES),
        "settings": {name for name, prop in CONFIG["properties"].items() if "api_url" in prop.get("properties", {})},
    }
    assert {place: sorted(names ^ providers) for place, names in places.items() if names != providers} == {}
    assert providers - stems("tests/sandbox", r"test_(\w+)\.py") == set()


# Statuses ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", PROVIDERS)
def test_documented_statuses_are_those_of_the_api(provider: str) -> None:
    assert set(registry.providers()[provider].module("api").STATUSES) == STATUSES[provider][1]


def test_every_status_is_reached_in_the_sandbox(tmp_path: Path) -> None:
    """Each documented status and no other one, over the life of the tap's own jobs and those of others."""
    reached: dict[str, set[str]] = {provider: set() for provider in PROVIDERS}
    with Sandbox(SandboxOptions(job_seconds=1000)) as box:
        tap(tmp_path, {**box.config(), "job_wait": "detach"}).succeeded()
        for _ in range(3):
            for provider, (resource, _documented) in STATUSES.items():
                reached[provider] |= {row["status"] for row in box.truth(f"{provider}/{resource}")}
            box.clock.advance(500)
    assert reached == {provider: documented for provider, (_, documented) in STATUSES.items()}


# Streams -------------------------------------------------------------------------------------------------------------


def test_streams_are_those_of_the_contract(catalog: dict[str, Json]) -> None:
    """Each stream has its row, and each row its stream."""
    rows = {stream: pattern_of(stream) for stream in catalog}
    assert [stream for stream, row in rows.items() if row is None] == []
    assert set(STREAMS) - set(rows.values()) == set()


def test_keys_and_bookmarks_are_those_of_the_contract(catalog: dict[str, Json]) -> None:
    found = {stream: (entry["key_properties"], entry.get("replication_key")) for stream, entry in catalog.items()}
    expected = {stream: STREAMS[str(pattern_of(stream))] for stream in catalog}
    assert found == expected | {stream: (keys, expected[stream][1]) for stream, keys in KEYED.items()}
