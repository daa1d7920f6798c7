"""`target-exports` that is killed keeps its last commit; the run after it ends with the truth.

`make killed` tries every message and every statement.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.loaders.killed import RUN, wrong

pytestmark = pytest.mark.process


@pytest.mark.parametrize("at", range(0, len(RUN) + 1, 17))
def test_killed_at_a_message(at: int, tmp_path: Path) -> None:
    """The file holds what the STATE in it covers and nothing else; the next run ends with the truth."""
    assert wrong(tmp_path, at) == []


@pytest.mark.parametrize("number", range(12, 102, 9))
def test_killed_before_a_statement(number: int, tmp_path: Path) -> None:
    """As before; no STATE was given out that the file does not keep."""
    assert wrong(tmp_path, dies_at=number) == []
