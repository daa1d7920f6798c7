"""All providers are alike: the same files, the same order, documents, sandbox and tests for each and for no other."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tap_exports.sandbox import Sandbox, SandboxOptions
from tap_exports.sandbox.registry import PROVIDERS as SERVED
from tap_exports.singer.streams.stream import EventStream
from tap_exports.tap import PROVIDERS, TapExports
from tests.tap.harness import Json, tap

ROOT = Path(__file__).resolve().parents[2]
CODE = ROOT / "tap_exports" / "providers"
CONFIG: Any = TapExports.config_jsonschema
FILES = ["__init__.py", "api.py", "schemas.py", "settings.py", "streams.py"]
TERMS = ["Docs", "Window", "Caveats"]
CREDENTIALS = {"api_key", "api_token"}
FORBIDDEN = {"backoff", "os", "pathlib", "requests", "singer_sdk", "tempfile", "time"}

# The attributes of a stream class, in the order in which they stand.
ATTRIBUTES = [
    "provider",
    "name",
    "path",
    "properties",
    "primary_keys",
    "replication_key",
    "is_user_data",
    "lineage",
    "bookmark_kind",
    "rows_by",
    "ordered",
    "statuses",
    "free_texts",
    "user_fields",
    "verify_counts",
    "max_window_days",
    "instants",
    "retention",
    "suffix",
    "can_read_again",
    "shown",
    "leader",
    "api",
]

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


def named(provider: str) -> Any:  # noqa: ANN401 - a module's values
    return importlib.import_module(f"tap_exports.providers.{provider}.api")


def settings_of(provider: str) -> Json:
    return dict(CONFIG["properties"][provider])


def settings_within(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Json]]:
    """Yield every setting below a schema, with its path."""
    yield path, dict(schema)
    for name, inner in schema.get("properties", {}).items():
        yield from settings_within(inner, f"{path}.{name}")
    if isinstance(schema.get("items"), Mapping):
        for name, inner in schema["items"].get("properties", {}).items():
            yield from settings_within(inner, f"{path}[].{name}")


def classes_in(provider: str) -> list[ast.ClassDef]:
    """Return the stream classes of a provider, as they are written."""
    module = importlib.import_module(f"tap_exports.providers.{provider}.streams")
    tree = ast.parse((CODE / provider / "streams.py").read_text(encoding="utf-8"))
    found = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return [node for node in found if issubclass(getattr(module, node.name), EventStream)]


def attributes(node: ast.ClassDef) -> list[str]:
    """Return the names that a class body assigns or declares."""
    targets = [s.targets[0] if isinstance(s, ast.Assign) else getattr(s, "target", None) for s in node.body]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def imports(path: Path) -> set[str]:
    """Return the modules that a module imports, by their full name."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


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


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_api_neither_waits_nor_retries_nor_knows_singer(provider: str) -> None:
    """It makes requests and reads replies; the engine does the rest."""
    path = CODE / provider / "api.py"
    found = imports(path)
    assert {name for name in found if name.split(".")[0] in FORBIDDEN or name.startswith("tap_exports.singer")} == set()
    assert re.findall(r"\bsleep\(|\bopen\(", re.sub(r"def open\(", "", path.read_text(encoding="utf-8"))) == []


# Statuses ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", PROVIDERS)
def test_documented_statuses_are_those_of_the_api(provider: str) -> None:
    assert set(named(provider).STATUSES) == STATUSES[provider][1]


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


