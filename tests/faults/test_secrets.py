"""No secret leaves (P7), and nothing of a download stays behind, however a run ends.

`Witness.run` searches what each run of these tests writes; here are the ways out that an ordinary run does not take.
"""

from __future__ import annotations

import gzip
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.faults.witness import STREAMS, Witness, forms
from tests.tap.harness import COMMAND, PROVIDERS, Json, Ran, arguments_of, tap

Watched = Callable[..., Witness]
EVERY = sorted(PROVIDERS)
SLOW = {"faults": [{"match": {"origin": "files"}, "action": {"slow": {"bytes_per_second": 2000}}}]}

PLANS: dict[str, Json] = {
    "nothing": {},
    "unauthorized": {"faults": [{"action": {"status": 401}, "match": {"origin": "api"}}]},
    "forbidden": {
        "faults": [{"action": {"status": 403, "body": "xml"}, "match": {"origin": "api", "nth": 3, "times": 99}}]
    },
    "unpaid": {"faults": [{"action": {"status": 402}, "match": {"origin": "api", "method": "POST"}}]},
    "down": {"faults": [{"action": {"status": 503, "body": "html", "retry_after": 0}}]},
    "reset": {"faults": [{"action": {"reset": True}, "match": {"nth": 2, "times": 99}}]},
    "page": {"faults": [{"action": {"html": True}, "match": {"nth": 2, "times": 99}}]},
    "no page": {"faults": [{"action": {"truncate": 40}, "match": {"nth": 2, "times": 99}}]},
    "lost reply": {"faults": [{"action": {"lose_reply": True}, "match": {"method": "POST"}}]},
    "lost reply, found": {"faults": [{"action": {"lose_reply": True}, "match": {"method": "POST", "nth": 1}}]},
    "busy": {"faults": [{"action": {"status": 429, "retry_after_date": 9}, "match": {"nth": 2, "times": 99}}]},
    "silent": {"faults": [{"action": {"slow": {"delay_seconds": 7}}, "match": {"nth": 3, "times": 2}}]},
    "files expired": {"faults": [{"action": {"expire": True}, "match": {"origin": "files", "nth": 1}}]},
    "files refused": {"faults": [{"action": {"expire": True}, "match": {"origin": "files", "provider": "cornect"}}]},
    "files cut": {"faults": [{"action": {"cut_after_bytes": 60}, "match": {"origin": "files"}}]},
    "files damaged": {"faults": [{"action": {"flip_byte": 30, "gzip": True}, "match": {"origin": "files"}}]},
    "failed jobs": {"jobs": [{"provider": name, "outcome": "fail"} for name in EVERY]},
    "vanished jobs": {"jobs": [{"provider": name, "outcome": "vanish"} for name in EVERY]},
    "unknown status": {"jobs": [{"provider": name, "status": "archived"} for name in EVERY]},
    "anything": {
        "random": {"probability": 0.2, "seed": 4, "actions": [{"status": 500}, {"reset": True}, {"html": True}]}
    },
}


def everything(watched: Witness) -> Json:
    """Return a configuration of all providers that gives up soon."""
    soon = {
        "max_attempts": 1,
        "job_stall_timeout_seconds": 1,
        "request_timeout_seconds": 5,
        "lost_reply_search_seconds": 1,
        "job_grace_seconds": 0,
    }
    return {**watched.box.config(), **soon}


@pytest.mark.parametrize("plan", PLANS)
def test_every_fault(tmp_path: Path, witness: Watched, plan: str) -> None:
    """Whatever goes wrong at all five providers: log, messages, STATE, receipts and file names are free of secrets."""
    watched = witness(PLANS[plan])
    spool = tmp_path / "spool"
    ran = watched.run(tmp_path, {**everything(watched), "spool_dir": str(spool)})
    assert (ran.code == 0) == (plan in {"nothing", "files expired"}), ran.stderr
    assert list(spool.iterdir()) == []
    assert "| DEBUG    | urllib3." in ran.stderr, "the search has something to search"


