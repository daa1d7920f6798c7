"""docs/providers.md: the names that it calls stable are there, and suffice for the example."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "providers.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(tap_exports\.[\w.]+)` \| (.*) \|$", PAGE.partition("## What is stable")[2], re.MULTILINE)
STABLE = {module: re.findall(r"`(\w+)`", names) for module, names in ROWS}
EXAMPLE = ROOT / "docs" / "examples" / "provider"


@pytest.mark.parametrize("module", STABLE)
def test_stable_names_are_there(module: str) -> None:
    """Whoever removes or renames one finds it here first."""
    assert [name for name in STABLE[module] if not hasattr(import_module(module), name)] == []


def test_the_example_needs_no_other_names() -> None:
    """What its modules import of the tap is stable."""
    used = {
        (node.module, alias.name)
        for path in (EXAMPLE / "tap_exports_mandrill").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "tap_exports"
        for alias in node.names
    }
    flat = {(module, name) for module, names in STABLE.items() for name in names}
    flat.add(("tap_exports.singer", "typing"))
    assert used - flat == set()
    assert len(used) > 20


def test_the_registration_is_that_of_the_example() -> None:
    """The page shows the lines of its `pyproject.toml`."""
    shown = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert shown is not None
    assert shown[1] in (EXAMPLE / "pyproject.toml").read_text(encoding="utf-8")
