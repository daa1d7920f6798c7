"""Every command of the repository that installs from pins."""

from __future__ import annotations

import subprocess

from tests.setup.tree import ROOT

FOLDERS = ("Makefile", ".ci", ".github", "bench", "tools")


def test_no_command_resolves_what_pins_require() -> None:
    """A command that takes hashes takes pins as they are: what it would resolve, it would look for on another day."""
    command = ["git", "grep", "--untracked", "--line-number", "-e", "--require-hashes", "--", *FOLDERS]
    lines = subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60
    ).stdout.splitlines()
    assert [line for line in lines if "--no-deps" not in line] == []
