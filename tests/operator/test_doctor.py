"""`doctor` names what is wrong with its remedy, changes nothing, and tells what live replies show."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from tap_exports.operator.checks import network as checks
from tap_exports.sandbox import Sandbox, SandboxOptions
from tests.engine.servers import Server, reply
from tests.operator.calling import Caller, Json

PROVIDERS = ("cension", "exelensia", "packagex", "cornect", "closient")
FREE_POST = "/api/v1/companies/search"


def sandbox(*, faults: Json | None = None, knobs: Json | None = None) -> Sandbox:
    return Sandbox(SandboxOptions(job_seconds=0, knobs=knobs or {}), faults=faults)


def found(data: Json, about: str, check: str) -> Json:
    """Return a check, `{}` if it was not made."""
    made = [each for each in data["checks"] if (each["about"], each["check"]) == (about, check)]
    return made[0] if made else {}


def answers(data: Json, provider: str) -> dict[str, str]:
    return {fact["question"]: fact["answer"] for fact in data["facts"] if fact["provider"] == provider}


def test_a_machine_that_is_well(call: Caller) -> None:
    """Nothing fails, nothing is created or spent, and no key is in either form of the report."""
    with sandbox() as box:
        before = box.spend()
        data, text = call("doctor", config=box.config()), call("doctor", "--format", "text", config=box.config())
        assert box.spend() == before
        assert {each["path"] for each in box.requests() if each["method"] != "GET"} == {FREE_POST}
        keys = [box.key(provider) for provider in PROVIDERS]
    assert (data.code, text.code) == (0, 0), data.out
    assert {each["verdict"] for each in data.data["checks"]} <= {"ok", "warn", "skip"}
    assert {fact["provider"] for fact in data.data["facts"]} == set(PROVIDERS)
    assert not [fact for fact in data.data["facts"] if fact["answer"].startswith("not answered")]
    assert found(data.data, "closient", "key")["detail"].endswith("role manager")
    assert "RateLimit-Limit 300" in found(data.data, "closient", "quota")["detail"]
    assert "tap-exports" in data.data["versions"]
    assert [key for key in keys if key in data.out + data.err + text.out + text.err] == []


def test_a_refused_key_has_a_remedy_and_the_others_are_checked(call: Caller) -> None:
    with sandbox() as box:
        given = box.config("exelensia", "packagex")
        given["packagex"]["api_key"] = "a-wrong-key"
        done = call("doctor", config=given)
    key = found(done.data, "packagex", "key")
    assert (done.code, key["verdict"], key["remedy"]) == (3, "fail", "make a new key at the provider and set it")
    assert "packagex.api_key" in key["detail"]
    assert found(done.data, "exelensia", "key")["verdict"] == "ok"
    assert answers(done.data, "packagex") == {}
    assert "a-wrong-key" not in done.out + done.err


def test_accounts_share_the_way_and_what_replies_show(call: Caller) -> None:
    """Of a thousand accounts each has its key checked; address and open questions are those of the provider, once."""
    with Sandbox(SandboxOptions(job_seconds=0, accounts=("north", "south", "west"))) as box:
        given = box.config("exelensia")
        given["exelensia"]["accounts"][0]["api_key"] = "a-wrong-key"
        done = call("doctor", config=given)
        lost = {**given, "exelensia": {**given["exelensia"], "api_url": "http://127.0.0.1:9"}}
        away = call("doctor", config=lost)
    assert found(done.data, "machine", "configuration")["detail"] == "valid; providers: exelensia (3 accounts)"
    assert [each["about"] for each in done.data["checks"] if each["check"] == "DNS"] == ["exelensia"]
    verdicts = {each["about"]: each["verdict"] for each in done.data["checks"] if each["check"] == "key"}
    assert verdicts == {"exelensia@north": "fail", "exelensia@south": "ok", "exelensia@west": "ok"}
    assert {fact["provider"] for fact in done.data["facts"]} == {"exelensia@south"}
    assert [each["about"] for each in away.data["checks"] if each["verdict"] == "fail"] == ["exelensia"]
    assert away.data["facts"] == []


def test_a_missing_scope_has_another_remedy(call: Caller) -> None:
    fault = {"match": {"origin": "api", "provider": "exelensia"}, "action": {"status": 403}}
    with sandbox(faults={"faults": [fault]}) as box:
        done = call("doctor", config=box.config("exelensia"))
    assert "scope or role" in found(done.data, "exelensia", "key")["remedy"]


def test_a_configuration_that_is_not_valid(call: Caller) -> None:
    done = call("doctor", config={"exelensia": {"api_keyy": "secret-value"}})
    (check, *_) = done.data["checks"]
    assert (done.code, check["check"], check["verdict"]) == (3, "configuration", "fail")
    assert "api_key" in check["detail"]
    assert "secret-value" not in done.out + done.err


def test_a_host_that_does_not_exist(call: Caller) -> None:
    """No request is made where no address is known."""
    done = call("doctor", config={"exelensia": {"api_key": "secret", "api_url": "https://no-such-host.invalid"}})
    assert (done.code, found(done.data, "exelensia", "DNS")["verdict"]) == (3, "fail")
    assert "exelensia.api_url" in found(done.data, "exelensia", "DNS")["remedy"]
    assert found(done.data, "exelensia", "key") == {}


def test_a_port_where_nobody_listens(call: Caller) -> None:
    with sandbox() as box:
        given = box.config("exelensia")
    done = call("doctor", config=given)
    assert (done.code, found(done.data, "exelensia", "TCP")["verdict"]) == (3, "fail")
    assert "firewall" in found(done.data, "exelensia", "TCP")["remedy"]


def test_a_proxy_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://user:password@proxy.example:3128")
    (check,) = checks.network("exelensia", "https://api.exelensia.com")
    assert (check.verdict.value, check.detail) == ("ok", "requests go through proxy.example:3128")


def test_a_certificate_that_nobody_here_trusts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy names the variables; with one of them set, the same certificate is fine."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with Server([reply(200)], context) as server:
        before = {check.name: check for check in checks.network("exelensia", server.url)}["TLS"]
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        after = {check.name: check for check in checks.network("exelensia", server.url)}["TLS"]
    assert (before.verdict.value, after.verdict.value) == ("fail", "ok")
    assert "SSL_CERT_FILE" in before.remedy
    assert after.detail.startswith("TLSv1.")


def test_a_clock_that_is_wrong(call: Caller) -> None:
    faults = [{"match": {"origin": "api"}, "action": {"date_skew": -300}}]
    with sandbox(faults={"faults": faults}) as box:
        clock = found(call("doctor", config=box.config("exelensia")).data, "exelensia", "clock")
    assert (clock["verdict"], "behind this machine's" in clock["detail"]) == ("warn", True)
    assert "NTP" in clock["remedy"]


@pytest.mark.parametrize(("allowed", "verdict"), [(0, "fail"), (20, "ok")])
def test_exports_that_no_credit_allows(call: Caller, allowed: int, verdict: str) -> None:
    with sandbox() as box:
        given = box.config("cornect")
        given["cornect"]["max_credits"] = allowed
        credit = found(call("doctor", config=given).data, "cornect", "credits")
    assert (credit["verdict"], "cornect.max_credits" in credit["remedy"]) == (verdict, verdict == "fail")


def test_a_disk_that_is_too_small_or_missing(call: Caller, tmp_path: Path) -> None:
    with sandbox() as box:
        given = box.config("exelensia")
        small = call("doctor", "--no-facts", config={**given, "spool_max_mb": 100_000_000})
        missing = call("doctor", "--no-facts", config={**given, "spool_dir": str(tmp_path / "no")})
    assert found(small.data, "machine", "spool")["verdict"] == "warn"
    assert (missing.code, found(missing.data, "machine", "spool")["verdict"]) == (3, "fail")
    assert small.data["facts"] == []


def test_storages_are_tried_and_left_as_they_were(call: Caller, tmp_path: Path) -> None:
    """An object is written, read and removed; folders that were not there are not there afterwards."""
    kept, made = tmp_path / "kept", tmp_path / "made"
    kept.mkdir()
    (tmp_path / "file").write_text("no folder")
    with sandbox() as box:
        given = box.config("closient")
        given["closient"]["files_storage"] = str(kept)
        batch: Json = {"encoding": {"format": "jsonl"}, "storage": {"root": f"file://{made}"}}
        well = call("doctor", "--no-facts", config={**given, "batch_config": batch})
        batch["storage"]["root"] = str(tmp_path / "file" / "below")
        broken = call("doctor", "--no-facts", config={**given, "batch_config": batch})
    root = "batch_config.storage.root"
    assert found(well.data, "machine", root)["verdict"] == "ok"
    assert found(well.data, "machine", "closient.files_storage")["verdict"] == "ok"
    assert (broken.code, found(broken.data, "machine", root)["verdict"]) == (3, "fail")
    assert (list(kept.iterdir()), made.exists()) == ([], False)


@pytest.mark.parametrize(
    ("provider", "knobs", "question", "answer"),
    [
        ("exelensia", {}, "Does created_after include its instant?", "it does"),
        ("exelensia", {"inclusive": False}, "Does created_after include its instant?", "it does not"),
        ("exelensia", {}, "Is totalPages 0 or 1 for an empty list?", "totalPages 1, total 0"),
        ("exelensia", {"pages_of_none": 0}, "Is totalPages 0 or 1 for an empty list?", "totalPages 0, total 0"),
        ("exelensia", {}, "Which words do the statuses of results use?", "SUCCESS"),
        ("packagex", {}, "Does one export stand under `data` or bare?", "under `data`"),
        ("packagex", {"envelope": "bare"}, "Does one export stand under `data` or bare?", "bare"),
        ("packagex", {}, "How are instants written?", "int"),
        ("packagex", {"timestamps": "iso"}, "How are instants written?", "str"),
        ("packagex", {}, "Is the default order that of creation, oldest first?", "yes"),
        ("packagex", {}, "Which flag brings which URL?", r"include_csv: .*_csv_url; include_json: _json_url"),
        ("packagex", {"flags": "old"}, "Which flag brings which URL?", r"include_csv: _json_url; .*_csv_url"),
        ("packagex", {"limit_cap": 7}, "Is a limit of 1000 of a list cut?", r"7 came, pagination says limit.*"),
        ("cension", {}, "Is a limit of 1000 of an export cut?", "503 rows came, total_count is 503"),
        ("cension", {"limit_cap": 50}, "Is a limit of 1000 of an export cut?", "50 rows came, total_count is 503"),
        ("cension", {}, "Under which name does a run stand in its reply?", "operation"),
        ("cornect", {}, "Does a charge refer to its export as export:<id>:create?", r"\d+ of \d+ charges do"),
        ("closient", {}, "Does whoami list organizations by id and name?", "there: id, name; absent: none"),
        ("closient", {}, "Which role has the key, and is it enough?", r"role 'manager'.*"),
    ],
)
def test_what_live_replies_show(call: Caller, provider: str, knobs: Any, question: str, answer: str) -> None:  # noqa: ANN401 - any JSON
    """The answer follows the provider: another one where it behaves otherwise."""
    with sandbox(knobs={provider: knobs}) as box:
        done = call("doctor", config=box.config(provider))
    assert re.fullmatch(answer, answers(done.data, provider)[question])
    assert done.code == 0
