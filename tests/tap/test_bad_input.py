"""Wrong input: one or two lines that say what and where, exit code 1, no traceback, no secret, STATE untouched."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tap_exports.errors import ConfigError
from tap_exports.registry import BLOCKS
from tap_exports.sandbox import Sandbox
from tap_exports.singer.tap import explain
from tap_exports.tap import TapExports
from tests.tap.harness import Json, Ran, only, tap

Boxes = Callable[..., Sandbox]
SECRET = "sandbox-exelensia-key"


def refused(ran: Ran, *messages: str) -> None:
    """Hold a run against what every refusal must be."""
    assert (ran.code, ran.errors, ran.states) == (1, list(messages), [])
    assert "Traceback" not in ran.stderr
    assert SECRET not in ran.stderr


def exelensia(box: Sandbox, **changes: Any) -> Json:  # noqa: ANN401 - any setting
    """Return a configuration of one export, changed."""
    config = only(box.config(), "exelensia")
    config["exelensia"]["exports"] = config["exelensia"]["exports"][:1]
    return {**config, **changes}


def test_no_provider_block(tmp_path: Path) -> None:
    refused(tap(tmp_path, {}), f"config: no provider block; add at least one of {', '.join(BLOCKS)}")


STATUSES = "pending, running, completed, failed, cancelled, timed_out"
CONFIGS: dict[str, tuple[Json, tuple[str, ...]]] = {
    "misspelt provider": (
        {"exelensa": {"api_key": SECRET}},
        ('config: unknown key "exelensa"; the nearest setting is "exelensia"',),
    ),
    "key as a status word": (
        {"exelensia": {"api_key": SECRET, "statuses": {"pasted-key-of-a-test": "done"}}},
        (f'config: "exelensia.statuses.… (20 characters)" must be one of {STATUSES}',),
    ),
    "misspelt setting": (
        {"setling_seconds": 1, "exelensia": {"api_key": SECRET}},
        ('config: unknown key "setling_seconds"; the nearest setting is "settling_seconds"',),
    ),
    "misspelt key of an export": (
        {"exelensia": {"api_key": SECRET, "exports": [{"schema_id": "a", "expand_aray": "lines"}]}},
        ('config: unknown key "exelensia.exports[0].expand_aray"; the nearest setting is "expand_array"',),
    ),
    "missing key": (
        {"exelensia": {"exports": []}},
        ('config: "exelensia.api_key" is missing, and so is "exelensia.accounts"',),
    ),
    "missing id": (
        {"exelensia": {"api_key": SECRET, "exports": [{"name": "a"}]}},
        ('config: "exelensia.exports.0.schema_id" is missing',),
    ),
    "wrong type": ({"exelensia": SECRET}, ('config: "exelensia" must be of type object',)),
    "wrong word": (
        {"exelensia": {"api_key": SECRET}, "job_wait": "later"},
        ('config: "job_wait" must be one of wait, detach',),
    ),
    "not a date": (
        {"exelensia": {"api_key": SECRET}, "start_date": "yesterday"},
        ('config: start_date "yesterday" is not an ISO 8601 date-time, such as 2026-01-31T00:00:00Z',),
    ),
    "end before start": (
        {"exelensia": {"api_key": SECRET}, "start_date": "2026-02-01", "end_date": "2026-01-01"},
        ("config: end_date 2026-01-01 is before start_date 2026-02-01",),
    ),
    "two exports with one slug": (
        {
            "exelensia": {
                "api_key": SECRET,
                "exports": [{"schema_id": "a", "name": "US Fintech"}, {"schema_id": "b", "name": "us-fintech!"}],
            }
        },
        (
            (
                'config: "US Fintech" and "us-fintech!" both become the stream exelensia_export_us_fintech; '
                "give one another name"
            ),
        ),
    ),
    "plain http": (
        {"exelensia": {"api_key": SECRET, "api_url": "http://127.0.0.1:9"}},
        (
            (
                "exelensia: `exelensia.api_url`: http://127.0.0.1:9: plain http is refused; "
                "`allow_private_hosts: true` is needed to use it"
            ),
        ),
    ),
    "another scheme": (
        {"exelensia": {"api_key": SECRET, "api_url": "ftp://127.0.0.1"}, "allow_private_hosts": True},
        ("exelensia: `exelensia.api_url`: ftp://127.0.0.1: the scheme `ftp` is refused, only https is followed",),
    ),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_configuration(tmp_path: Path, case: str) -> None:
    """A wrong configuration is refused before any request, naming the setting and never its value."""
    config, messages = CONFIGS[case]
    refused(tap(tmp_path, config), *messages)


REMEDY = "`tap-exports forget {}` drops what STATE has of it, the next run begins at start_date then"
STATES: dict[str, tuple[Any, str]] = {
    "no bookmarks": (
        {"exelensia_files": {}},
        'STATE is malformed: expected an object with "bookmarks"; restore it, or begin without it',
    ),
    "a bookmark that is no object": (
        {"bookmarks": {"exelensia_files": "2026-01-01"}},
        "STATE of exelensia_files is malformed: expected an object under bookmarks.exelensia_files; "
        + REMEDY.format("exelensia_files"),
    ),
    "a ledger without version": (
        {"bookmarks": {"exelensia_export_invoices": {"ledger": {"jobs": []}}}},
        "STATE of exelensia_export_invoices is malformed: bookmarks.exelensia_export_invoices.ledger has no version; "
        + REMEDY.format("exelensia_export_invoices"),
    ),
    "a newer version": (
        {"bookmarks": {"exelensia_export_invoices": {"ledger": {"version": 3, "jobs": []}}}},
        (
            "STATE of exelensia_export_invoices has ledger version 3, this tap knows up to 2: "
            "it was written by a newer tap-exports; upgrade this one"
        ),
    ),
    "an unreadable entry": (
        {"bookmarks": {"exelensia_export_invoices": {"ledger": {"version": 1, "jobs": [{"id": "a"}]}}}},
        (
            "STATE of exelensia_export_invoices is malformed: "
            "bookmarks.exelensia_export_invoices.ledger holds an entry that cannot be read; "
            + REMEDY.format("exelensia_export_invoices")
        ),
    ),
}


@pytest.mark.parametrize("case", STATES)
def test_state(tmp_path: Path, sandbox: Boxes, case: str) -> None:
    """A STATE that cannot be read is refused before any request, never ignored."""
    state, message = STATES[case]
    box = sandbox()
    refused(tap(tmp_path, exelensia(box), state=state), message)
    assert box.requests() == []


def test_a_variable_of_an_env_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK reads an `.env` above its own folder; bad JSON in it is not said to stand in the configuration."""
    (tmp_path / ".env").write_text("TAP_EXPORTS_EXELENSIA='{\"api_key\": }'\n")
    monkeypatch.setattr("singer_sdk.configuration._dict_config.find_dotenv", lambda: str(tmp_path / ".env"))
    monkeypatch.setenv("TAP_EXPORTS_EXELENSIA", "to be taken back")
    monkeypatch.delenv("TAP_EXPORTS_EXELENSIA")
    with pytest.raises(ConfigError) as error:
        TapExports(config={}, parse_env_config=True)
    assert error.value.message == "TAP_EXPORTS_EXELENSIA in .env is not JSON: expecting value at line 1, column 13"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "none.json")
    ran = tap(tmp_path, {}, "--config", missing)
    assert ran.errors == [f"--config: {missing} cannot be read: no such file or directory"]


