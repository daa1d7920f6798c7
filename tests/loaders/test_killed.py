"""A run under Meltano that is killed with its loader; `make killed` tells all such stories."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tools.demo.environments import ROOT, Environments
from tools.demo.project import Project
from tools.killed.__main__ import READ, Stage, Story
from tools.killed.loaders import LOADERS
from tools.loader_proof.postgres import server

POSTGRES = next(loader for loader in LOADERS if loader.name == "target-postgres")
TAP = Path(sys.executable).parent


@pytest.mark.timeout(900)
def test_a_process_group_that_is_killed_makes_no_job_twice(tmp_path: Path) -> None:
    """The loader has kept neither rows nor STATE; the next run reads the same jobs, and all rows land."""
    environments = Environments(ROOT / ".demo")
    environments.install("meltano", POSTGRES.name)
    project = Project(environments, TAP, "killed-test")
    project.define(POSTGRES.name)
    story = Story("exelensia", POSTGRES, "meltano", signal.SIGKILL, READ)
    with server() as url:
        assert Stage(environments, project, url, tmp_path).play(story, tmp_path, 0) == []
