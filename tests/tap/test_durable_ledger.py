"""The durable ledger of the command: what a second run without STATE does, who may hold it, and what is not in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tap_exports import settings
from tap_exports.engine.ledger.places import LocalPlace
from tap_exports.sandbox import Sandbox
from tap_exports.singer.streams import durable
from tap_exports.singer.streams.durable import look_into_ledger
from tap_exports.singer.streams.stream import EventStream
from tap_exports.tap import TapExports
from tests.process.child import Child
from tests.tap.harness import arguments_of, tap

Boxes = Callable[..., Sandbox]
Json = dict[str, Any]
INVOICES = "exelensia_export_invoices"


WINDOWS = 2  # of `one_export`


def one_export(box: Sandbox, **settings: object) -> Json:
    """Return a configuration that asks for the same two windows in every run."""
    config = box.config("exelensia")
    config["exelensia"]["exports"] = [{**config["exelensia"]["exports"][0], "max_window_days": 1500}]
    return {
        **config,
        "start_date": "2020-01-01T00:00:00Z",
        "end_date": "2026-01-01T00:00:00Z",
        "job_reuse_seconds": 0,
        **settings,
    }


def creations(box: Sandbox) -> int:
    return sum(entry["method"] == "POST" and entry["path"] == "/v1/exports" for entry in box.requests())


def ledgers() -> list[Path]:
    """Return the ledgers at the default place."""
    return sorted(Path(os.environ["XDG_STATE_HOME"]).glob("tap-exports/*.json"))


@contextmanager
def waiting(folder: Path, config: Json) -> Iterator[Child]:
    """Run the tap until its first job is open, and kill it at the end of the block."""
    child = Child(arguments_of(folder, config), stderr=subprocess.DEVNULL)
    assert child.stdout is not None
    for line in child.stdout:
        if b'"jobs":[{' in line:
            break
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_run_that_left_no_state_is_gone_on_with(tmp_path: Path, sandbox: Boxes, number: int) -> None:
    """Whatever ended it: the next run without STATE re-attaches to its jobs, and all rows come."""
    box = sandbox(job_seconds=1)
    config = one_export(box)
    with waiting(tmp_path, config) as child:
        child.send_signal(number)
        child.wait(20)
    made = creations(box)
    second = tap(tmp_path, config).succeeded()
    assert (creations(box), len(second.records[INVOICES])) == (max(made, 2), len(box.truth("exelensia/results")[:40]))
    assert "is in the ledger: STATE does not hold it" in second.stderr


def test_a_whole_run_whose_state_was_lost_is_read_again(tmp_path: Path, sandbox: Boxes) -> None:
    """The loader failed after the tap had ended: the same jobs are read; once STATE proves them they are gone."""
    box = sandbox()
    config = one_export(box)
    first = tap(tmp_path, config).succeeded()
    again = tap(tmp_path, config).succeeded()
    assert (creations(box), again.records[INVOICES]) == (2, first.records[INVOICES])
    tap(tmp_path, config, state=again.states[-1]).succeeded()
    (ledger,) = ledgers()
    assert [section["jobs"] for section in json.loads(ledger.read_bytes())["streams"].values()] == [[]]


def test_full_exports_are_made_anew_once_state_is_kept(tmp_path: Path, sandbox: Boxes) -> None:
    """Archives of organizations are full exports: with the STATE of the last run there are new ones, without it not."""
    box = sandbox()
    config = box.config("closient")

    def jobs(state: Json | None) -> tuple[set[str], Json]:
        ran = tap(tmp_path, config, state=state).succeeded()
        return {row["job_id"] for row in ran.records["closient_exports"]}, ran.states[-1]

    first, state = jobs(None)
    assert jobs(None)[0] == first
    assert jobs(state)[0] & first == set()


def test_none_keeps_nothing(tmp_path: Path, sandbox: Boxes) -> None:
    """Without a ledger a second run without STATE creates its jobs again."""
    box = sandbox()
    config = one_export(box, ledger="none")
    tap(tmp_path, config).succeeded()
    tap(tmp_path, config).succeeded()
    assert (creations(box), ledgers()) == (4, [])


def test_none_computes_no_digest_of_keys(sandbox: Boxes, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is slow by intent, and names what is kept: a run that keeps nothing starts without it."""
    computed: list[str] = []

    def account(provider: str, *_: object) -> str:
        computed.append(provider)
        return "digest"

    monkeypatch.setattr(settings, "account", account)
    for ledger, providers in ((" None ", []), (None, ["exelensia"])):
        loaded = TapExports(config=one_export(sandbox(), ledger=ledger))
        open_streams = [stream for stream in loaded.streams.values() if isinstance(stream, EventStream)]
        look_into_ledger(loaded, dict, open_streams, loaded.config_jsonschema)
        assert computed == providers