@pytest.mark.parametrize("error", [FileNotFoundError(2, "No such file or directory"), FileNotFoundError("spool.csv")])
def test_a_missing_file_without_a_name_is_not_called_none(error: FileNotFoundError) -> None:
    assert explain(error) == f"no such file: {error}"


def test_state_that_is_no_object(tmp_path: Path, sandbox: Boxes) -> None:
    ran = tap(tmp_path, exelensia(sandbox()), state=[])  # type: ignore[arg-type] # that is the point
    assert (ran.code, ran.errors) == (1, [f"--state: {tmp_path / 'state.json'} holds a JSON list, an object is due"])


def test_state_that_is_not_json(tmp_path: Path, sandbox: Boxes) -> None:
    (tmp_path / "broken.json").write_text('{"bookmarks"')
    ran = tap(tmp_path, exelensia(sandbox()), "--state", str(tmp_path / "broken.json"))
    path = tmp_path / "broken.json"
    assert (ran.code, ran.errors) == (1, [f"--state: {path} is not JSON: expecting ':' delimiter at line 1, column 13"])


def test_missing_file_is_named(tmp_path: Path, sandbox: Boxes) -> None:
    ran = tap(tmp_path, exelensia(sandbox()), "--config", str(tmp_path / "more.json"))
    assert (ran.code, ran.errors) == (
        1,
        [f"--config: {tmp_path / 'more.json'} cannot be read: no such file or directory"],
    )


