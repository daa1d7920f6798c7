"""Configuration and STATE come as for a run, and as Meltano has them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.operator.calling import Caller, Json

KEY = "a-secret-key"
BLOCK: Json = {"cension": {"api_key": KEY, "api_url": "https://api.cension.test", "operation_ids": [5]}}
STATE: Json = {"bookmarks": {"cension_operations": {"replication_key": "operationId", "replication_key_value": 4}}}
OPERATIONS = [("collect", "5")]


def planned(call: Caller, *arguments: str, state: object = None) -> list[tuple[str, str | None]]:
    """Return the plan of Cension's runs, for which nobody is asked."""
    (stream,) = call("plan", *arguments, state=state).data["streams"]
    return [(step["action"], step["job"]) for step in stream["steps"]]


def test_several_files_are_merged(call: Caller) -> None:
    first, second = call.write("first.json", {"start_date": "2026-01-01"}), call.write("second.json", BLOCK)
    assert planned(call, "--config", first, "--config", second) == OPERATIONS


def test_the_environment(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAP_EXPORTS_CENSION", json.dumps(BLOCK["cension"]))
    assert planned(call, "--config", "ENV") == OPERATIONS


@pytest.mark.process
def test_the_file_that_meltano_wrote(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Meltano names a file beside its configuration in the environment of what it invokes."""
    call.write("tap.0197.config.json", BLOCK)
    monkeypatch.setenv("SINGER_SDK_LOG_CONFIG", str(call.folder / "tap.singer_sdk_logging.json"))
    assert planned(call, "--config", "MELTANO") == OPERATIONS
    (call.folder / "tap.0197.config.json").unlink()
    assert "Meltano left no configuration" in call("plan", "--config", "MELTANO").err
    monkeypatch.delenv("SINGER_SDK_LOG_CONFIG")
    assert "Meltano did not start this command" in call("plan", "--config", "MELTANO").err


@pytest.mark.parametrize("state", [STATE, {"singer_state": STATE}, {"type": "STATE", "value": STATE}])
def test_state_in_every_form(call: Caller, state: Json) -> None:
    path = call.write("config.json", BLOCK)
    assert planned(call, "--config", path, state=state) == OPERATIONS
    passed = {"bookmarks": {"cension_operations": {"replication_key_value": 5}}}
    assert planned(call, "--config", path, state=passed) == [("skip", None)]


@pytest.mark.process
def test_the_state_that_meltano_keeps(call: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for by its id; `meltano state set` with the same id is what the advice names."""
    script = tmp_path / "meltano"
    script.write_text(
        f"#!/bin/sh\n[ \"$*\" = '--log-level error state get the-id' ] || exit 1\n"
        f"echo '{json.dumps({'singer_state': STATE})}'\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    path = call.write("config.json", BLOCK)
    assert planned(call, "--config", path, "--state-id", "the-id") == OPERATIONS
    done = call("forget", "cension_operations", "--state-id", "the-id")
    assert done.data == {"singer_state": {"bookmarks": {}}}
    assert "meltano state set --force --input-file FILE the-id" in done.err
    assert "`meltano state list` shows the ids" in call("forget", "x", "--state-id", "another").err
    script.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "no command `meltano` on PATH; add its folder to PATH" in call("forget", "x", "--state-id", "the-id").err


@pytest.mark.process
@pytest.mark.parametrize(
    ("listed", "code", "said"),
    [
        ("", (0, 1), "neither the STATE nor the tap's own ledger"),
        ("dev:tap-x-to-a prod:tap-x-to-a", (0, 0), "STATE: prod:tap-x-to-a, as Meltano keeps it"),
        ("prod:tap-x-to-a prod:tap-x-to-b", (1, 1), "several STATEs of tap-x: prod:tap-x-to-a, prod:tap-x-to-b"),
    ],
)
def test_the_state_of_the_plugin_that_meltano_invokes(
    call: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: str, code: tuple[int, int], said: str
) -> None:
    """Without an option the one of its environment is taken; of several none is chosen."""
    script, run = tmp_path / "meltano", tmp_path / "run" / "tap-x"
    run.mkdir(parents=True)
    (run / "tap.1.config.json").write_text(json.dumps(BLOCK))
    script.write_text(
        '#!/bin/sh\ncase "$*" in\n'
        f"*'state list --pattern *tap-x-to-*') echo '{listed}';;\n"
        f"*'state get prod:tap-x-to-a') echo '{json.dumps({'singer_state': STATE})}';;\n*) exit 1;;\nesac\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("SINGER_SDK_LOG_CONFIG", str(run / "logging.json"))
    monkeypatch.setenv("MELTANO_ENVIRONMENT", "prod")
    done, forgotten = call("plan", "--config", "MELTANO"), call("forget", "cension_operations", "--config", "MELTANO")
    assert (done.code, forgotten.code) == code
    assert said in (done.err if listed else forgotten.err)
    if code == (0, 0):
        assert forgotten.data == {"singer_state": {"bookmarks": {}}}
        assert "meltano state set --force --input-file FILE prod:tap-x-to-a" in forgotten.err
    script.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    alone = call("plan", "--config", "MELTANO")
    assert (alone.code, "without STATE: there is no command `meltano` on PATH" in alone.err) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("plan",), 1, "no configuration: give --config FILE"),
        (("plan", "--config", "nowhere.json"), 1, "--config: nowhere.json cannot be read"),
        (("forget", "x", "--state", "nowhere.json"), 1, "--state: nowhere.json cannot be read"),
        (("forget", "x", "--state", "a", "--state-id", "b"), 1, "give one of them"),
        (("plan", "--nonsense"), 2, "No such option"),
        (("nonsense",), 2, "there is no subcommand `nonsense`; there are load, plan, jobs"),
    ],
)
def test_what_is_missing_or_wrong(call: Caller, arguments: tuple[str, ...], code: int, message: str) -> None:
    done = call(*arguments)
    assert (done.code, done.out) == (code, "")
    assert message in done.err


@pytest.mark.parametrize("name", ["plan", "jobs", "forget", "replay", "backfill", "doctor", "init"])
def test_help(call: Caller, name: str) -> None:
    done = call(name, "--help")
    assert (done.code, done.out.startswith(f"Usage: tap-exports {name}")) == (0, True)


@pytest.mark.process
def test_the_selection_of_the_last_run_of_meltano(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Meltano leaves the catalog beside the configuration: what it deselects is not planned."""
    schema: Json = {"type": "object", "properties": {"operationId": {"type": "integer"}}}
    for selected in (True, False):
        top = {"breadcrumb": [], "metadata": {"selected": selected, "table-key-properties": ["operationId"]}}
        entry = {
            "tap_stream_id": "cension_operations",
            "stream": "cension_operations",
            "schema": schema,
            "metadata": [top],
        }
        call.write("tap.properties.json", {"streams": [entry]})
        call.write("tap.0197.config.json", BLOCK)
        monkeypatch.setenv("SINGER_SDK_LOG_CONFIG", str(call.folder / "tap.singer_sdk_logging.json"))
        found = call("plan", "--config", "MELTANO").data
        assert len(found["streams"]) == selected
