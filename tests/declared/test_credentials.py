"""Credentials of declared providers: tokens are renewed, and what is secret goes to the API's own origin only."""

from __future__ import annotations

from pathlib import Path

from tap_exports.sandbox.declared.access import KEY, TOKEN_PATH
from tests.declared.test_shipped import ROWS, config, landed, sandbox, truth
from tests.tap.harness import Json, tap


def tokens(requests: list[Json]) -> int:
    return sum(entry["path"] == TOKEN_PATH for entry in requests)


def refused(status: int, **match: object) -> Json:
    return {"faults": [{"match": {"origin": "api", **match}, "action": {"status": status}}]}


def test_a_token_is_requested_once(tmp_path: Path) -> None:
    """One for all requests of a run."""
    with sandbox("zuora") as box:
        tap(tmp_path, config(box, "zuora")).succeeded()
        assert tokens(box.requests()) == 1


def test_a_token_is_renewed_before_its_end(tmp_path: Path) -> None:
    """A job that takes longer than a token lives is polled without one refusal."""
    with sandbox("zuora", job_seconds=3, knobs={"zuora": {"rows": ROWS, "token_seconds": 2}}) as box:
        ran = tap(tmp_path, config(box, "zuora")).succeeded()
        assert landed(ran) == truth(box, "zuora")
        assert tokens(box.requests()) > 1
        assert [entry for entry in box.requests() if entry["status"] == 401] == []


def test_a_token_that_is_refused_is_renewed_once(tmp_path: Path) -> None:
    """A 401 brings another token; the second one in a row is an error that names the setting."""
    with sandbox("zuora", faults=refused(401, path="/query/jobs/*", nth=1)) as box:
        ran = tap(tmp_path, config(box, "zuora")).succeeded()
        assert landed(ran) == truth(box, "zuora")
        assert tokens(box.requests()) == 2
    with sandbox("zuora", faults=refused(401, path="/query/jobs*")) as box:
        ran = tap(tmp_path, config(box, "zuora"))
        assert ran.code == 1
        assert "`zuora.credentials` was refused" in ran.stderr
        assert tokens(box.requests()) <= 4


def test_a_grant_that_is_refused_is_named(tmp_path: Path) -> None:
    """The message says which endpoint and shows no secret."""
    with sandbox("zuora", faults=refused(400, path=TOKEN_PATH)) as box:
        ran = tap(tmp_path, config(box, "zuora"))
        assert ran.code == 1
        assert "the token endpoint refused the grant client_credentials" in ran.stderr
        assert KEY not in ran.stderr


def test_tokens_show_nowhere(tmp_path: Path) -> None:
    """Neither in messages nor in the log at its most talkative."""
    with sandbox("amazon_sp") as box:
        ran = tap(tmp_path, config(box, "amazon_sp"), environment={"LOGLEVEL": "DEBUG"}).succeeded()
        assert "token-0001" not in ran.stderr + str(ran.messages)


def test_a_file_behind_the_api_needs_the_key_and_nobody_else_gets_it(tmp_path: Path) -> None:
    """A redirect to another origin is followed without the key."""
    with sandbox("salesforce") as other, sandbox("salesforce") as box:
        redirect = {"redirect": other.files_url + "/stolen.csv"}
        box.set_faults({"faults": [{"match": {"origin": "api", "path": "*/results", "nth": 1}, "action": redirect}]})
        ran = tap(tmp_path, config(box, "salesforce"))
        assert ran.code == 0
        assert landed(ran) == truth(box, "salesforce")
        assert [entry["auth"] for entry in other.requests()] == [None]
        assert KEY not in ran.stderr
