"""Set-up from pins against an index that has moved on: nothing newer gets in, with any pip that users have."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.setup.index import serve
from tests.setup.pins import Pin, read, written
from tests.setup.tree import PINS_FILES, PROJECT, ROOT, Tree, inside, installed

OWN = "its own"
"""The pip that `python -m venv` brings."""
# By pins file below pips/: the last Python that brings this pip, and must set up with it.
LAST_PYTHON = {OWN: None, "23.0.1": (3, 11), "23.2.1": (3, 12), "24.0": (3, 12), "newest": None}
PIPS = [name for name, last in LAST_PYTHON.items() if last is None or sys.version_info[:2] <= last]
# These take a requirement with an extra for another one than the pin without it.
CONFUSED = [name for name in PIPS if name.startswith("23.")]
OLDEST = PIPS[1]
AS_IT_IS = ("--no-deps", "--require-hashes", "--only-binary", ":all:")
DEV = "requirements/dev.txt"
FEW = [
    Pin("colorama", "0.4.6", "sys_platform == 'win32'", ("pytest",)),
    Pin("coverage", "7.16.2", "python_full_version < '3.11'", ("pytest-cov", PROJECT)),
    Pin("coverage", "7.17.3", "python_full_version >= '3.11'", ("pytest-cov", PROJECT)),
    Pin("hatchling", "1.31.0", "", (PROJECT,)),
    Pin("pytest", "9.1.2", "", ("pytest-cov", PROJECT)),
    Pin("pytest-cov", "7.1.0", "", (PROJECT,)),
]
Pips = Callable[[str], Path]


@pytest.fixture
def few(tmp_path: Path) -> Tree:
    """Return a checkout with a handful of pins."""
    return Tree.make(tmp_path, {DEV: FEW})


@pytest.mark.parametrize("name", PIPS)
def test_setup_installs_the_pins_and_nothing_newer(few: Tree, pip: Pips, name: str) -> None:
    """`make setup` gives what the pins say with every pip, whatever else the index serves."""
    chosen = None if name == OWN else pip(name)
    with serve(few.wheels()) as index:
        done = few.run("make", "setup", f"SYSTEM_PYTHON={sys.executable}", "VENV=.venv", url=index.url, pip=chosen)
    assert done.returncode == 0, done.stderr
    assert installed(few.root / ".venv" / "bin" / "python") == few.expected(DEV)
    assert index.fetched == few.files(DEV)
    if chosen:
        assert index.agents == {agent(chosen)}


def test_setup_stops_where_a_pin_is_missing(few: Tree) -> None:
    """What is not resolved is checked: a requirement that no pin covers is named, and the next call tries again."""
    held = {pin: wheel for pin, wheel in few.stand_ins[DEV].items() if pin.name != "pytest"}
    (few.root / DEV).write_text(written(held), encoding="utf-8")
    with serve(few.wheels()) as index:
        done = few.run("make", "setup", f"SYSTEM_PYTHON={sys.executable}", "VENV=.venv", url=index.url)
    assert done.returncode != 0
    assert "pytest-cov 7.1.0 requires pytest, which is not installed" in done.stdout + done.stderr
    assert not (few.root / ".venv" / ".installed").exists()


@pytest.mark.parametrize("name", PINS_FILES)
def test_every_pins_file_installs_as_it_is(tmp_path: Path, pip: Pips, name: str) -> None:
    """The repository's own names, versions and markers pass with the oldest pip, each requirement with an extra."""
    made = Tree.make(tmp_path, {name: read(ROOT / name)})
    command = (sys.executable, "-m", "pip", "install", *AS_IT_IS, "--target", str(tmp_path / "target"), "-r", name)
    with serve(made.wheels()) as index:
        done = made.run(*command, url=index.url, pip=pip(OLDEST))
    assert done.returncode == 0, done.stderr
    assert inside(tmp_path / "target") == made.expected(name) != {}
    assert index.fetched == made.files(name)


@pytest.mark.parametrize("name", CONFUSED)
def test_resolving_the_pins_looks_for_newer_releases(few: Tree, pip: Pips, name: str) -> None:
    """The same index stops an old pip that resolves what the pins require: the test above can fail."""
    done = dry_run(few, pip(name), "--require-hashes", "-r", DEV)
    assert "all requirements must have their versions pinned with ==" in done.stderr
    assert re.search(r"\[made\]>=.+-99\.0-py3-none-any\.whl", done.stderr)


@pytest.mark.parametrize("name", [name for name in PIPS if name != OWN])
def test_index_offers_the_newest_final_release(few: Tree, pip: Pips, name: str) -> None:
    """Without pins, any pip takes the newest release: neither a pre-release nor a yanked one."""
    done = dry_run(few, pip(name), "--no-deps", "coverage")
    assert done.stdout.splitlines()[-1] == "Would install coverage-99.0"


def agent(pip: Path) -> str:
    """Return how the pip of a folder names itself in requests."""
    return pip.name.replace("==", "/")


def dry_run(tree: Tree, pip: Path, *arguments: str) -> CompletedProcess[str]:
    """Ask pip what it would install, with resolution on."""
    command = (sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", *arguments)
    with serve(tree.wheels()) as index:
        done = tree.run(*command, url=index.url, pip=pip)
    assert index.agents == {agent(pip)}
    return done
