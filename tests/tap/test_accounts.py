"""Several accounts in one block: streams are shared; rows, STATE, jobs and errors are each account's own."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pyarrow import parquet

from tap_exports.errors import ConfigError
from tap_exports.providers.declared.streams import SHIPPED
from tap_exports.sandbox import Sandbox, SandboxOptions
from tap_exports.sandbox.declared import provider_of
from tap_exports.tap import TapExports
from tests.process.child import DEVNULL, Child
from tests.tap.harness import PROVIDERS, Json, Ran, arguments_of, only, tap

Boxes = Callable[..., Sandbox]
TWO = ("north", "south")
END: Json = {"end_date": "2026-06-01T00:00:00Z", "job_reuse_seconds": 0}
INVOICES = "exelensia_export_invoices"
SETTLED = {"exelensia", "cension"}  # with an end, their second run asks for nothing


def with_refused(config: Json, provider: str) -> Json:
    """Return a configuration with an account between the two whose key is refused."""
    north, south = config[provider]["accounts"]
    key = next(name for name in north if name != "name")
    accounts = [north, {"name": "refused", key: north[key][:-1]}, south]
    return {**config, provider: {**config[provider], "accounts": accounts}}


def partitions(state: Json, stream: str) -> dict[str, Json]:
    found = state["bookmarks"][stream]["partitions"]
    return {each["context"]["_sdc_account"]: each for each in found}


def rows_of(ran: Ran, stream: str, account: str) -> list[Json]:
    return [{**r, "_sdc_account": None} for r in ran.records[stream] if r["_sdc_account"] == account]


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_each_provider(provider: str, sandbox: Boxes, tmp_path: Path) -> None:
    """The account is part of each key and stands in each row; a refused key fails its account, and nothing else.

    The second run goes on from each account's partition: it asks for no job again.
    """
    box = sandbox(accounts=TWO)
    config = with_refused({**only(box.config(), provider), **END}, provider)
    first = tap(tmp_path, config)
    assert first.code == 1
    for schema in (m for m in first.messages if m["type"] == "SCHEMA"):
        assert schema["key_properties"][0] == "_sdc_account"
        assert schema["schema"]["properties"]["_sdc_account"]["type"] == ["string"]
    named = {row["_sdc_account"] for rows in first.records.values() for row in rows}
    assert named == {*TWO}
    assert {*first.records} > {"export_jobs"}
    assert f"`{provider}@refused." in first.stderr
    assert f"`{provider}@south." not in first.stderr
    assert not [m for m in first.messages if m["type"] == "ACTIVATE_VERSION" and m["stream"].startswith(provider)]
    for rows in first.records.values():  # in the order of the configuration, stream by stream
        accounts = [row["_sdc_account"] for row in rows if row.get("provider") is None]
        assert accounts == sorted(accounts)
    spent = box.spend()[provider]
    second = tap(tmp_path, config, state=first.states[-1])
    assert second.code == 1
    if provider in SETTLED:
        assert box.spend()[provider] == spent


@pytest.mark.parametrize("provider", ["exelensia", "closient"])
def test_two_accounts_have_what_each_would_have_alone(provider: str, sandbox: Boxes, tmp_path: Path) -> None:
    """Rows and receipts are equal to those of a run with one key, and a full table is activated once all are proven."""
    box = sandbox(accounts=TWO)
    ran = tap(tmp_path, {**only(box.config(), provider), **END}).succeeded()
    again = sandbox()
    alone = tap(tmp_path, {**only(again.config(), provider), **END}).succeeded()
    by_job = {"job_id", "_sdc_job_id", "id", "requested_at", "url", "exported_at"}
    for stream, rows in alone.records.items():
        if stream not in {"export_jobs", f"{provider}_exports"}:
            for account in TWO:
                expected = [{k: v for k, v in row.items() if k not in by_job} for row in rows]
                found = [{k: v for k, v in r.items() if k not in by_job} for r in rows_of(ran, stream, account)]
                assert [{k: r[k] for k in r if k != "_sdc_account"} for r in found] == expected
    activated = {m["stream"] for m in alone.messages if m["type"] == "ACTIVATE_VERSION"}
    assert {m["stream"] for m in ran.messages if m["type"] == "ACTIVATE_VERSION"} == activated
    assert len(ran.records["export_jobs"]) == 2 * len(alone.records["export_jobs"])
    assert {row["stream"] for row in ran.records["export_jobs"]} == {
        row["stream"] for row in alone.records["export_jobs"]
    }


def test_added_and_removed(sandbox: Boxes, tmp_path: Path) -> None:
    """An account that comes later begins by itself; one that is gone keeps its partition, untouched."""
    box = sandbox(accounts=(*TWO, "west"))
    config = {**only(box.config(), "exelensia"), **END}
    north, south, west = config["exelensia"]["accounts"]
    before = tap(tmp_path, _with(config, [north, south])).succeeded().states[-1]
    ran = tap(tmp_path, _with(config, [south, west]), state=before).succeeded()
    assert {row["_sdc_account"] for row in ran.records[INVOICES]} == {"west"}
    after = ran.states[-1]
    assert list(partitions(after, INVOICES)) == ["north", "south", "west"]
    assert partitions(after, INVOICES)["north"] == partitions(before, INVOICES)["north"]
    assert partitions(after, INVOICES)["south"] == partitions(before, INVOICES)["south"]


def test_a_renamed_account_is_told(sandbox: Boxes, tmp_path: Path) -> None:
    """It is read from the beginning, which costs time and jobs; nothing is said where none is gone, or none is new."""
    box = sandbox(accounts=(*TWO, "west"))
    config = {**only(box.config(), "exelensia"), **END}
    north, south, west = config["exelensia"]["accounts"]
    warning = "STATE has accounts that are not configured (north), and nothing of N\\n1, read from the beginning"
    before = tap(tmp_path, _with(config, [north, south])).succeeded().states[-1]
    renamed = tap(tmp_path, _with(config, [{**north, "name": "N\n1"}, south]), state=before).succeeded()
    assert warning in renamed.stderr
    assert {row["_sdc_account"] for row in renamed.records[INVOICES]} == {"N\n1"}
    for accounts in ([north, south, west], [south]):
        assert "not configured" not in tap(tmp_path, _with(config, accounts), state=before).succeeded().stderr


def test_settings_of_the_environment(sandbox: Boxes, tmp_path: Path) -> None:
    """A block with accounts may come as a variable; the accounts share connections, of which none is thrown away."""
    many = [f"account {number}" for number in range(8)]
    config = {**only(sandbox(accounts=many).config(), "exelensia"), **END}
    block = {"TAP_EXPORTS_EXELENSIA": json.dumps(config.pop("exelensia"))}
    ran = tap(tmp_path, config, "--config", "ENV", environment=block).succeeded()
    assert [row["_sdc_account"] for row in ran.records[INVOICES]] == [name for name in many for _ in range(40)]
    assert "pool is full" not in ran.stderr


def _with(config: Json, accounts: list[Json]) -> Json:
    return {**config, "exelensia": {**config["exelensia"], "accounts": accounts}}


def test_killed_in_the_middle(sandbox: Boxes, tmp_path: Path) -> None:
    """A run that is killed while the second account is read goes on there, and no job is created twice."""
    box = sandbox(accounts=TWO)
    config = {**only(box.config(), "exelensia"), **END, "ledger": str(tmp_path / "ledger.json")}
    process = Child(arguments_of(tmp_path, config), stderr=DEVNULL)
    assert process.stdout is not None
    state: Json = {}
    for line in process.stdout:
        message = json.loads(line)
        state = message["value"] if message["type"] == "STATE" else state
        if message["type"] == "RECORD" and message["record"].get("_sdc_account") == "south":
            break
    process.kill()
    process.communicate()
    created = box.spend()["exelensia"]["jobs_created"]
    ran = tap(tmp_path, config, state=state or None).succeeded()
    alone = sandbox()
    tap(tmp_path / "..", {**only(alone.config(), "exelensia"), **END}).succeeded()
    assert box.spend()["exelensia"]["jobs_created"] == 2 * alone.spend()["exelensia"]["jobs_created"] >= created
    assert {row["_sdc_account"] for row in ran.records[INVOICES]} == {*TWO}


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_batches(form: str, sandbox: Boxes, tmp_path: Path) -> None:
    """Rows in parts say their account, and each account's bookmark stands in its partition."""
    box = sandbox(accounts=TWO)
    parts = {"encoding": {"format": form}, "storage": {"root": str(tmp_path / "parts")}}
    ran = tap(tmp_path, {**only(box.config(), "exelensia"), **END, "batch_config": parts}).succeeded()
    files = [
        m["manifest"][0].removeprefix("file://")
        for m in ran.messages
        if m.get("stream") == INVOICES and "manifest" in m
    ]
    found = [row["_sdc_account"] for path in files for row in _read(Path(path), form)]
    assert found == ["north"] * 40 + ["south"] * 40
    assert {each["replication_key"] for each in partitions(ran.states[-1], INVOICES).values()} == {"created_at"}