# Settings ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_setting_is_described(provider: str) -> None:
    found = list(settings_within(settings_of(provider), provider))
    assert [path for path, prop in found if not prop.get("description")] == []
    assert f"{provider}.api_url" in dict(found)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_credential_is_secret_and_nothing_else(provider: str) -> None:
    """What is secret is redacted and kept out of the catalog of settings; what is not must be seen."""
    found = list(settings_within(settings_of(provider), provider))
    secret = {path for path, prop in found if prop.get("secret") or prop.get("writeOnly")}
    assert secret == {path for path, _ in found if path.rpartition(".")[2] in CREDENTIALS}
    assert secret


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_block_takes_no_unknown_key(provider: str) -> None:
    """Objects that the provider reads as they are, such as filters, are the only open ones."""
    objects = [(path, p) for path, p in settings_within(settings_of(provider), provider) if p.get("properties")]
    assert [path for path, prop in objects if prop.get("additionalProperties") is not False] == []


# Streams -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", PROVIDERS)
def test_streams_tell_documents_window_and_caveats(provider: str) -> None:
    """In that order, each once, each with words; classes that only others build on have none of them."""
    with Sandbox(SandboxOptions(job_seconds=0)) as box:
        streams = TapExports(config=box.config(provider)).discover_streams()
    built = {type(stream).__name__ for stream in streams if type(stream).__module__.endswith(f"{provider}.streams")}
    terms = {
        node.name: re.findall(r"^\s*(\w+): \S", ast.get_docstring(node) or "", re.MULTILINE)
        for node in classes_in(provider)
    }
    told = {name: [term for term in found if term in TERMS] for name, found in terms.items()}
    assert {name: found for name, found in told.items() if found != (TERMS if name in built else [])} == {}
    assert built <= set(told)
    docs = [re.search(r"Docs: (\S+)", inspect.cleandoc(ast.get_docstring(node) or "")) for node in classes_in(provider)]
    assert [match[1] for match in docs if match and not match[1].startswith("https://")] == []


@pytest.mark.parametrize("provider", PROVIDERS)
def test_attributes_of_streams_stand_in_one_order(provider: str) -> None:
    """A new attribute gets its place in the order here first."""
    written = {node.name: attributes(node) for node in classes_in(provider)}
    assert {name for names in written.values() for name in names} - set(ATTRIBUTES) == set()
    assert {name: names for name, names in written.items() if names != sorted(names, key=ATTRIBUTES.index)} == {}


def test_streams_are_those_of_the_contract(catalog: dict[str, Json]) -> None:
    """Each stream has its row, and each row its stream."""
    rows = {stream: pattern_of(stream) for stream in catalog}
    assert [stream for stream, row in rows.items() if row is None] == []
    assert set(STREAMS) - set(rows.values()) == set()


def test_keys_and_bookmarks_are_those_of_the_contract(catalog: dict[str, Json]) -> None:
    found = {stream: (entry["key_properties"], entry.get("replication_key")) for stream, entry in catalog.items()}
    expected = {stream: STREAMS[str(pattern_of(stream))] for stream in catalog}
    assert found == expected | {stream: (keys, expected[stream][1]) for stream, keys in KEYED.items()}


def test_keys_and_bookmarks_stand_in_the_schema(catalog: dict[str, Json]) -> None:
    missing = {
        stream: [
            name
            for name in [*entry["key_properties"], entry.get("replication_key")]
            if name and name not in entry["schema"]["properties"]
        ]
        for stream, entry in catalog.items()
    }
    assert {stream: names for stream, names in missing.items() if names} == {}


def test_keys_are_never_null(catalog: dict[str, Json]) -> None:
    """A key that may be null makes a target lose rows, or refuse them."""
    nullable = {
        (stream, key)
        for stream, entry in catalog.items()
        for key in entry["key_properties"]
        if "null" in entry["schema"]["properties"][key]["type"]
    }
    assert nullable == set()


def test_no_column_holds_a_signed_url(catalog: dict[str, Json]) -> None:
    """A signed URL is a secret: whoever holds it can read the file."""
    columns = {(stream, name) for stream, entry in catalog.items() for name in entry["schema"]["properties"]}
    assert {
        (stream, name)
        for stream, name in columns
        if re.search(r"(^|_)(download_url|signed_url|csv_url|json_url)$", name)
    } == set()
