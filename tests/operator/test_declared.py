"""Subcommands at a declared provider: they know it by its name."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
import yaml

from tap_exports.operator import declaring
from tap_exports.operator.loading import streams_of
from tap_exports.sandbox import Sandbox, SandboxOptions
from tap_exports.sandbox.declared.access import KEY as SECRET
from tap_exports.tap import TapExports
from tests.declared import test_shipped as shipped
from tests.declared.test_declared_tap import config
from tests.operator.calling import Called, Caller, Json, planned, sent
from tests.tap.harness import tap

ROWS = "exelensia_declared_export_rows"
KEY = "TAP_EXPORTS_KEY"


def test_plan_jobs_and_doctor(call: Caller, tmp_path: Path) -> None:
    """Its open jobs are shown with their status, its windows planned, its key checked."""
    with Sandbox(SandboxOptions(job_seconds=3600)) as box:
        given = config(box, "exelensia")
        state = tap(tmp_path, {**given, "job_wait": "detach"}).succeeded().states[-1]
        box.clear_requests()
        plan, jobs = call("plan", config=given, state=state), call("jobs", config=given, state=state)
        doctor = call("doctor", config=given)
        assert sent(box) == {"GET"}
    open_jobs = [entry["id"] for entry in state["bookmarks"][ROWS]["ledger"]["jobs"]]
    found = planned(plan.data, ROWS)
    assert (plan.code, found["provider"], found["credits_max"]) == (0, "exelensia_declared", 0)
    assert [step["job"] for step in found["steps"] if step["action"] == "attach"] == open_jobs
    assert [(job["job"], job["provider"], job["state"]) for job in jobs.data["jobs"] if job["ours"]] == [
        (job, "exelensia_declared", "pending") for job in open_jobs
    ]
    checks = {(check["about"], check["check"]): check["verdict"] for check in doctor.data["checks"]}
    assert checks["exelensia_declared", "key"] == "ok"


def test_a_window_is_replayed(call: Caller, tmp_path: Path) -> None:
    with Sandbox(SandboxOptions(job_seconds=0)) as box:
        given = config(box, "exelensia")
        state = tap(tmp_path, given).succeeded().states[-1]
        february = ("--from", "2024-02-01", "--to", "2024-02-29")
        again = tap(tmp_path, given, state=call("replay", ROWS, *february, config=given, state=state).data).succeeded()
    windows = [(r["window_start"], r["window_end"]) for r in again.records["export_jobs"]]
    assert windows == [("2024-02-01T00:00:00.000Z", "2024-03-01T00:00:00.000Z")]


def checks(called: Called) -> dict[str, Json]:
    return {check["check"]: check for check in called.data["checks"]}


def facts(called: Called) -> dict[str, str]:
    return {fact["question"]: fact["answer"] for fact in called.data["facts"]}


def test_doctor_holds_the_declaration_against_live_replies(call: Caller, tmp_path: Path) -> None:
    """By GET alone: where jobs stand in the list, which fields and words they have, what `find` compares, and pages."""
    with Sandbox(SandboxOptions(job_seconds=0)) as box:
        given = config(box, "exelensia")
        tap(tmp_path, given).succeeded()
        box.clear_requests()
        done = call("doctor", config=given)
        assert sent(box) == {"GET"}
    found = facts(done)
    assert done.code == 0
    assert found["Are the jobs at `data` of the list?"] == "seen: data"
    assert found["Have jobs the fields that `job` names?"] == "seen: id, status, createdAt, updatedAt"
    words = found["Which status words have jobs?"]
    assert words.startswith(
        "not seen: PENDING means pending, PROCESSING means running; seen: COMPLETED means completed"
    )
    assert found["Do jobs show what `find` compares?"] == "seen: schema_id, start_date, end_date, expand_array"
    assert found["Has the second page other jobs?"] == "0 of 0 are not on the first one"
    assert checks(done)["clock"]["verdict"] == "ok"


def test_doctor_names_what_a_declaration_has_wrong(call: Caller, tmp_path: Path) -> None:
    """Another place of the list, a field that is not there, a word that it does not explain."""
    spec = shipped.SPECS["exelensia_declared"]
    odd = {**spec, "job": {**spec["job"], "rows": "row_count"}, "status": {"PENDING": "pending", "DONE": "completed"}}
    with Sandbox(SandboxOptions(job_seconds=0)) as box:
        given = config(box, "exelensia")
        (block,) = given["declared"]
        block = {key: value for key, value in block.items() if key != "file"}
        (tmp_path / "odd.yaml").write_text(yaml.safe_dump(odd))
        wrong = call("doctor", config={**given, "declared": [{**block, "file": str(tmp_path / "odd.yaml")}]})
        elsewhere = {**spec, "seen": str(spec["seen"]), "list": {**spec["list"], "items": "exports"}}
        broken = call("doctor", config={**given, "declared": [{**block, "api": elsewhere}]})
    said = facts(wrong)["Which status words have jobs?"]
    assert all(f'"{word}" is not: add it with its meaning' in said for word in ("COMPLETED", "FAILED"))
    assert "not seen: row_count (no job has it; it has id, " in facts(wrong)["Have jobs the fields that `job` names?"]
    assert facts(broken)["Are the jobs at `exports` of the list?"].startswith("contradicted: exports (null in data, ")


def test_doctor_and_check_say_the_same(call: Caller, tmp_path: Path) -> None:
    """One implementation: each statement about the list, with its verdict, in both."""
    with Sandbox(SandboxOptions(job_seconds=0)) as box:
        given = config(box, "exelensia")
        tap(tmp_path, given).succeeded()
        doctor, check = call("doctor", config=given), call("check", "exelensia_declared", config=given)
    told = "; ".join(facts(doctor).values())
    about = [each for each in check.data["statements"] if ": job." in each["where"] or ": find." in each["where"]]
    assert len(about) == 8
    assert all(each["statement"] in told for each in about)
    assert {each["verdict"] for each in about} == {"seen"}


@pytest.mark.parametrize(
    ("name", "asks"),
    [
        ("databricks", {"key", "host", "warehouse", "table", "column"}),
        (
            "amazon_ads",
            {"client_id", "client_secret", "refresh_token", "report_type", "group_by", "columns", "profiles"},
        ),
    ],
)
def test_init_and_check_ask_for_the_same(call: Caller, name: str, asks: set[str]) -> None:
    """What neither the tap nor a reply fills: not the name of the next page; the list of items, not the item."""
    listed = call("init", "--provider", name, "--list").data["needs"]
    statements = call("check", name).data["statements"]
    told = [words for each in statements if (words := each["statement"]).startswith("to be set as ")]
    named = {word for words in told for word in words.rpartition(": ")[2].split(", ")}
    assert ({need["name"] for need in listed}, named) == (asks, asks)


@pytest.mark.parametrize(
    ("name", "verdict"), [("stripe", "ok"), ("zuora", "ok"), ("qualtrics", "ok"), ("shopify", "skip")]
)
def test_the_key_is_tried_by_a_free_call(call: Caller, name: str, verdict: str) -> None:
    """The list, else a look at a job that is not there; without either doctor and `--test` say that it is not tried."""
    with shipped.sandbox(name) as box:
        given = shipped.config(box, name)
        done = call("doctor", config=given)
        assert {entry["method"] for entry in box.requests() if "token" not in entry["path"]} <= {"GET"}
        assert box.spend()[name]["jobs_created"] == 0
        (block,) = given["declared"]
        refused = call("doctor", config={**given, "declared": [{**block, "credentials": {"key": "a-wrong-key"}}]})
        tested = tap(call.folder, given, "--test").lines
    assert checks(done)["key"]["verdict"] == verdict
    assert (checks(refused)["key"]["verdict"], refused.code) == (("skip", 0) if verdict == "skip" else ("fail", 3))
    assert (b"not asked" in tested[0]) == (verdict == "skip")
    assert "a-wrong-key" not in refused.out + refused.err


def test_a_shipped_declaration_is_chosen_by_name(call: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its settings are asked for, the key is tried, and the configuration brings rows."""
    made = tmp_path / "made.json"
    with shipped.sandbox("stripe") as box:
        monkeypatch.setenv(KEY, SECRET)
        url = ("--api-url", box.api_url("stripe"), "--allow-private-hosts", "--output", str(made))
        init = ("init", "--provider", "stripe", *url, "--start-date", "2026-01-01")
        done = call(*init, "--choose", "fees", "--set", "report=balance_change_from_activity.itemized.3")
        ran = tap(tmp_path, {**json.loads(made.read_text()), "progress": "never", "end_date": "2026-03-31"}).succeeded()
        monkeypatch.setenv(KEY, "a-wrong-key")
        made.unlink()
        refused = call(*init)
    assert (done.code, done.out) == (0, ""), done.err
    assert len({row["row_id"] for row in ran.records["stripe_export_fees"]}) == shipped.ROWS
    assert (refused.code, made.exists()) == (1, False)
    assert "`stripe.credentials` was refused" in refused.err
    assert "a-wrong-key" not in refused.err


