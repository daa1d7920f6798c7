"""`tap-exports check`: what a declaration says, and which of it a live API bears out; only GET is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tap_exports.engine.secrets import Redactor
from tap_exports.operator.declarations.samples import cleaned
from tap_exports.providers.declared.streams import SHIPPED
from tap_exports.sandbox import Sandbox, SandboxOptions
from tap_exports.sandbox.declared import provider_of
from tap_exports.sandbox.declared.access import KEY
from tests.declared.test_shipped import config, sandbox
from tests.operator.calling import Called, Caller, sent
from tests.tap.harness import Json, tap

NAME = "helpdesk"
FILE = Path(__file__).resolve().parents[2] / "docs" / "examples" / f"{NAME}.yaml"
TEXT = FILE.read_text(encoding="utf-8")


@pytest.fixture
def box() -> Iterator[Sandbox]:
    """Serve an API as its declaration says."""
    options = SandboxOptions(job_seconds=0, knobs={NAME: {"rows": 20}})
    with Sandbox(options, providers=[provider_of(yaml.safe_load(TEXT))]) as made:
        yield made


def given(box: Sandbox, folder: Path, name: str = NAME, text: str = "") -> Json:
    """Return a configuration whose declaration is a file, changed or not."""
    path = folder / f"{name}.yaml"
    source = FILE if name == NAME else SHIPPED / path.name
    path.write_text(text or source.read_text(encoding="utf-8"), encoding="utf-8")
    made = config(box, name)
    block = {key: value for key, value in made["declared"][0].items() if key != "api"}
    return {**made, "declared": [{**block, "file": str(path)}]}


def checked(call: Caller, whole: Json, *arguments: str) -> Called:
    return call("check", whole["declared"][0]["file"], *arguments, config=whole)


def against(called: Called) -> list[tuple[str, str]]:
    """Return place and detail of what is contradicted."""
    found = called.data["statements"]
    return [(each["where"], each["detail"]) for each in found if each["verdict"] == "contradicted"]


def verdicts(called: Called) -> dict[str, str]:
    return {each["where"].rpartition(": ")[2]: each["verdict"] for each in called.data["statements"]}


def test_what_the_replies_bear_out_is_seen(call: Caller, box: Sandbox, tmp_path: Path) -> None:
    """After a run, the list, a job, its file and its columns; the creation is never asked for."""
    whole = given(box, tmp_path)
    tap(tmp_path, whole).succeeded()
    made = box.spend()[NAME]["jobs_created"]
    box.clear_requests()
    found = checked(call, whole)
    assert (found.code, against(found)) == (0, [])
    keys = (
        "auth",
        "list",
        "list.items",
        "poll",
        "job.id",
        "job.status",
        "files.url",
        "files.format",
        "status.done",
    )
    assert {key: verdicts(found)[key] for key in keys} == dict.fromkeys(keys, "seen")
    assert verdicts(found)["submit"] == "not asked"
    assert (sent(box), box.spend()[NAME]["jobs_created"]) == ({"GET"}, made)
    assert KEY not in found.out + found.err


def test_without_jobs_little_is_seen_and_nothing_contradicted(call: Caller, box: Sandbox, tmp_path: Path) -> None:
    """An account without exports says nothing of their fields."""
    found = checked(call, given(box, tmp_path))
    assert (found.code, against(found)) == (0, [])
    assert (verdicts(found)["job.id"], verdicts(found)["list.items"]) == ("not seen", "seen")


CHANGES = {
    "path of the list": ("items: exports", "items: no.exports", "list.items", "null in exports"),
    "id": ("id: export.id", "id: export.not_id", "job.id", "no job has it; export has id, state, created"),
    "word": ("done: completed", "finished: completed", "status", '"done" is not: add it with its meaning'),
    "format": ("format: csv", "format: json", "files.format", "it begins with "),
    "call": ('poll: {get: "/v2/exports/{id}"', 'poll: {get: "/v2/export/{id}"', "poll", "404"),
    "count": ("rows: export.row_count", "rows: export.state", "job.rows", "'done' is no number"),
    "instant": ("created: export.created", "created: export.id", "job.created", " is no instant"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_what_the_replies_contradict_is_named(call: Caller, box: Sandbox, tmp_path: Path, case: str) -> None:
    """With file, line and key, and with what was seen instead; exit code 3."""
    tap(tmp_path, given(box, tmp_path)).succeeded()
    old, new, key, detail = CHANGES[case]
    assert old in TEXT
    found = checked(call, given(box, tmp_path, text=TEXT.replace(old, new, 1)))
    line = next(n for n, text in enumerate(TEXT.splitlines(), 1) if old in text)
    where = dict(against(found))
    assert found.code == 3
    assert detail in where[f"{NAME}.yaml:{line}: {key}"]


def test_a_wrong_key_is_about_the_credentials(call: Caller, box: Sandbox, tmp_path: Path) -> None:
    """Nothing else is called wrong for it."""
    whole = given(box, tmp_path)
    whole["declared"][0]["credentials"] = {"key": "another-key-than-that"}
    found = checked(call, whole)
    assert found.code == 3
    assert [where.rpartition(": ")[2] for where, _ in against(found)] == ["auth"]
    assert "another-key" not in found.out


def test_calls_that_are_no_get_are_not_made(call: Caller, tmp_path: Path) -> None:
    """Whether a POST only reads, nobody can tell; the verdict says so."""
    with sandbox("shopify") as box:
        found = checked(call, given(box, tmp_path, "shopify"), "--job", "any-job")
        assert [entry["method"] for entry in box.requests()] == []
    statement = next(
        each for each in found.data["statements"] if each["statement"].startswith("POST") and "poll" in each["where"]
    )
    assert (found.code, statement["verdict"]) == (0, "not asked")
    assert statement["detail"] == "it is a POST, and only GET is sent"


def test_a_job_can_be_named_where_there_is_no_list(call: Caller, tmp_path: Path) -> None:
    """As an id from the vendor's own pages."""
    with sandbox("auth0", knobs={"auth0": {"rows": 5}}) as box:
        whole = given(box, tmp_path, "auth0")
        job = tap(tmp_path, whole).succeeded().records["export_jobs"][0]["job_id"]
        alone, named = checked(call, whole), checked(call, whole, "--job", job)
    assert (verdicts(alone)["poll"], verdicts(named)["poll"]) == ("not asked", "seen")
    assert verdicts(named)["files.url"] == "seen"