def _read(path: Path, form: str) -> list[Json]:
    if form == "jsonl":
        return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    rows: list[Json] = parquet.read_table(path).to_pylist()
    return rows


def test_a_catalog_from_before(sandbox: Boxes, tmp_path: Path) -> None:
    """A catalog without the account gets it into key and schema, or rows would overwrite each other."""
    box = sandbox(accounts=TWO)
    alone = tap(tmp_path, only(sandbox().config(), "exelensia"), "--discover")
    catalog = json.loads(b"".join(alone.lines))
    ran = tap(tmp_path, {**only(box.config(), "exelensia"), **END}, catalog=catalog).succeeded()
    schema = ran.schema(INVOICES)
    assert schema["key_properties"] == ["_sdc_account", "invoice_number"]
    assert "_sdc_account" in schema["schema"]["properties"]
    assert {row["_sdc_account"] for row in ran.records[INVOICES]} == {*TWO}


def test_discovery_asks_one_account(sandbox: Boxes, tmp_path: Path) -> None:
    """Discovery asks as much as with one key."""
    box, alone = sandbox(accounts=TWO), sandbox()
    for each in (box, alone):
        assert tap(tmp_path, only(each.config(), "exelensia"), "--discover").code == 0
    assert len(box.requests()) == len(alone.requests())


