"""tools/environment.py: pins as they are, through uv or pip, or a clear failure."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.setup.index import serve
from tests.setup.pins import Pin, written
from tests.setup.tree import PROJECT, ROOT, Tree, environment, installed
from tests.setup.wheels import Wheel
from tools.environment import pip_settings, uv_settings

NAME = "requirements/dev.txt"
PINS = [
    Pin("coverage", "7.17.3", "python_full_version >= '3.10'", ("pytest-cov",)),
    Pin("pytest-cov", "7.1.0", "", (PROJECT,)),
    Pin("tomli", "2.5.0", "python_full_version < '3.10'", ("pytest-cov",)),
]
UV = pytest.param("uv", marks=pytest.mark.skipif(not shutil.which("uv"), reason="uv is not on PATH"))
BROKEN_UV = """#!/bin/sh
echo "error: no index" >&2
echo "  is reached" >&2
exit 2
"""


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Return a checkout with three pins."""
    return Tree.make(tmp_path, {NAME: PINS})


def make(
    tree: Tree, *options: str, url: str = "", path: str | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run the script on a machine where only pip is configured for an index."""
    command = [sys.executable, "tools/environment.py", "--without-pip", *options, "made", NAME]
    made = {**environment(tree.root, url, None), "PATH": path or os.environ["PATH"], **env}
    made.pop("UV_DEFAULT_INDEX")
    return subprocess.run(command, cwd=tree.root, env=made, check=False, capture_output=True, text=True, timeout=100)


def python(tree: Tree) -> Path:
    """Return the interpreter of the environment."""
    return tree.root / "made" / "bin" / "python"


def lacking(tree: Tree, name: str) -> None:
    """Take a pin out of the pins file."""
    kept = {pin: wheel for pin, wheel in tree.stand_ins[NAME].items() if pin.name != name}
    (tree.root / NAME).write_text(written(kept), encoding="utf-8")


@pytest.mark.parametrize("installer", [UV, "pip"])
def test_index_of_pip_gives_the_pins_and_nothing_newer(tree: Tree, installer: str) -> None:
    """Both installers take exactly the pinned files, from where pip is configured to look."""
    with serve(tree.wheels()) as index:
        done = make(tree, "--installer", installer, url=index.url)
    assert done.returncode == 0, done.stderr
    assert installed(python(tree)) == tree.expected(NAME) == {"coverage": "7.17.3", "pytest-cov": "7.1.0"}
    assert index.fetched == tree.files(NAME)
    assert {agent.split("/")[0] for agent in index.agents} == {installer}


@pytest.mark.parametrize("installer", [UV, "pip"])
def test_pins_that_do_not_fit_together_fail_by_name(tree: Tree, installer: str) -> None:
    """Nothing is resolved, so what is missing is told."""
    lacking(tree, "coverage")
    with serve(tree.wheels()) as index:
        done = make(tree, "--installer", installer, url=index.url)
    assert done.returncode == 1
    assert f"what {NAME} pins does not fit together" in done.stderr
    assert "coverage" in done.stderr.partition("together")[2]


@pytest.mark.parametrize("installer", [UV, "pip"])
def test_other_bytes_than_the_pinned_ones_are_refused(tree: Tree, installer: str) -> None:
    """A wheel of the right name and version but with another hash is not installed."""
    with serve(Wheel(pin.name, pin.version, files=(("other.py", ""),)) for pin in PINS) as index:
        done = make(tree, "--installer", installer, url=index.url)
    assert done.returncode == 1
    assert "hash" in done.stderr.lower()
    assert installed(python(tree)) == {}


@pytest.mark.parametrize("installer", [UV, "pip"])
def test_pins_without_hashes_are_refused(tree: Tree, installer: str) -> None:
    """A version alone does not say which bytes are meant."""
    names = [f"{pin.name}=={pin.version}{pin.condition}" for pin in PINS]
    (tree.root / NAME).write_text("\n".join(names), encoding="utf-8")
    with serve(tree.wheels()) as index:
        done = make(tree, "--installer", installer, url=index.url)
    assert done.returncode == 1
    assert "hash" in done.stderr.lower()
    assert installed(python(tree)) == {}


def test_pip_installs_where_uv_fails_and_one_line_says_why(tree: Tree) -> None:
    """A uv that does not reach the registry stops nothing."""
    with serve(tree.wheels()) as index:
        done = make(tree, "--installer", "auto", url=index.url, path=with_broken_uv(tree.root))
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if "uv" in line] == [
        f"uv cannot install {NAME}: no index is reached"
    ]
    assert installed(python(tree)) == tree.expected(NAME)


def test_uv_that_is_asked_for_is_not_replaced(tree: Tree) -> None:
    """`--installer uv` fails where uv does, and pip is never called."""
    with serve(tree.wheels()) as index:
        done = make(tree, "--installer", "uv", url=index.url, path=with_broken_uv(tree.root))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"environment.py: uv cannot install {NAME}"
    assert index.fetched == set()


def test_variable_chooses_and_its_other_values_are_named(tree: Tree) -> None:
    """INSTALLER stands for the option; a value that is none is an error."""
    done = make(tree, INSTALLER="conda")
    assert done.returncode == 1
    assert done.stderr == "environment.py: $INSTALLER is 'conda', not one of auto, uv, pip\n"


@pytest.mark.parametrize("installer", [UV, "pip"])
def test_rebuilt_wheel_of_the_same_version_replaces_the_older(tree: Tree, installer: str) -> None:
    """`--add --wheel` keeps what is there and takes the wheel's new contents."""
    texts = []
    with serve(tree.wheels()) as index:
        for number, options in enumerate(((), ("--add",))):
            wheel = Wheel(PROJECT, "0.1.0", files=(("built.py", str(number)),))
            (tree.root / wheel.filename).write_bytes(wheel.content)
            done = make(tree, "--installer", installer, *options, "--wheel", wheel.filename, url=index.url)
            assert done.returncode == 0, done.stderr
            texts += [path.read_text() for path in (tree.root / "made").rglob("built.py")]
    assert texts == ["0", "1"]
    assert installed(python(tree)) == tree.expected(NAME)


@pytest.mark.parametrize("given", [False, True])
def test_settings_of_pip_are_read_as_pip_reads_them(tmp_path: Path, pip: Callable[[str], Path], *, given: bool) -> None:
    """Without pip: a variable wins over files, later files over earlier ones, and `install` over `global`."""
    env = {
        **environment(tmp_path, "http://variable", pip("newest")),
        "PIP_CONFIG_FILE": str(tmp_path / ("given.conf" if given else "absent.conf")),
        "XDG_CONFIG_DIRS": str(tmp_path / "machine"),
    }
    del env["PIP_RETRIES"]
    for place, text in CONFIGURED.items():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pip", "config", "list"]
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True, timeout=60)
    found = pip_settings(env)
    assert {name: found[name] for name in EXPECTED[given]} == EXPECTED[given]
    said = {line.split(".", 1)[-1] for line in done.stdout.splitlines()}
    assert {f"{name}='{value}'" for name, value in EXPECTED[given].items()} <= said


