"""`init` writes a configuration that works, from what the provider lists, and shows no key."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
import yaml

from tap_exports.errors import ConfigError
from tap_exports.operator.init import write
from tap_exports.providers.closient.api import normalised
from tap_exports.sandbox import Sandbox, SandboxOptions
from tests.operator.calling import Called, Caller, Json
from tests.tap.harness import tap

VARIABLE = "TAP_EXPORTS_KEY"


def begin(call: Caller, box: Sandbox, provider: str, *arguments: str) -> Called:
    url = ("--api-url", box.api_url(provider), "--allow-private-hosts")
    return call("init", "--provider", provider, *url, "--output", str(call.folder / "made.json"), *arguments)


def made(call: Caller) -> Json:
    return dict(json.loads((call.folder / "made.json").read_text()))


@pytest.fixture
def box() -> Sandbox:
    return Sandbox(SandboxOptions(job_seconds=0))


@pytest.mark.parametrize(
    ("provider", "choice", "stream"),
    [
        ("exelensia", "Invoices", "exelensia_export_invoices"),
        ("packagex", "contact", "packagex_export_contact"),
        ("cension", "459", "cension_export_459"),
        ("closient", "1", "closient_export_records"),
        ("cornect", "1", "cornect_export_"),
    ],
)
def test_the_configuration_brings_rows(  # noqa: PLR0913, PLR0917 - the parameters
    call: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, box: Sandbox, provider: str, choice: str, stream: str
) -> None:
    """A run with it succeeds and brings rows of what was chosen; the file is its owner's alone."""
    with box:
        monkeypatch.setenv(VARIABLE, box.key(provider))
        done = begin(call, box, provider, "--choose", choice, "--start-date", "2024-01-01")
        assert (done.code, done.out) == (0, ""), done.err
        assert sum(box.spend()[provider].get(what, 0) for what in ("jobs_created", "runs_started", "credits")) == 0
        ran = tap(tmp_path, {**made(call), "progress": "never", "settling_seconds": 0}).succeeded()
        assert box.key(provider) not in done.err
    assert any(rows for name, rows in ran.records.items() if name.startswith(stream))
    assert (call.folder / "made.json").stat().st_mode & 0o777 == 0o600


def test_what_can_be_chosen_is_listed(call: Caller, monkeypatch: pytest.MonkeyPatch, box: Sandbox) -> None:
    with box:
        monkeypatch.setenv(VARIABLE, box.key("exelensia"))
        done = begin(call, box, "exelensia", "--list", "--format", "json")
        schemas = {schema["id"]: schema["name"] for schema in box.truth("exelensia/schemas")}
    assert {each["entry"]["schema_id"]: each["name"] for each in done.data["offers"]} == schemas
    assert not (call.folder / "made.json").exists()


def test_a_file_is_replaced_only_by_force(call: Caller, monkeypatch: pytest.MonkeyPatch, box: Sandbox) -> None:
    """A configuration that is there is never touched; the one that replaces it is 0600 too."""
    path = call.folder / "made.json"
    path.write_text("precious")
    with box:
        monkeypatch.setenv(VARIABLE, box.key("packagex"))
        refused = begin(call, box, "packagex", "--choose", "item")
        assert (refused.code, path.read_text()) == (1, "precious")
        assert begin(call, box, "packagex", "--choose", "item", "--force").code == 0
    assert "--force replaces it" in refused.err
    assert (path.stat().st_mode & 0o777, made(call)["packagex"]["exports"]) == (
        0o600,
        [{"resource": "item", "name": "item"}],
    )


@pytest.mark.parametrize(
    ("provider", "key", "choice", "message"),
    [
        ("exelensia", "a-wrong-key", "Invoices", "exelensia.api_key"),
        ("exelensia", "", "Invoices", f"no key: set the variable {VARIABLE}"),
        ("exelensia", None, "Invioces", 'exelensia does not offer "Invioces"; --list shows what it does'),
        ("exelensia", None, "", "nothing of exelensia was chosen"),
        ("cension", None, "458", "no export 458"),
    ],
)
def test_nothing_is_written_where_something_is_wrong(  # noqa: PLR0913, PLR0917 - the parameters
    call: Caller,
    monkeypatch: pytest.MonkeyPatch,
    box: Sandbox,
    provider: str,
    key: str | None,
    choice: str,
    message: str,
) -> None:
    with box:
        monkeypatch.setenv(VARIABLE, box.key(provider) if key is None else key)
        done = begin(call, box, provider, "--choose", choice)
    assert (done.code, (call.folder / "made.json").exists()) == (1, False)
    assert message in done.err
    assert "a-wrong-key" not in done.err


def test_a_person_is_asked(call: Caller, monkeypatch: pytest.MonkeyPatch, box: Sandbox) -> None:
    """Provider, key (not shown) and choice are asked for on a terminal; all that is offered can be taken."""
    answers = {"provider": "closient", "what (numbers or names, by commas; or all)": "all"}
    hidden: list[bool] = []

    def prompt(text: str, *, hide_input: bool, **_options: object) -> str:
        hidden.append(hide_input)
        return box.key("closient") if text == "key" else answers[text]

    monkeypatch.setattr(click, "prompt", prompt)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.delenv(VARIABLE, raising=False)
    with box:
        url = ("--api-url", box.api_url("closient"), "--allow-private-hosts")
        done = call("init", *url, "--output", str(call.folder / "made.json"))
        organizations = box.config("closient")["closient"]["organization_ids"]
    assert (done.code, hidden) == (0, [False, True, False]), done.err
    assert set(made(call)["closient"]["organization_ids"]) > set(map(normalised, organizations))
    assert "   1  " in done.err


def test_the_block_for_meltano_names_a_variable(call: Caller, monkeypatch: pytest.MonkeyPatch, box: Sandbox) -> None:
    with box:
        monkeypatch.setenv(VARIABLE, box.key("packagex"))
        done = begin(call, box, "packagex", "--choose", "item", "--meltano", "--start-date", "2026-01-01")
        assert box.key("packagex") not in done.out + done.err
    (extractor,) = yaml.safe_load(done.out)["plugins"]["extractors"]
    assert extractor["config"]["packagex.api_key"] == "$PACKAGEX_API_KEY"
    assert extractor["config"]["packagex.exports"] == [{"resource": "item", "name": "item"}]
    assert not (call.folder / "made.json").exists()


def test_a_file_that_comes_to_be_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    """Between the look for the file and its writing another process may make it."""
    path = tmp_path / "config.json"
    path.write_text("another's")
    with pytest.raises(ConfigError, match="file exists"):
        write(path, {"start_date": "2026-01-01"}, replace=False)
    assert path.read_text() == "another's"