def test_variable_that_is_not_json_is_named(tmp_path: Path, sandbox: Boxes) -> None:
    """It is no file's fault, and its text may be a secret."""
    variables = {"TAP_EXPORTS_CORNECT": '{"api_token": "hush', "TAP_EXPORTS_MAX_ATTEMPTS": "six"}
    ran = tap(tmp_path, exelensia(sandbox()), "--config", "ENV", environment=variables)
    assert (ran.code, sorted(ran.errors)) == (
        1,
        [
            "TAP_EXPORTS_CORNECT in the environment is not JSON: unterminated string starting at at line 1, column 15",
            "TAP_EXPORTS_MAX_ATTEMPTS in the environment is not a whole number",
        ],
    )


def test_state_as_others_write_it_is_read(tmp_path: Path, sandbox: Boxes) -> None:
    """One whole run: a STATE message in UTF-16 is obeyed like the STATE in it."""
    state = {"bookmarks": {"exelensia_files": {"replication_key": "createdAt", "replication_key_value": "soon"}}}
    (tmp_path / "odd.json").write_bytes(json.dumps({"type": "STATE", "value": state}).encode("utf-16"))
    ran = tap(tmp_path, exelensia(sandbox()), "--state", str(tmp_path / "odd.json"))
    assert ran.errors[0].startswith("STATE of exelensia_files: replication_key_value is not an ISO 8601 date-time")


def test_bookmark_that_is_no_date(tmp_path: Path, sandbox: Boxes) -> None:
    """The stream with the unreadable bookmark fails and keeps it; the others run."""
    state = {"bookmarks": {"exelensia_files": {"replication_key": "createdAt", "replication_key_value": "soon"}}}
    ran = tap(tmp_path, exelensia(sandbox()), state=state)
    what = "replication_key_value is not an ISO 8601 date-time"
    assert ran.errors == [
        f"STATE of exelensia_files: {what}; {REMEDY.format('exelensia_files')}",
        "1 of 9 streams failed: exelensia_files; the last STATE written holds what was proven",
    ]
    assert ran.states[-1]["bookmarks"]["exelensia_files"] == state["bookmarks"]["exelensia_files"]
    assert ran.records["exelensia_results"] != []


def test_wrong_key(tmp_path: Path, sandbox: Boxes) -> None:
    """A refused key is said once, however many streams it stops, and tried on one request."""
    box = sandbox()
    config = exelensia(box)
    config["exelensia"]["api_key"] = "a-wrong-key-of-mine"
    ran = tap(tmp_path, config)
    names = sorted(s for s in EXELENSIA if s != "export")
    refused(
        ran,
        f"{', '.join(names)}: exelensia: 401: key setting `exelensia.api_key` was refused: Unauthorized",
        f"7 of 9 streams failed: {', '.join(names)}; the last STATE written holds what was proven",
    )
    assert "a-wrong-key-of-mine" not in ran.stderr
    assert len(box.requests()) == 1


EXELENSIA = {
    "exelensia_export_invoices",
    "exelensia_exports",
    "exelensia_files",
    "exelensia_processes",
    "exelensia_results",
    "exelensia_schemas",
    "exelensia_templates",
}


def test_wrong_key_at_discovery(tmp_path: Path, sandbox: Boxes) -> None:
    config = exelensia(sandbox())
    config["exelensia"]["api_key"] = "a-wrong-key-of-mine"
    ran = tap(tmp_path, config, "--discover")
    refused(ran, "exelensia: 401: key setting `exelensia.api_key` was refused: Unauthorized")
    assert ran.lines == []


def test_no_such_schema(tmp_path: Path, sandbox: Boxes) -> None:
    config = exelensia(sandbox())
    config["exelensia"]["exports"][0]["schema_id"] = "0197-none"
    ran = tap(tmp_path, config)
    assert (ran.code, ran.errors) == (
        1,
        [
            "exelensia_export_invoices: exelensia: no schema 0197-none (exports.schema_id) in the account of this key",
            "1 of 9 streams failed: exelensia_export_invoices; the last STATE written holds what was proven",
        ],
    )