@pytest.mark.parametrize("name", ["exelensia_declared", "amazon_sp"])
def test_replies_are_recorded_without_keys(call: Caller, tmp_path: Path, name: str) -> None:
    """Neither keys nor tokens nor signatures, with mode 0600, and never over other files."""
    with sandbox(name, knobs={name: {"rows": 20}}) as box:
        whole = given(box, tmp_path, name)
        tap(tmp_path, whole).succeeded()
        found = checked(call, whole, "--record", str(tmp_path / "samples"))
        again = checked(call, whole, "--record", str(tmp_path / "samples"))
    files = sorted((tmp_path / "samples").iterdir())
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    assert found.code == 0, found.out
    assert [path.name.partition("-")[2] for path in files][:2] == ["list.json", "poll.json"]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert "row_id" not in text
    assert [word for word in (KEY, "token=", "token-0001", "signature=") if word in text] == []
    assert (again.code, "is not empty" in again.err) == (1, True)


def test_samples_lack_what_a_name_tells_to_be_secret() -> None:
    """A token that nobody announced, at any depth; long lists are cut, and queries of URLs."""
    body = {
        "data": {"access_token": "abc", "Set-Cookie": "s=1", "keys": 3},
        "jobs": list(range(7)),
        "url": "https://x/y?sig=1",
    }
    assert cleaned(body, Redactor().clean) == {
        "data": {"access_token": "***", "Set-Cookie": "***", "keys": 3},
        "jobs": [0, 1, 2, 3, 4, "… 2 more"],
        "url": "https://x/y?***",
    }


