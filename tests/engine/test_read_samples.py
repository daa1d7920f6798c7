"""Columns from a sample: looked for among completed jobs, and not for ever."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from tap_exports.engine.decode import Layout
from tap_exports.engine.model import Column, Job, Kind, LocalFile, RemoteFile, Status
from tap_exports.engine.read.files import FileReader
from tap_exports.engine.read.samples import sample_columns
from tap_exports.errors import AuthError, RefusedError, RunEndingError, StopError, TapError, TryAgainError


@dataclass
class Source:
    """Jobs of one CSV file each, the first of which cannot be downloaded; stands for api and reader."""

    folder: Path
    refused: int
    asked: list[str] = field(default_factory=list)

    @property
    def api(self) -> Source:
        return self

    def open(self, job: Job) -> list[RemoteFile]:
        self.asked.append(job.id)
        return [RemoteFile("export.csv", "https://files.example/x", "csv")]

    def download(self, remote: RemoteFile, renew: object) -> LocalFile:
        if len(self.asked) <= self.refused:
            raise StopError("the URL answered 403")
        path = self.folder / remote.name
        path.write_bytes(b"a\n1\n")
        return LocalFile(remote.name, path, 4, "")


@pytest.mark.parametrize(("refused", "asked", "found"), [(0, 1, True), (1, 2, True), (2, 2, False), (9, 2, False)])
def test_the_search_ends(tmp_path: Path, refused: int, asked: int, found: bool) -> None:  # noqa: FBT001 - a case
    """One bad file is passed over; after the second one the columns come with the first file that is read."""
    source = Source(tmp_path, refused)
    jobs = [Job(str(number), Status.COMPLETED, "done") for number in range(5)]
    columns: Any = sample_columns(cast("FileReader", source), jobs, Layout())
    assert columns == ({"a": Column("a", Kind.INTEGER)} if found else {})
    assert len(source.asked) == asked
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [AuthError("no", 403), TryAgainError("down"), RefusedError("no", 400)])
def test_a_list_that_fails_gives_no_sample(tmp_path: Path, error: TapError) -> None:
    """What is optional stops no data; a job that was listed before is sampled."""

    def jobs(*ids: str) -> Iterator[Job]:
        yield from (Job(name, Status.COMPLETED, "done") for name in ids)
        raise error

    source = cast("FileReader", Source(tmp_path, 0))
    assert sample_columns(source, jobs(), Layout()) == {}
    assert sample_columns(source, jobs("j1"), Layout()) == {"a": Column("a", Kind.INTEGER)}


@pytest.mark.parametrize("error", [AuthError("no", 401), RunEndingError("ending")])
def test_a_key_that_is_refused_ends_the_search(tmp_path: Path, error: TapError) -> None:
    """Nothing can be done with it, so the export cannot be discovered."""

    def jobs() -> Iterator[Job]:
        raise error
        yield

    with pytest.raises(type(error)):
        sample_columns(cast("FileReader", Source(tmp_path, 0)), jobs(), Layout())