def test_what_a_declaration_asks_for_is_listed(call: Caller) -> None:
    done = call("init", "--provider", "hubspot", "--list", "--key-env", "HUBSPOT_KEY")
    assert [(need["name"], need["from"], need["example"]) for need in done.data["needs"]] == [
        ("key", "variable HUBSPOT_KEY", None),
        ("object_type", "--set object_type=VALUE", "CONTACT"),
        ("properties", "--set properties=VALUE", ["email", "firstname"]),
    ]


@pytest.mark.parametrize("name", declaring.shipped())
def test_every_shipped_declaration_says_what_it_needs(name: str) -> None:
    """What `init` writes from the answers is a valid block: every hole of every path is filled."""
    declaration = declaring.declaration_of(name)
    block = declaring.block_of(declaration, "rows", lambda need: need.example or "an.example.com")
    given = {"start_date": "2026-01-01", "declared": [block]}
    streams = [stream.name for _, stream in streams_of(TapExports(config=given, setup_mapper=False))]
    items = ("_1", "_2") if "each" in declaration.spec else ("",)  # of the example
    assert streams == [f"{name}_export_rows{item}" for item in items]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("stripe", "--set", "key=secret-value"), "--set key: stripe takes report so; keys come from variables"),
        (("stripe", "--set", "report"), '--set "report" is not NAME=VALUE'),
        (("qualtrics",), "no datacenter: set --set datacenter=VALUE, or call init on a terminal"),
        (("qualtrics", "--set", "datacenter=eu"), 'set "survey_id" in `params`'),
        (("stripe", "--choose", "a", "--choose", "b"), "give one name"),
        (("exelensia", "--set", "a=b"), "--set is for shipped declarations"),
    ],
)
def test_answers_that_are_not_asked_for(
    call: Caller, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.setenv(KEY, "any")
    done = call("init", "--output", str(call.folder / "made.json"), "--provider", *words)
    assert (done.code, (call.folder / "made.json").exists()) == (1, False)
    assert message in done.err
    assert "secret-value" not in done.err


def test_a_person_is_asked_for_what_a_declaration_needs(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is not shown; examples are the defaults; a list is given as JSON."""
    asked: list[tuple[str, object, bool]] = []

    def prompt(text: str, *, default: object = None, hide_input: bool = False, **_options: object) -> object:
        asked.append((text, default, hide_input))
        return SECRET if hide_input else default

    monkeypatch.setattr(click, "prompt", prompt)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.delenv(KEY, raising=False)
    with shipped.sandbox("hubspot") as box:
        url = ("--api-url", box.api_url("hubspot"), "--allow-private-hosts", "--output", str(call.folder / "made.json"))
        done = call("init", "--provider", "hubspot", *url)
    (block,) = json.loads((call.folder / "made.json").read_text())["declared"]
    params = {"object_type": "CONTACT", "properties": ["email", "firstname"]}
    assert done.code == 0, done.err
    assert asked[0] == ("key", None, True)
    assert asked[1:] == [("object_type", "CONTACT", False), ("properties", '["email", "firstname"]', False)]
    assert block["exports"] == [{"name": "contacts", "params": params}]


def test_the_block_for_meltano_holds_no_key(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    with shipped.sandbox("stripe") as box:
        monkeypatch.setenv(KEY, SECRET)
        url = ("--api-url", box.api_url("stripe"), "--allow-private-hosts")
        done = call("init", "--provider", "stripe", *url, "--meltano")
    (extractor,) = yaml.safe_load(done.out)["plugins"]["extractors"]
    assert extractor["config"]["declared"][0]["credentials"] == {"key": "$STRIPE_KEY"}
    assert SECRET not in done.out + done.err