CONFIGURED = {
    "machine/pip/pip.conf": "[global]\nfind-links = /machine\nproxy = machine\nretries = 5",
    ".config/pip/pip.conf": "[global]\nindex-url = http://user\nretries = 6\n[install]\nfind_links = /install",
    "given.conf": "[install]\nfind-links = /install\n[global]\nfind-links = /given\nretries = 7",
}
EXPECTED = {
    False: {"index-url": "http://variable", "find-links": "/install", "proxy": "machine", "retries": "6"},
    True: {"index-url": "http://variable", "find-links": "/install", "proxy": "machine", "retries": "7"},
}


def test_uv_is_told_what_pip_knows_unless_it_is_told_otherwise() -> None:
    """Lists keep all of their members, in the form that uv reads; a variable of uv's own stays."""
    known = {"index-url": "http://a", "extra-index-url": "http://b\nhttp://c", "find-links": "/d\n/e", "timeout": "9"}
    assert uv_settings(known, {"UV_DEFAULT_INDEX": "http://z"}) == {
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_INDEX": "http://b http://c",
        "UV_FIND_LINKS": "/d,/e",
    }
    assert uv_settings({"timeout": "9"}, {}) == {}


def with_broken_uv(home: Path) -> str:
    """Return a PATH whose uv fails."""
    (home / "bin").mkdir()
    (home / "bin" / "uv").write_text(BROKEN_UV, encoding="utf-8")
    (home / "bin" / "uv").chmod(0o755)
    return f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}"


def test_script_needs_no_package() -> None:
    """It runs on a bare interpreter: no package of the environment that it makes is there yet."""
    done = subprocess.run(
        [sys.executable, "-S", "-I", ROOT / "tools" / "environment.py", "--help"], check=False, timeout=60
    )
    assert done.returncode == 0
