"""Inputs that fuzzing found, and the ones it began with: each ends in rows or in a clear error."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.fuzz.__main__ import NAMES
from tools.fuzz.targets import TARGETS

CORPUS = Path(__file__).parents[1] / "fuzz_corpus"
INPUTS = sorted(path for path in CORPUS.glob("*/*") if path.is_file())


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_input(path: Path) -> None:
    """No reader breaks its promise on any input that is kept."""
    TARGETS[path.parent.name](path.read_bytes())


def test_every_reader_has_inputs() -> None:
    """The kept inputs cover what is fuzzed, and nothing that is not."""
    assert {path.parent.name for path in INPUTS} == set(TARGETS) == set(NAMES)
