from __future__ import annotations

from pathlib import Path

import pytest

from tap_exports.engine.secrets import Redactor
from tap_exports.singer.tap import BaseTap
from tests.operator.calling import Caller


@pytest.fixture
def call(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> Caller:
    """Call a subcommand: `call("plan", "--format", "json", config={…}, state={…})`.

    A process hides what it was told; what other tests told this one is forgotten.
    """
    monkeypatch.setattr(BaseTap, "redactor", Redactor())
    return Caller(tmp_path, capsys, caplog)