ENDINGS: dict[str, tuple[Json, Json]] = {
    "detached": ({"job_wait": "detach"}, {"job_seconds": 60}),
    "jsonl": ({"batch_config": {"encoding": {"format": "jsonl"}}}, {}),
    "jsonl.gz": ({"batch_config": {"encoding": {"format": "jsonl", "compression": "gzip"}}}, {}),
    "parquet": ({"batch_config": {"encoding": {"format": "parquet"}}}, {}),
}


@pytest.mark.parametrize("case", ENDINGS)
def test_other_endings(tmp_path: Path, witness: Watched, case: str) -> None:
    """Jobs that are left to the next run, and files of batches: neither their names nor their content hold a secret."""
    changes, options = ENDINGS[case]
    watched, parts = witness(**options), tmp_path / "parts"
    config = {**everything(watched), **changes}
    if "batch_config" in config:
        config["batch_config"]["storage"] = {"root": str(parts)}
    ran = watched.run(tmp_path, config)
    assert ran.code == 0, ran.stderr
    files = sorted(parts.rglob("*.*"))
    assert (len(files) > 9) == (case != "detached")
    watched.search(*map(str, files), *map(text_of, files))


def text_of(part: Path) -> str:
    """Return all that a file of a batch holds."""
    if part.suffix == ".parquet":
        table = pq.read_table(part)
        return f"{table.schema} {table.to_pylist()}"
    return (gzip.decompress(part.read_bytes()) if part.suffix == ".gz" else part.read_bytes()).decode()


@pytest.mark.parametrize("arguments", [["--discover"], ["--about"], ["--about", "--format=json"], ["--test"]])
def test_other_commands(tmp_path: Path, witness: Watched, arguments: list[str]) -> None:
    """Catalog, description and connection test hold none either."""
    watched = witness()
    assert watched.run(tmp_path, everything(watched), *arguments).code == 0


def test_words_of_a_provider(tmp_path: Path, witness: Watched) -> None:
    """What a provider says of a failed job goes into receipt and list without the key and the signed URL in it."""
    watched = witness()
    signature = "0123456789abcdef"
    reason = f"no room at https://files.test/a.csv?X-Amz-Signature={signature} for {watched.box.key('packagex')}"
    watched.box.set_faults({"jobs": [{"provider": "packagex", "outcome": "fail", "reason": reason}]})
    ran = tap(tmp_path, watched.config("packagex"))
    (receipt,) = ran.records["export_jobs"]
    assert receipt["reason"] == "no room at https://files.test/a.csv?*** for ***"
    listing = {**watched.config("packagex", settling_seconds=0), "end_date": "2099-01-01T00:00:00Z"}
    again = tap(tmp_path, listing)
    assert receipt["reason"] in {row["reason"] for row in again.records["packagex_exports"]}
    assert watched.leaked(ran.stderr + again.stderr + "".join(map(str, again.messages)), [signature]) == []


def test_the_search_finds(witness: Watched) -> None:
    """The search itself: a secret is found plain, percent-encoded, and in base64 at every alignment."""
    watched = witness()
    key = "key/with+odd=characters&1"
    for form in forms(key):
        assert watched.leaked(f"…{form}…", [key]) == [key]
    assert watched.leaked("nothing of that kind", [key]) == []
    assert watched.box.key("exelensia") in watched.secrets


def test_odd_keys(tmp_path: Path, witness: Watched) -> None:
    """A key of characters that have to be encoded is as well hidden; its provider refuses it."""
    watched = witness()
    key = "k3y/with+odd=chars&%41~é"[:-1]
    config = watched.config()
    config["exelensia"]["api_key"] = key
    ran = watched.run(tmp_path, config)
    assert (ran.code, watched.leaked(ran.stderr, [key])) == (1, [])


SCHEMES = ["ftp://h", "file:///etc", "javascript:alert(1)", "//host", "exelensia.com", "https://", "https://u:p4ss@h"]


@pytest.mark.parametrize("url", SCHEMES)
def test_url_of_the_configuration(tmp_path: Path, witness: Watched, url: str) -> None:
    """An address that is no web address, or that carries a password, is refused before any request."""
    watched = witness()
    config = watched.config()
    config["exelensia"]["api_url"] = url
    ran = watched.run(tmp_path, config)
    assert (ran.code, watched.box.requests(), ran.records) == (1, [], {})
    assert "`exelensia.api_url`" in ran.errors[0]
    assert "p4ss" not in ran.stderr


