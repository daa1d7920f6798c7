from __future__ import annotations

from pathlib import Path

import pytest

from tests.operator.calling import Caller


@pytest.fixture
def call(tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Caller:
    """Call a subcommand: `call("plan", "--format", "json", config={…}, state={…})`."""
    return Caller(tmp_path, capsys, caplog)
