"""`make demo` before its environments are there, and what they are made from."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.setup.pins import read
from tools.demo.definition import write
from tools.demo.environments import PINS, ROOT, Stamp
from tools.demo.processes import Call, FailedError, run

DEFINITION = ROOT / "meltano.yml"
LOADERS = ("target-postgres",)
PINNED = re.compile(r"([\w-]+)==([\w.]+)")


def test_demo_starts_on_a_bare_interpreter() -> None:
    """No package but the standard library is imported before there is an environment."""
    command = [sys.executable, "-S", "-c", "import tools.demo.__main__"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("loader", LOADERS)
def test_pins_hold_what_meltano_installs(loader: str) -> None:
    """The demonstration's loader is the one that meltano.yml names: same versions, all of them."""
    loaders = yaml.safe_load(DEFINITION.read_text(encoding="utf-8"))["plugins"]["loaders"]
    named = set(PINNED.findall(next(each["pip_url"] for each in loaders if each["name"] == loader)))
    assert named
    assert named <= {(pin.name, pin.version) for pin in read(PINS[loader])}


def test_definition_names_installed_programs_and_keeps_the_rest(tmp_path: Path) -> None:
    """Meltano installs nothing for a plugin that is a program; plugins that inherit from it take the program too."""
    write(DEFINITION, tmp_path / "meltano.yml", {"tap-exports": "/tap", "target-exports": "/loader"})
    before, after = (
        {
            each["name"]: each
            for kind in yaml.safe_load(path.read_text(encoding="utf-8"))["plugins"].values()
            for each in kind
        }
        for path in (DEFINITION, tmp_path / "meltano.yml")
    )
    changed = {name: each for name, each in after.items() if each != before[name]}
    assert {name: (each["executable"], each.get("pip_url")) for name, each in changed.items()} == {
        "tap-exports": ("/tap", None),
        "target-exports": ("/loader", None),
    }


def test_first_failure_ends_the_other_installations(tmp_path: Path) -> None:
    """An installation that cannot succeed any more is not waited for, and leaves no process."""
    began = time.monotonic()
    calls = [Call((sys.executable, "-c", text), tmp_path / f"{n}.log", {}) for n, text in enumerate(("1/0", SLEEP))]
    with pytest.raises(FailedError, match="ZeroDivisionError"):
        run(*calls)
    assert time.monotonic() - began < 30


SLEEP = "import time; time.sleep(60)"


def test_stamp_holds_until_what_it_was_made_from_changes(tmp_path: Path) -> None:
    """An environment is made once for the same pins, and again after an interruption."""
    stamp, other = Stamp("tap", tmp_path, "a"), Stamp("tap", tmp_path, "b")
    due = [stamp.is_due()]
    stamp.set()
    due += [stamp.is_due(), other.is_due(), other.is_due(), stamp.is_due()]
    assert due == [True, False, True, True, True]