def test_a_second_run_at_once_is_refused(tmp_path: Path, sandbox: Boxes) -> None:
    """Before it asks for anything; the lock ends with the process, however that ends."""
    box = sandbox(job_seconds=8)
    config = one_export(box)
    with waiting(tmp_path, config) as child:
        until = time.monotonic() + 5
        while creations(box) < WINDOWS and time.monotonic() < until:  # the first STATE may come between the two
            time.sleep(0.05)
        second = tap(tmp_path, config)
        assert (second.code, creations(box)) == (1, WINDOWS)
        assert f": another run (process {child.pid}) has the ledger {ledgers()[0]}: " in second.errors[0]
        assert "`ledger: none`" in second.errors[0]
        assert second.records == {}
    tap(tmp_path, config).succeeded()


def test_discovery_and_tests_need_no_ledger(tmp_path: Path, sandbox: Boxes) -> None:
    """`--discover`, `--about` and `--test` neither take the lock nor wait for it."""
    config = one_export(sandbox(job_seconds=5))
    with waiting(tmp_path, config):
        for option in ("--discover", "--about", "--test"):
            ran = tap(tmp_path, config, option)
            assert (ran.code, ran.errors) == (0, []), ran.stderr


def test_what_creates_nothing_needs_no_ledger(tmp_path: Path, sandbox: Boxes) -> None:
    """A configuration that reads the jobs of others, or lists only, runs beside another one as before."""
    config = one_export(sandbox())
    config["exelensia"]["exports"][0]["mode"] = "collect"
    tap(tmp_path, config).succeeded()
    assert ledgers() == []


def test_configurations_of_one_account_have_ledgers_of_their_own(tmp_path: Path, sandbox: Boxes) -> None:
    """Another range, another stream or another request: neither sees the jobs of the other, not even in one file."""
    box = sandbox()
    config = one_export(box)
    tap(tmp_path, config).succeeded()
    tap(tmp_path, {**config, "end_date": "2025-01-01T00:00:00Z"}).succeeded()
    assert (creations(box), len(ledgers())) == (4, 2)
    one_file = {**config, "ledger": str(tmp_path / "one.json")}
    tap(tmp_path, one_file).succeeded()
    other = json.loads(json.dumps(one_file))
    other["exelensia"]["exports"][0]["schema_id"] = box.config("exelensia")["exelensia"]["exports"][2]["schema_id"]
    tap(tmp_path, other)
    assert creations(box) == 8
    tap(tmp_path, one_file).succeeded()
    assert creations(box) == 8
    assert len(json.loads((tmp_path / "one.json").read_bytes())["streams"]) == 2


def spelled(config: Json) -> Json:
    """Return a configuration with its dates in the form in which Meltano writes them."""
    return {**config, "start_date": "2020-01-01T00:00:00+00:00", "end_date": "2026-01-01T01:00:00+01:00"}


def test_dates_are_compared_by_their_meaning(tmp_path: Path, sandbox: Boxes) -> None:
    """Meltano and a pipe write the same date in two forms: both have one ledger."""
    box = sandbox()
    config = one_export(box)
    first = tap(tmp_path, config).succeeded()
    second = tap(tmp_path, spelled(config)).succeeded()
    assert (creations(box), len(ledgers())) == (2, 1)
    assert second.records[INVOICES] == first.records[INVOICES]