def test_without_a_configuration_nothing_is_sent(call: Caller) -> None:
    """What the tap will do, and what has to be filled in."""
    found = call("check", str(FILE))
    assert found.code == 0
    assert [(each["where"], each["statement"]) for each in found.data["statements"]] == [
        ("helpdesk.yaml", "no errors"),
        ("helpdesk.yaml:6: auth", "to be set as credentials: key"),
        ("helpdesk.yaml:5: base_url", "to be set as variables: account"),
        ("helpdesk.yaml:7: submit", "to be set as params of an export, or variables: type"),
        ("helpdesk.yaml:17: window", "windows by updated_at of at most 31 days"),
        ("helpdesk.yaml:16: lost_reply", "a job whose creation got no reply is created again"),
        ("helpdesk.yaml:11: job", "proof A: the provider's count"),
    ]


def test_a_hole_that_looks_like_one_of_the_tap_is_doubted(call: Caller, tmp_path: Path) -> None:
    """It may be a param of that name, so it is no error; it may be misspelt, so it is said."""
    path = tmp_path / "x.yaml"
    path.write_text(TEXT.replace("{until:iso}", "{ends}").replace("days: 31, ", ""), encoding="utf-8")
    found = call("check", str(path))
    details = {each["statement"]: each["detail"] for each in found.data["statements"]}
    assert details["to be set as params of an export, or variables: ends, type"] == "{ends} looks like {end}"


@pytest.mark.parametrize(
    ("compared", "says"),
    [
        (
            'from: "{start:iso}"',
            "not compared by `find`: {type}, {until:iso}; without STATE no job that exists is read",
        ),
        ('from: "{start:iso}", to: "{until:iso}", type: "{type}"', ""),
        ('name: "{mark}"', ""),
    ],
)
def test_what_find_leaves_out_is_said(call: Caller, tmp_path: Path, compared: str, says: str) -> None:
    """A job in the list may be that of another request then, as far as anybody can tell."""
    path = tmp_path / "x.yaml"
    path.write_text(TEXT.replace("lost_reply: repeat", f"find: {{{compared}}}"), encoding="utf-8")
    found = call("check", str(path))
    details = {each["statement"]: each["detail"] for each in found.data["statements"]}
    assert details["a job whose creation got no reply is found in the list"] == says


def test_errors_of_the_file_are_the_verdict(call: Caller, tmp_path: Path) -> None:
    """Each with its place, on standard output; exit code 3."""
    path = tmp_path / "x.yaml"
    path.write_text(TEXT.replace("job: {id", "jobb: {id"), encoding="utf-8")
    found = call("check", str(path))
    failed: list[Any] = [each for each in found.data["statements"] if each["verdict"] == "failed"]
    assert found.code == 3
    assert any(
        each["where"].startswith("x.yaml:") and each["statement"].startswith("jobb: unknown key") for each in failed
    )


def test_a_block_that_holds_the_declaration_names_it_too(call: Caller, box: Sandbox) -> None:
    """So does the configuration that `tap-exports-sandbox --write-config` writes; one of another content does not."""
    whole = config(box, NAME)
    assert "api" in whole["declared"][0]
    found = call("check", str(FILE), config=whole)
    assert (found.code, verdicts(found)["auth"], against(found)) == (0, "seen", [])
    odd = {**whole["declared"][0]["api"], "docs": "https://elsewhere.example"}
    other = call("check", str(FILE), config={**whole, "declared": [{**whole["declared"][0], "api": odd}]})
    assert (other.code, "no block of `declared`" in other.err) == (1, True)


def test_a_configuration_without_its_block_is_refused(call: Caller, box: Sandbox, tmp_path: Path) -> None:
    """The keys of another block are not for it."""
    whole = given(box, tmp_path)
    other = tmp_path / "other.yaml"
    other.write_text(TEXT, encoding="utf-8")
    found = call("check", str(other), config=whole)
    assert (found.code, box.requests()) == (1, [])
    assert "no block of `declared` has the file" in found.err
    assert json.dumps(found.out) == '""'
