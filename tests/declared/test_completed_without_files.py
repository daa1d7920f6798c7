"""A completed job has to say where its rows are: a success without them proves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.declared.test_shipped import config, landed, sandbox, truth
from tests.tap.harness import tap


@pytest.mark.parametrize("body", ["empty", "text", "html"])
def test_a_status_of_success_alone_completes_no_job(tmp_path: Path, body: str) -> None:
    """Where the HTTP status is the job's, a completed one is asked again until its reply tells of files."""
    polls = {"origin": "api", "method": "GET", "nth": 1}
    with sandbox("snowflake", faults={"faults": [{"match": polls, "action": {"status": 200, "body": body}}]}) as box:
        assert landed(tap(tmp_path, config(box, "snowflake")).succeeded()) == truth(box, "snowflake")


def test_a_job_that_counts_no_files_has_not_none(tmp_path: Path) -> None:
    """An object without the count of its files stops the stream by name; the bookmark stays."""
    polls = {"origin": "api", "method": "GET", "times": 99}
    with sandbox("snowflake", faults={"faults": [{"match": polls, "action": {"nothing": "data"}}]}) as box:
        ran = tap(tmp_path, config(box, "snowflake"))
        assert (ran.code, landed(ran)) == (1, [])
        assert 'shows no files at "resultSetMetaData.partitionInfo"' in ran.stderr
        box.set_faults({})
        assert landed(ran, tap(tmp_path, config(box, "snowflake"), state=ran.states[-1])) == truth(box, "snowflake")


@pytest.mark.parametrize("name", ["packagex_declared", "iterable", "stripe"])
def test_a_replica_that_lags_does_not_say_that_there_are_no_rows(tmp_path: Path, name: str) -> None:
    """Every second look is answered by one that shows the job as it was a second ago, without a file."""
    lagging = {"provider": name, "lag_seconds": 1, "replicas": 2}
    with sandbox(name, faults={"jobs": [lagging]}) as box:
        assert landed(tap(tmp_path, config(box, name)).succeeded()) == truth(box, name)