def earlier(config: Json, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the only ledger, and its section, the names that hold the dates as they are written."""
    (new,) = ledgers()
    loaded = TapExports(config=config, setup_mapper=False)
    streams = [stream for stream in loaded.streams.values() if isinstance(stream, EventStream)]
    with monkeypatch.context() as patched:
        patched.setattr(durable, "_dates", durable._written_dates)
        where = durable._where(loaded, durable._orders(streams), loaded.config_jsonschema)
    content = json.loads(new.read_bytes())
    (section,) = content["streams"].values()
    content["streams"] = {where.keys[INVOICES][-1]: section}
    old = Path(where.place.name)
    assert old != new
    old.write_text(json.dumps(content), encoding="utf-8")
    new.unlink()
    return old


def test_a_ledger_of_an_earlier_name_is_taken_over(
    tmp_path: Path, sandbox: Boxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is locked, its jobs are read, and one file is left; a ledger of either spelling is not lost."""
    box = sandbox()
    config = one_export(box)
    first = tap(tmp_path, config).succeeded()
    old = earlier(config, monkeypatch)
    place = LocalPlace(old)
    place.lock()
    refused = tap(tmp_path, config)
    assert (refused.code, creations(box)) == (1, 2)
    assert f"has the ledger {old}" in refused.errors[0]
    place.close()
    second = tap(tmp_path, config).succeeded()
    assert (creations(box), second.records[INVOICES]) == (2, first.records[INVOICES])
    assert (len(ledgers()), old.exists()) == (1, False)
    tap(tmp_path, spelled(config)).succeeded()
    assert (creations(box), len(ledgers())) == (2, 1)


def test_a_configured_ledger_keeps_its_sections(
    tmp_path: Path, sandbox: Boxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file has the name that the setting gives; its section is found under the earlier name, and renamed."""
    box = sandbox()
    config = one_export(box)
    tap(tmp_path, config).succeeded()
    chosen = tmp_path / "chosen.json"
    earlier(config, monkeypatch).rename(chosen)
    tap(tmp_path, {**config, "ledger": str(chosen)}).succeeded()
    assert creations(box) == 2
    assert len(json.loads(chosen.read_bytes())["streams"]) == 1


def test_other_settings_keep_the_ledger(tmp_path: Path, sandbox: Boxes) -> None:
    """Who mends a setting after a run that failed finds its jobs again."""
    box = sandbox()
    config = one_export(box)
    tap(tmp_path, config).succeeded()
    config["exelensia"]["exports"][0]["csv"] = {"null_values": ["NA"]}
    tap(tmp_path, {**config, "max_concurrent_jobs": 1}).succeeded()
    assert creations(box) == 2


def test_a_configured_place_that_cannot_be_written_is_an_error(tmp_path: Path, sandbox: Boxes) -> None:
    """Nothing is requested for money or not: no POST at all."""
    box = sandbox()
    (tmp_path / "file").touch()
    ran = tap(tmp_path, one_export(box, ledger=str(tmp_path / "file" / "ledger.json")))
    assert (ran.code, creations(box), ran.records) == (1, 0, {})
    assert f": config: ledger: {tmp_path}/file/ledger.json cannot be used: " in ran.errors[0]


def test_a_default_place_that_cannot_be_written_is_a_warning(tmp_path: Path, sandbox: Boxes) -> None:
    """A container may have none: the run goes on and says what that means."""
    box = sandbox()
    (tmp_path / "file").touch()
    ran = tap(tmp_path, one_export(box), environment={"XDG_STATE_HOME": str(tmp_path / "file")}).succeeded()
    assert (creations(box), "may create its jobs again" in ran.stderr) == (2, True)


def test_no_secret_is_in_it(tmp_path: Path, sandbox: Boxes) -> None:
    """Neither the key nor anything of an URL, in the file or in its name (P7)."""
    box = sandbox()
    config = one_export(box)
    with waiting(tmp_path, config):
        pass
    (ledger,) = ledgers()
    held = ledger.name + ledger.read_text(encoding="utf-8")
    assert '"id":"' in held
    for secret in (config["exelensia"]["api_key"], "http", "127.0.0.1", "ignature"):
        assert secret not in held


def test_a_folder_beside_may_hold_it(tmp_path: Path, sandbox: Boxes) -> None:
    """A path whose folders are missing is created."""
    config = one_export(sandbox(), ledger=str(tmp_path / "a" / "b" / "ledger.json"))
    tap(tmp_path, config).succeeded()
    assert (tmp_path / "a" / "b" / "ledger.json").exists()
