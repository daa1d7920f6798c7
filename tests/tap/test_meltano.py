"""What Meltano takes from the tap: its definition, and its log as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tap_exports.sandbox import Sandbox
from tap_exports.subcommands import SUBCOMMANDS
from tests.tap.harness import Json, Ran, tap

Boxes = Callable[..., Sandbox]
ROOT = Path(__file__).resolve().parents[2]
COMPANIES = "exelensia_export_companies"
REQUIRED = {"level", "pid", "logger_name", "ts", "thread_name", "app_name", "message"}  # Meltano's parser wants them


def about(tmp_path: Path, form: str) -> str:
    return b"\n".join(tap(tmp_path, {}, "--about", "--format", form).lines).decode()


def test_the_definition_is_that_of_the_file_in_the_wheel(tmp_path: Path) -> None:
    """`--about --format meltano` prints it, `meltano add --from-ref` takes either."""
    printed = yaml.safe_load(about(tmp_path, "meltano"))
    shipped = yaml.safe_load((ROOT / "plugins" / "tap-exports.yml").read_text(encoding="utf-8"))
    assert printed == shipped
    told = json.loads(about(tmp_path, "json"))
    assert printed["capabilities"] == sorted(told["capabilities"])
    assert {"structured-logging", "test", "state"} <= set(printed["capabilities"])
    assert printed["commands"].keys() == {"jobs-watch", "jobs-cancel", *SUBCOMMANDS.keys() - {"init", "prove"}}
    assert {each["args"].partition(" --config ")[2] for each in printed["commands"].values()} == {"MELTANO"}


def test_what_may_hold_a_secret_is_sensitive(tmp_path: Path) -> None:
    """Also a list whose entries have keys of their own: `meltano config` would print them."""
    definition = yaml.safe_load(about(tmp_path, "meltano"))
    sensitive = {each["name"] for each in definition["settings"] if each.get("sensitive")}
    assert {"cension.api_key", "cension.exports", "cornect.api_token"} <= sensitive
    assert "cornect.exports" not in sensitive


def structured(tmp_path: Path, config: Json) -> tuple[Ran, list[Json]]:
    """Run with the log as Meltano sets it up; return the lines of the log too."""
    setup: dict[str, Any] = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"structured": {"()": "singer_sdk.logging.StructuredFormatter"}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"level": "INFO", "handlers": ["console"]},
    }
    path = tmp_path / "logging.json"
    path.write_text(json.dumps(setup), encoding="utf-8")
    ran = tap(tmp_path, config, environment={"SINGER_SDK_LOG_CONFIG": str(path)})
    return ran, [json.loads(line) for line in ran.stderr.splitlines()]


def test_each_line_of_a_structured_log_has_its_level_and_fields(tmp_path: Path, sandbox: Boxes) -> None:
    """The run report is a record too: a bare line would arrive as text."""
    config: Json = sandbox().config("exelensia")
    ran, lines = structured(tmp_path, config)
    assert ran.code == 0
    assert [line for line in lines if not line.keys() >= REQUIRED] == []
    proven = next(each for each in lines if each["message"].startswith(COMPANIES) and "proven" in each["message"])
    assert proven["extra"].keys() >= {"stream", "job", "window", "rows"}
    assert (proven["extra"]["stream"], proven["extra"]["rows"] > 0) == (COMPANIES, True)
    report = lines[-1]
    assert (report["message"], report["extra"]["run_report"]["ending"]) == ("run report", "complete")
    metric = [each["metric_info"] for each in lines if each["message"] == "METRIC"]
    rows = {each["tags"]["stream"]: each["value"] for each in metric if each["metric"] == "record_count"}
    assert rows[COMPANIES] == len(ran.records[COMPANIES])
    assert {each["metric"] for each in metric} == {"record_count", "sync_duration"}


def test_an_error_has_the_level_of_an_error(tmp_path: Path, sandbox: Boxes) -> None:
    config: Json = sandbox().config("exelensia")
    config["exelensia"]["api_key"] = "wrong-key-0001"
    ran, lines = structured(tmp_path, config)
    errors = [line["message"] for line in lines if line["level"] == "error"]
    assert (ran.code, len(errors)) == (1, 2)
    assert "was refused" in errors[0]


def test_a_refused_key_ends_discovery_where_no_export_is_configured(tmp_path: Path, sandbox: Boxes) -> None:
    """A catalog without the columns that only the provider knows would fail in the run, with another message."""
    config: Json = sandbox().config("exelensia")
    config["exelensia"] = {**config["exelensia"], "api_key": "wrong-key-0001"}
    del config["exelensia"]["exports"]
    ran = tap(tmp_path, config, "--discover")
    assert (ran.code, ran.lines) == (1, [])
    assert ran.errors == ["exelensia: 401: key setting `exelensia.api_key` was refused: Unauthorized"]
