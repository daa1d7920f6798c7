"""An API that answers from a script, and what drives a run and writes down its events."""

from __future__ import annotations

import copy
import hashlib
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tap_exports.engine.clock import from_text
from tap_exports.engine.decode import Layout
from tap_exports.engine.jobs import Change, JobSettings, Journal, Lifecycle
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import (
    Checkpoint,
    Column,
    Event,
    Job,
    Kind,
    LocalFile,
    NewColumns,
    Proven,
    Receipt,
    Rejected,
    RemoteFile,
    Request,
    Row,
    Rows,
    Status,
    Window,
)
from tap_exports.engine.read.files import FileReader
from tap_exports.engine.read.tally import Limits
from tests.engine.fakes import FakeClock

T = TypeVar("T")
Log = list[tuple[Any, ...]]
NOW = datetime(2026, 7, 3, 0, 1, tzinfo=timezone.utc)
COLUMNS = {"a": Column("a", Kind.STRING)}


def at(text: str) -> datetime:
    return from_text(text)


def window(start: str | None, end: str) -> Window:
    return Window(at(start) if start else None, at(end))


def job(job_id: str = "j1", status: Status = Status.COMPLETED, **more: Any) -> Job:  # noqa: ANN401 - of `Job`
    return Job(job_id, status, **{"raw_status": status.value, **more})


def answer(script: list[T | Exception]) -> T:
    """Return the next answer of a script, the last one for ever; an error is raised."""
    given = script.pop(0) if len(script) > 1 else script[0]
    if isinstance(given, Exception):
        raise given
    return given


class ScriptedApi:
    """Creates, polls and opens; it cannot find a job whose creation got no reply.

    Attributes:
        submits: Answers to `submit`, whatever is asked for.
        polls: Answers to `poll` by job id; a job without any is completed.
        opens: Answers to `open` by job id; a job without any has the file `export.csv`.
        calls: What was asked, in order.
    """

    def __init__(
        self,
        submits: Sequence[Job | Exception] = (),
        polls: Mapping[str, Sequence[Job | Exception]] | None = None,
        opens: Mapping[str, Sequence[Sequence[RemoteFile] | Exception]] | None = None,
    ) -> None:
        self.calls: list[str] = []
        self.requests: list[Request] = []
        self._submits = list(submits)
        self._polls = {k: list(v) for k, v in (polls or {}).items()}
        self._opens = {k: list(v) for k, v in (opens or {}).items()}

    def submit(self, request: Request) -> Job:
        self.calls.append("submit")
        self.requests.append(request)
        return answer(self._submits)

    def poll(self, job: Job) -> Job:
        self.calls.append(f"poll {job.id}")
        return answer(self._polls.get(job.id, [Job(job.id, Status.COMPLETED, "completed")]))

    def open(self, job: Job) -> Sequence[RemoteFile]:
        self.calls.append(f"open {job.id}")
        return answer(self._opens.get(job.id, [[RemoteFile("export.csv", job.id)]]))


class FindingApi(ScriptedApi):
    """One that can also find and delete."""

    def __init__(self, *args: Any, finds: Sequence[Job | Exception | None] = (None,), **kwargs: Any) -> None:  # noqa: ANN401 - of `ScriptedApi`
        super().__init__(*args, **kwargs)
        self._finds = list(finds)
        self.since: list[datetime] = []

    def find(self, request: Request, since: datetime, closed: Collection[str] = ()) -> Job | None:
        self.calls.append("find")
        self.since.append(since)
        found = answer(self._finds)
        return None if found and found.id in closed else found

    def delete(self, job_id: str) -> None:
        self.calls.append(f"delete {job_id}")


class CollectingApi(ScriptedApi):
    """One that lists the jobs of others."""

    def __init__(self, jobs: Iterable[Job], **kwargs: Any) -> None:  # noqa: ANN401 - of `ScriptedApi`
        super().__init__(**kwargs)
        self.jobs = jobs
        self.windows: list[Window] = []

    def completed(self, request: Request, window: Window) -> Iterator[Job]:
        self.windows.append(window)
        return iter(self.jobs)


