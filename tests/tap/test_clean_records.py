"""Records of jobs and lists carry neither keys nor signatures, whatever the field."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tap_exports.engine.model import Page
from tap_exports.sandbox import Sandbox
from tap_exports.tap import TapExports

Boxes = Callable[..., Sandbox]
SIGNED = "https://files.test/a.csv?X-Amz-Signature=ab"


def test_unknown_fields_of_a_list_are_cleaned(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], sandbox: Boxes
) -> None:
    """Fields that no document names, nested ones and texts included."""
    box = sandbox()
    tap = TapExports(config=box.config("exelensia") | {"start_date": "2020-01-01T00:00:00Z"})
    stream = tap.streams["exelensia_files"]
    record = {
        "id": "1",
        "createdAt": "2026-01-01T00:00:00.000Z",
        "preview": SIGNED,
        "said": [{"why": f"bad {box.key('exelensia')}"}],
    }
    monkeypatch.setattr(stream, "pages", lambda _: iter([Page([record], total=1)]))
    monkeypatch.setattr(tap, "start_runs", lambda: None)  # of the other streams, which would make requests
    stream.sync()
    messages = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    (row,) = [message["record"] for message in messages if message["type"] == "RECORD"]
    assert (row["preview"], row["said"]) == ("https://files.test/a.csv?***", [{"why": "bad ***"}])