def test_no_such_export(tmp_path: Path, sandbox: Boxes) -> None:
    config = only(sandbox().config(), "cension")
    config["cension"]["exports"][0]["export_id"] = 99999
    ran = tap(tmp_path, config)
    assert (ran.code, ran.errors) == (
        1,
        [
            "cension_export_companies: cension: no export 99999 (cension.exports.export_id) in the account of this key",
            "1 of 5 streams failed: cension_export_companies; the last STATE written holds what was proven",
        ],
    )


def test_no_such_operation(tmp_path: Path, sandbox: Boxes) -> None:
    config = only(sandbox().config(), "cension")
    config["cension"]["operation_ids"] = [7]
    ran = tap(tmp_path, config)
    assert (ran.code, ran.errors) == (
        1,
        [
            (
                "cension_export_companies: cension: no operation 7 (operation_ids) in the account of this key; "
                "`operation_ids` without it moves past it"
            ),
            "cension_operations: cension: no operation 7 (operation_ids) in the account of this key",
            (
                "2 of 5 streams failed: cension_export_companies, cension_operations; "
                "the last STATE written holds what was proven"
            ),
        ],
    )


def test_unreachable_host(tmp_path: Path) -> None:
    """A host that nobody answers at is named with its setting, after max_attempts, once for all streams."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{unused.getsockname()[1]}"
    block = {"api_key": SECRET, "api_url": f"http://{host}"}
    ran = tap(tmp_path, {"exelensia": block, "allow_private_hosts": True, "max_attempts": 2})
    names = sorted(s for s in EXELENSIA if s != "exelensia_export_invoices")
    refused(
        ran,
        f"{', '.join(names)}: "
        f"exelensia: {host} cannot be reached after 2 attempts (connection refused): check `exelensia.api_url`",
        f"6 of 8 streams failed: {', '.join(names)}; the last STATE written holds what was proven",
    )


def test_catalog_from_an_older_schema(tmp_path: Path, sandbox: Boxes) -> None:
    """A catalog that lacks columns still works: they come as new columns under schema_contract."""
    config = exelensia(sandbox())
    catalog = tap(tmp_path, config, "--discover")
    older = json.loads(b"\n".join(catalog.lines))
    entry = next(s for s in older["streams"] if s["tap_stream_id"] == "exelensia_export_invoices")
    del entry["schema"]["properties"]["vendor_name"]
    ran = tap(tmp_path, config, catalog=older).succeeded()
    assert ran.schema("exelensia_export_invoices")["schema"]["properties"]["vendor_name"] == {
        "type": ["string", "null"]
    }
    assert all("vendor_name" in r for r in ran.records["exelensia_export_invoices"])


@pytest.mark.parametrize("prop", [True, 5, None, ["string"]])
def test_catalog_with_a_property_that_is_no_object(tmp_path: Path, sandbox: Boxes, prop: object) -> None:
    """It is refused by the names of stream and property."""
    config = sandbox().config("exelensia")
    found = json.loads(b"\n".join(tap(tmp_path, config, "--discover").lines))
    entry = next(each for each in found["streams"] if each["tap_stream_id"] == "exelensia_files")
    entry["schema"]["properties"]["status"] = prop
    message = f"{tmp_path / 'catalog.json'}: exelensia_files, property status: an object is due; run --discover again"
    refused(tap(tmp_path, config, catalog=found), f"--catalog: {message}")


def test_catalog_without_its_key(tmp_path: Path, sandbox: Boxes) -> None:
    """A catalog whose key is not among its columns is refused: rows without their key cannot be merged."""
    config = exelensia(sandbox())
    older = json.loads(b"\n".join(tap(tmp_path, config, "--discover").lines))
    entry = next(s for s in older["streams"] if s["tap_stream_id"] == "exelensia_export_invoices")
    del entry["schema"]["properties"]["invoice_number"]
    refused(
        tap(tmp_path, config, catalog=older),
        'catalog: exelensia_export_invoices: key "invoice_number" is not among its columns; run --discover again',
    )
