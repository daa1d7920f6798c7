"""Records of jobs and lists carry neither keys nor signatures, whatever the field; the user's data stays as it came."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tap_exports.engine.model import Page
from tap_exports.sandbox import Sandbox
from tap_exports.singer.streams.kinds import ListStream
from tap_exports.tap import TapExports
from tests.tap.harness import only

Boxes = Callable[..., Sandbox]
SIGNED = "https://files.test/a.csv?X-Amz-Signature=ab"
CONTROL = "a\x00b\x1b[31mc\r\nd\u2028e"
STREAMS = {
    "exelensia": ("files", "processes", "schemas", "templates", "results", "exports"),
    "packagex": ("exports",),
    "cornect": ("credit_transactions",),
}
NAMES = [f"{provider}_{name}" for provider, names in STREAMS.items() for name in names]


def written(
    stream_name: str, record: dict[str, Any], box: Sandbox, monkeypatch: pytest.MonkeyPatch, out: Callable[[], str]
) -> Any:  # noqa: ANN401 - JSON
    """Return the one record that a stream writes when its list holds one."""
    provider = stream_name.partition("_")[0]
    tap = TapExports(config=only(box.config(provider), provider) | {"start_date": "2020-01-01T00:00:00Z"})
    stream = tap.streams[stream_name]
    whole = {**dict.fromkeys(stream.primary_keys or (), "1"), "status": "COMPLETED", **record}
    if stream.replication_key:
        whole[stream.replication_key] = "2026-01-01T00:00:00.000Z"
    monkeypatch.setattr(stream, "pages", lambda _: iter([Page([whole], total=1)]))
    monkeypatch.setattr(tap, "start_runs", lambda: None)  # of the other streams, which would make requests
    stream.sync()
    messages = [json.loads(line) for line in out().rstrip("\n").split("\n")]
    (row,) = [message["record"] for message in messages if message["type"] == "RECORD"]
    return row


@pytest.mark.parametrize("name", NAMES)
def test_unknown_fields_of_a_list_are_cleaned(
    name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], sandbox: Boxes
) -> None:
    """Fields that no document names, nested ones, their names and texts included; control characters are the data's."""
    box = sandbox()
    key = box.key(name.partition("_")[0])
    record = {"preview": SIGNED, "said": [{"why": f"bad {key}", key: "api_key=ab"}], "raw": CONTROL, f"at {key}": 1}
    out: list[str] = []

    def taken() -> str:
        out.append(capfd.readouterr().out)
        return out[-1]

    row = written(name, record, box, monkeypatch, taken)
    assert key not in out[0]  # not in a SCHEMA either, which names the new columns
    assert (row["preview"], row["raw"], row["at ***"]) == ("https://files.test/a.csv?***", CONTROL, 1)
    assert row["said"] == [{"why": "bad ***", "***": "api_key=***"}]


def test_the_users_data_stays_as_it_came(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], sandbox: Boxes
) -> None:
    """What a document said is the user's, also within a list of the provider."""
    extraction = {"notes": SIGNED, "vendor_name": "password=ab"}
    out = lambda: capfd.readouterr().out  # noqa: E731 - as an argument
    row = written("exelensia_results", {"extraction": extraction}, sandbox(), monkeypatch, out)
    assert row["extraction"] == extraction


def test_no_list_of_records_is_left_out(sandbox: Boxes) -> None:
    """Each list of a provider is among those above, or its rows are the user's data or made by the tap."""
    tap = TapExports(config=sandbox().config() | {"start_date": "2020-01-01T00:00:00Z"})
    lists = {name for name, each in tap.streams.items() if isinstance(each, ListStream) and not each.is_user_data}
    assert lists - set(NAMES) <= {"cornect_companies", "cornect_exports", "cornect_credits", "cension_operations"}