@pytest.mark.parametrize("has_now", [True, False])
def test_state_of_the_other_kind(has_now: bool, sandbox: Boxes, tmp_path: Path) -> None:  # noqa: FBT001 - a case
    """STATE with accounts is not begun anew in silence without them, nor the other way round.

    Three runs: the second says the same, the third follows the advice and reads everything.
    """
    two = {**only(sandbox(accounts=TWO).config(), "exelensia"), **END}
    block = {name: value for name, value in two["exelensia"].items() if name != "accounts"}
    few = {**two, "exelensia": {**block, "api_key": two["exelensia"]["accounts"][0]["api_key"]}}
    before, now = (few, two) if has_now else (two, few)
    state = tap(tmp_path, before).succeeded().states[-1]
    for _ in range(2):
        ran = tap(tmp_path, now, state=state)
        assert ran.code == 1
        assert not ran.records.get(INVOICES)
        assert f"STATE was written {'without' if has_now else 'with'} `accounts`" in ran.stderr
        state = ran.states[-1] if ran.states else state
    again = tap(tmp_path, {**now, "state_mismatch": "restart"}, state=state).succeeded()
    assert again.records[INVOICES]


ENTRY: Json = {"name": "a", "api_key": "k-1"}


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"api_key": "k-2", "accounts": []}, '"exelensia.accounts" must have at least 1 entry'),
        ({"accounts": [ENTRY, ENTRY]}, "accounts[0] and accounts[1] have the same name"),
        (
            {"accounts": [ENTRY, {"name": "b"}]},
            'config: "exelensia.accounts.1.api_key" is missing, and so is "exelensia.api_key"',
        ),
        ({}, 'config: "exelensia.api_key" is missing, and so is "exelensia.accounts"'),
        ({"accounts": None}, 'config: "exelensia.api_key" is missing, and so is "exelensia.accounts"'),
        ({"accounts": "k-3"}, 'config: "exelensia.accounts" must be of type array'),
        ({"accounts": [{"name": "", "api_key": "k"}]}, '"exelensia.accounts.0.name" must have at least 1 character'),
        ({"accounts": [{"api_key": "k"}]}, '"exelensia.accounts.0.name" is missing'),
        ({"accounts": [{**ENTRY, "exports": []}]}, 'unknown key "exelensia.accounts[0].exports"'),
    ],
)
def test_what_is_refused(block: Mapping[str, Any], said: str) -> None:
    """What does not name each account once, or leaves it without a key, is refused by its place."""
    with pytest.raises(ConfigError) as caught:
        TapExports(config={"exelensia": block})
    assert said in caught.value.message