@pytest.mark.parametrize("provider", EVERY)
def test_url_of_each_provider(tmp_path: Path, witness: Watched, provider: str) -> None:
    """No provider takes an address of another scheme, and plain http only where `allow_private_hosts` says so."""
    watched = witness()
    config = watched.config(provider)
    config[provider]["api_url"] = config[provider]["api_url"].replace("http://", "ftp://")
    refused = watched.run(tmp_path, config)
    plain = watched.run(tmp_path, watched.config(provider, allow_private_hosts=False))
    for ran in (refused, plain):
        assert (ran.code, watched.box.requests(), ran.records) == (1, [], {})
        assert f"`{provider}.api_url`" in ran.errors[0]


def start(watched: Witness, folder: Path, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a run whose download takes long; return it once the file is being written."""
    command = [*COMMAND, *arguments_of(folder, watched.config(spool_dir=str(folder / "spool")))]
    whole = {**os.environ, "LOGLEVEL": "DEBUG", **(environment or {})}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=whole)
    deadline = time.monotonic() + 30
    while not any(p.is_file() and p.suffix == ".csv" for p in folder.glob("spool/*/*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def test_killed_run(tmp_path: Path, witness: Watched) -> None:
    """SIGKILL leaves private files under names without secrets, and the next start removes them."""
    watched = witness(SLOW)
    process = start(watched, tmp_path)
    process.kill()
    out, err = process.communicate(timeout=30)
    left = sorted((tmp_path / "spool").rglob("*"))
    watched.search(out.decode(), err.decode(), *map(str, left))
    modes = {stat.S_IMODE(p.stat().st_mode) for p in left if p.is_file()}
    assert (modes, {stat.S_IMODE(p.stat().st_mode) for p in left if p.is_dir()}) == ({0o600}, {0o700})
    watched.box.set_faults(None)
    state = [json.loads(line) for line in out.splitlines() if b'"STATE"' in line][-1]["value"]
    config = watched.config(spool_dir=str(tmp_path / "spool"))
    again: Ran = watched.run(tmp_path, config, state=state).succeeded()
    assert list((tmp_path / "spool").iterdir()) == []
    assert len(again.records[STREAMS["exelensia"]]) == 503
    assert watched.posts() == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGABRT])
def test_ended_run(tmp_path: Path, witness: Watched, number: signal.Signals) -> None:
    """What a signal leaves behind holds no secret either; a run that could still tidy up did."""
    watched = witness(SLOW)
    before = signal.signal(number, signal.SIG_DFL)  # a signal that is ignored here, as under nohup, would be there
    process = start(watched, tmp_path, {"PYTHONFAULTHANDLER": "1"})
    signal.signal(number, before)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    watched.search(out.decode(), err.decode(), *map(str, tmp_path.rglob("*")))
    tidy = number in {signal.SIGTERM, signal.SIGINT}
    assert process.returncode == (128 + number if tidy else -number)
    assert (list((tmp_path / "spool").iterdir()) == []) == tidy


def test_internal_error(tmp_path: Path, witness: Watched) -> None:
    """The traceback of a defect of our own is clean: the key stands in it, in a message and in base64."""
    watched = witness()
    (tmp_path / "config.json").write_text(json.dumps(watched.config()))
    program = (
        "import base64, tap_exports.engine.download.transfer as transfer\n"
        "def host_of(url):\n"
        f"    key = {watched.box.key('exelensia')!r}\n"
        "    raise ZeroDivisionError(url, key, base64.b64encode(b'u:' + key.encode()))\n"
        "transfer.host_of = host_of\n"
        "from tap_exports.__main__ import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", program, "--config", str(tmp_path / "config.json")]
    done = subprocess.run(command, capture_output=True, check=False, env={**os.environ, "LOGLEVEL": "DEBUG"})
    assert (done.returncode, b"Traceback" in done.stderr, b"ZeroDivisionError" in done.stderr) == (1, True, True)
    watched.search(done.stdout.decode(), done.stderr.decode())
