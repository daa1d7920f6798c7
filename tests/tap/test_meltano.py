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
COMPANIES, INVOICES = "exelensia_export_companies", "exelensia_export_invoices"
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


def metrics_of(lines: list[Json], metric: str) -> list[Json]:
    """Return the lines of one metric."""
    return [each for each in lines if each["message"] == "METRIC" and each["metric_info"]["metric"] == metric]


def test_metric_lines_say_of_which_stream_job_and_window_they_are(tmp_path: Path, sandbox: Boxes) -> None:
    """As tags of the metric and as fields of the line; rows of a job are no second `record_count` of its stream."""
    config: Json = sandbox().config("exelensia")
    ran, lines = structured(tmp_path, config)
    counts = metrics_of(lines, "record_count")
    rows = {each["metric_info"]["tags"]["stream"]: each["metric_info"]["value"] for each in counts}
    assert (rows[COMPANIES], len(rows)) == (len(ran.records[COMPANIES]), len(counts))
    assert all(each["extra"]["rows"] == each["metric_info"]["value"] for each in counts)
    jobs = metrics_of(lines, "job_duration")
    receipts = ran.records["export_jobs"]
    assert [job["metric_info"]["tags"] for job in jobs] == [
        {
            **{name: receipt[name] for name in ("stream", "rows", "provider")},
            "job": receipt["job_id"],
            "window": f"{receipt['window_start']}…{receipt['window_end']}",
            "job_type": "export",
            "status": "succeeded",
        }
        for receipt in receipts
    ]
    assert [job["metric_info"]["value"] for job in jobs] == [receipt["wait_seconds"] for receipt in receipts]
    for job in jobs:
        assert job["extra"].items() >= job["metric_info"]["tags"].items()


def test_a_job_that_failed_is_a_failed_metric(tmp_path: Path, sandbox: Boxes) -> None:
    box = sandbox(faults={"jobs": [{"provider": "exelensia", "nth": 1, "outcome": "fail", "seconds": 0}]})
    _, lines = structured(tmp_path, box.config("exelensia"))
    ends = [each["metric_info"]["tags"]["status"] for each in metrics_of(lines, "job_duration")]
    assert ends.count("failed") == 1


def test_requests_are_counted_by_provider_and_no_address_is_told(tmp_path: Path, sandbox: Boxes) -> None:
    box = sandbox()
    config: Json = box.config("exelensia")
    _, lines = structured(tmp_path, config)
    (count,), (seconds,) = metrics_of(lines, "http_request_count"), metrics_of(lines, "http_request_duration")
    assert count["metric_info"]["tags"] == seconds["metric_info"]["tags"] == {"provider": "exelensia"}
    assert count["metric_info"]["value"] == len([each for each in box.requests() if each["origin"] == "api"])
    assert seconds["metric_info"]["value"] > 0
    assert "://" not in json.dumps([count, seconds])


def test_a_failed_stream_is_a_field_of_its_lines(tmp_path: Path, sandbox: Boxes) -> None:
    """Job and window too, where the message names them; so an alert needs no expression over texts."""
    config: Json = sandbox(job_seconds=3600).config("exelensia")
    config |= {"job_stall_timeout_seconds": 1, "end_date": "2024-06-30"}
    config["exelensia"]["exports"] = config["exelensia"]["exports"][:1]
    ran, lines = structured(tmp_path, config)
    (entry,) = ran.states[-1]["bookmarks"][INVOICES]["ledger"]["jobs"]
    (error,) = (line for line in lines if line["level"] == "error" and "made no progress" in line["message"])
    assert error["extra"].keys() >= {"stream", "job", "window"}
    assert (error["extra"]["stream"], error["extra"]["job"]) == (INVOICES, entry["id"])
    assert error["extra"]["window"] == "…".join(entry["window"])


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