KEYS = dict.fromkeys(PROVIDERS, "api_key") | {"cornect": "api_token"}


@pytest.mark.parametrize("provider", sorted(KEYS))
def test_the_published_schema_says_what_is_taken(provider: str, tmp_path: Path) -> None:
    """Whoever checks a configuration by the schema of `--about` takes what the tap takes, and nothing else.

    The keys of accounts are secrets there, and accounts are one of the groups that `meltano config` accepts.
    """
    about = tap(tmp_path, {}, "--about", "--format=json")
    schema = json.loads(b"".join(about.lines))["settings"]
    key, needed = KEYS[provider], {"organization_ids": ["o"]} if provider == "closient" else {}
    whole, named, bare = {"name": "a", key: "k-1", **needed}, {"name": "a", key: "k-1"}, {"name": "b"}
    cases = [
        ({key: "k", **needed}, True),
        ({key: "k", **needed, "accounts": [bare]}, True),
        ({"accounts": [whole]}, True),
        ({**needed, "accounts": [named]}, True),
        ({key: "k", "accounts": [named, {**bare, **needed}]}, not needed),
        ({}, False),
        (needed, False),
        ({**needed, "accounts": []}, False),
        ({**needed, "accounts": [whole, bare]}, False),
    ]
    validator = Draft202012Validator(schema)
    assert [(block, validator.is_valid({provider: block})) for block, _ in cases] == cases
    for block, is_taken in cases:
        assert _is_taken({provider: block}) == is_taken
    entry = schema["properties"][provider]["properties"]["accounts"]["items"]["properties"]
    assert (entry[key]["secret"], entry[key]["writeOnly"]) == (True, True)
    meltano = yaml.safe_load(b"\n".join(tap(tmp_path, {}, "--about", "--format=meltano").lines))
    assert [f"{provider}.accounts"] in meltano["settings_group_validation"]
    assert next(each for each in meltano["settings"] if each["name"] == f"{provider}.accounts")["sensitive"]


def _is_taken(config: Json) -> bool:
    try:
        TapExports(config=config, setup_mapper=False)
    except ConfigError:
        return False
    return True


def test_an_entry_goes_before_the_block() -> None:
    """What an entry lacks, the block has; limits are each account's own."""
    entries = [ENTRY, {"name": "A", "max_credits": 7, "max_concurrent_jobs": 9}]
    accounts = [{k.replace("api_key", "api_token"): v for k, v in each.items()} for each in entries]
    block = {"api_token": "k-2", "max_credits": 3, "accounts": accounts}
    made = TapExports(config={"cornect": block, "max_concurrent_jobs": 2}, setup_mapper=False)
    seen = {name: each for name, each in made.by_name.items() if name.startswith("cornect_credits@")}
    assert [(each.config["cornect"]["api_token"], each.config["cornect"]["max_credits"]) for each in seen.values()] == [
        ("k-1", 3),
        ("k-2", 7),
    ]
    assert [each.config["max_concurrent_jobs"] for each in seen.values()] == [2, 9]


def test_declared(tmp_path: Path) -> None:
    """A declared provider has accounts too: its credentials differ, its declaration does not."""
    path = SHIPPED / "exelensia_declared.yaml"
    kind = provider_of(yaml.safe_load(path.read_text(encoding="utf-8")), path)
    with Sandbox(SandboxOptions(job_seconds=0), providers=[kind]) as box:
        (block,) = box.config()["declared"]
        held = block.pop("credentials")
        wrong = {name: value[::-1] for name, value in held.items()}
        block["accounts"] = [{"name": n, "credentials": c} for n, c in (("a", held), ("bad", wrong), ("c", held))]
        ran = tap(tmp_path, {**box.config(), "declared": [block]})
    assert ran.code == 1
    streams = {stream: rows for stream, rows in ran.records.items() if "_export_" in stream}
    assert streams
    for rows in streams.values():
        accounts = [row["_sdc_account"] for row in rows]
        assert accounts == sorted(accounts)
        assert accounts.count("a") == accounts.count("c") == len(accounts) / 2
    assert "@bad" in ran.stderr