class Files:
    """What stands behind URLs: the URL of a file is a key of `contents`."""

    def __init__(self, folder: Path, contents: Mapping[str, bytes | Exception]) -> None:
        self.contents = dict(contents)
        self.downloads: list[str] = []
        self._folder = folder

    def download(self, remote: RemoteFile, again: Callable[[], RemoteFile]) -> LocalFile:
        self.downloads.append(remote.url)
        content = self.contents[remote.url]
        if isinstance(content, Exception):
            raise content
        path = self._folder / f"{len(self.downloads)}-{remote.url.replace('/', '_')}"
        path.write_bytes(content)
        return LocalFile(remote.name, path, len(content), sha256(content))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def layout(skip_rows: int = 0) -> Layout:
    return Layout(columns=COLUMNS, skip_rows=skip_rows)


def lifecycle(api: ScriptedApi, clock: FakeClock, **settings: Any) -> Lifecycle:  # noqa: ANN401 - of `JobSettings`
    """Return a lifecycle of one job at a time and one request at a time, so that calls come in one order."""
    single = {"max_concurrent_jobs": 1, "max_concurrent_requests": 1}
    return Lifecycle(api, Journal(), clock, JobSettings(**{**single, **settings}))


def reader(api: ScriptedApi, files: Files, clock: FakeClock, limits: Limits | None = None) -> FileReader:
    return FileReader(api, files.download, layout, limits or Limits(), clock)


class Run(Protocol):
    @property
    def state(self) -> StreamState: ...

    def start(self) -> None: ...

    def events(self) -> Iterator[Event]: ...


def play(run: Run, bookmark: dict[str, Any], proofs: list[bool] | None = None) -> tuple[Log, Exception | None]:
    """Run to the end; return what was to be written, STATE at each Checkpoint as a copy, and what stopped the run.

    Proofs of the whole run go to `proofs`.
    """
    log: Log = []
    proofs = [] if proofs is None else proofs
    try:
        run.start()
        for event in run.events():
            if isinstance(event, Proven):
                proofs.append(event.is_whole)
            else:
                log.append(shown(event, bookmark))
    except Exception as error:  # noqa: BLE001 - the tests compare it
        return log, error
    return log, None


def all_shown(events: Iterable[Event], bookmark: dict[str, Any]) -> Log:
    """Return what a reader yields to its proof, which comes last."""
    told = list(events)
    assert isinstance(told.pop(), Proven)
    return [shown(event, bookmark) for event in told]


def shown(event: Event, bookmark: dict[str, Any]) -> tuple[Any, ...]:
    if isinstance(event, Checkpoint):
        return "state", copy.deepcopy(bookmark)
    if isinstance(event, Rows):
        return "rows", rows_of(event)
    if isinstance(event, Rejected):
        return "reject", event.job_id, event.reject.row, event.reject.column
    if isinstance(event, NewColumns):
        return "columns", [column.name for column in event.columns]
    assert isinstance(event, Receipt)
    return "receipt", event.job_id, event.status, event.rows


def rows_of(rows: Rows) -> list[Row]:
    data = rows.data if isinstance(rows.data, list) else rows.data.to_pylist()
    return [{**row, **rows.constants} for row in data]


def values(log: Log) -> list[str]:
    """Return the column `a` of all rows, in order."""
    return [row["a"] for event in log if event[0] == "rows" for row in event[1]]


def states(log: Log) -> list[dict[str, Any]]:
    return [event[1] for event in log if event[0] == "state"]


def bookmarks(log: Log) -> list[Any]:
    """Return each value that the bookmark took, in order."""
    taken = [state.get("replication_key_value") for state in states(log)]
    return [value for before, value in zip([None, *taken], taken, strict=False) if value != before]


def receipts(log: Log) -> Log:
    return [event for event in log if event[0] == "receipt"]


def message(error: Exception | None) -> str:
    return f"{type(error).__name__}: {error}"


def handed(
    journal: Journal, make: Callable[[], object], retract: Callable[[], object] | None = None
) -> threading.Event:
    """Hand a change over, as a job does; return what is set once the job may go on."""
    written = threading.Event()
    journal.hand_over(Change(make, retract), written.set)
    return written


class Gate:
    """Lets a worker stop at a place until the test lets it go on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._open = threading.Event()

    def wait(self) -> None:
        self.reached.set()
        assert self._open.wait(10)

    def open(self) -> None:
        self._open.set()
