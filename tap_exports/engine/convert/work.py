"""The work on one file: download, decode, type, write parts. Plain values in, plain values out; knows no Singer.

A task and its result hold JSON values only, so that an external engine can run it; the signed URL is the only secret in
a task. Errors are values in the result. docs/decisions/0008-executor.md shows both dicts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tap_exports.engine import decode
from tap_exports.engine.clock import SystemClock
from tap_exports.engine.convert.task import NOWHERE, Host, Result, Task, column_of, reject_values, values_of
from tap_exports.engine.download import download
from tap_exports.engine.http import HttpSettings, Transport
from tap_exports.engine.model import ROW, Column, Contract, LocalFile, NewColumns, Reject, RemoteFile, Rows
from tap_exports.engine.place import Places
from tap_exports.engine.publish.columns import to_batch
from tap_exports.engine.publish.form import Part, PartForm, part_name
from tap_exports.engine.publish.jsonl import JsonLinesPart
from tap_exports.engine.publish.lines import record_lines
from tap_exports.engine.publish.storage import Storage
from tap_exports.engine.read.ahead import ahead
from tap_exports.engine.spool import Spool
from tap_exports.errors import RejectLimitError, RunEndingError, StopError, TapError, UrlExpiredError

if TYPE_CHECKING:
    from collections.abc import Generator


def do_work(task: Task) -> Result:
    """Do the work on one file without a host, as an external executor does; see `work`."""
    return work(task, NOWHERE)


def work(task: Task, host: Host) -> Result:
    """Download a file, decode it and write its rows to parts in the storage.

    Args:
        task: What to do; JSON values.
        host: Services of the tap's own process; `NOWHERE` on an external executor.

    Returns:
        JSON values: `parts` (`stream`, `url`, `rows`, and `size` and `digest` as the storage shows them), published and
        in order; `rows`, the number decoded; `skipped`, the rows before them that STATE covers; `rejects`;
        `new_columns`, set if the work stopped at rows with unknown columns: submit a task that knows them for the rest;
        `last_row`, the ordinal up to which every row is in `parts` or `rejects`; `bytes`, `sha256`, `etag` and `summed`
        of the file, and `is_whole`, whether its end is proven; `error`, None or `kind` and `message`, with `file`,
        `row` and `column` where a reject caused it; `advice`, the end of a message that proposes a `csv` block, set if
        there are rejects.
    """
    result: Result = {"parts": [], "rejects": [], "new_columns": [], "last_row": task["layout"]["skip_rows"]}
    result |= {"rows": 0, "skipped": 0, "bytes": 0, "sha256": None, "etag": None, "summed": False, "is_whole": True}
    result |= {"error": None, "advice": None}
    try:
        parts = _Parts(task, host, result)
        with _downloaded(task, host) as (file, spool):
            result |= {"bytes": file.size, "sha256": file.sha256, "etag": file.etag}
            result |= {"summed": file.summed, "is_whole": file.is_whole}
            task = _behind(task, file, result)
            with closing(Places(lambda: spool.path("digests"))) as places:
                _convert(file, task, parts, places if task["places"] else None)
    except TapError as error:
        where = error.where if isinstance(error, _TooManyRejectsError) else {}
        kind = next(c.__name__ for c in type(error).__mro__ if not c.__name__.startswith("_"))
        result["error"] = {"kind": kind, "message": error.message, **where}
    return result


class _TooManyRejectsError(RejectLimitError):
    """More rows were rejected than `rejects_max_count` allows."""

    def __init__(self, reject: Reject, advice: str) -> None:
        super().__init__(f"file {reject.file}, row {reject.row}: {reject.message}{advice}")
        self.where = {"file": reject.file, "row": reject.row, "column": reject.column}


@contextmanager
def _downloaded(task: Task, host: Host) -> Iterator[tuple[LocalFile, Spool]]:
    """Download the file into a spool of its own, which is removed at exit."""
    settings, remote = HttpSettings(**task["http"]), RemoteFile(**task["file"])
    transport = Transport(settings)
    try:
        spool = Spool(task["spool"]["folder"], task["spool"]["max_mb"])
        try:
            renew = host.renew or (lambda: _expired(remote))
            yield download(remote, renew, transport, spool, settings, host.clock or SystemClock()), spool
        finally:
            spool.close()
    finally:
        transport.close()


def _expired(remote: RemoteFile) -> RemoteFile:
    msg = f"{remote.name}: its signed URL is refused"
    raise UrlExpiredError(msg)


def _behind(task: Task, file: LocalFile, result: Result) -> Task:
    """Return the task for the rows behind those that STATE covers, if the file is the one that they were read from."""
    noted = task["noted"] or {}
    if noted.get("sha256") != file.sha256:
        return task
    result["skipped"] = result["last_row"] = int(noted.get("rows", 0))
    return {**task, "layout": {**task["layout"], "skip_rows": result["skipped"]}}


def _layout(values: Mapping[str, Any]) -> decode.Layout:
    columns = [column_of(each) for each in values["columns"]]
    sets = {name: frozenset(values[name]) for name in ("deselected", "instants", "optional", "recognised", "expected")}
    known = {"columns": {c.name: c for c in columns}, "contract": Contract(values["contract"]), **sets}
    known |= {"csv": decode.CsvDialect.of(values["csv"]), "keys": tuple(values["keys"])}
    return decode.Layout(**{**values, **known})


def _convert(file: LocalFile, task: Task, parts: _Parts, places: Places | None) -> None:
    """Write the rows up to the end of the file or to the first rows with new columns.

    Rows before an error are published, as RECORD messages would have been; if the run is ending, open parts are
    discarded.
    """
    layout, form = _layout(task["layout"]), task["file"]["format"]
    try:
        new = decode.unknown(file, form, layout) if task["samples"] else []
        if new:
            parts.stop_at(new)
            return
        with closing(parts.pieces(_read_once(file, form, layout, parts, places))) as pieces:
            parts.write(pieces)
        parts.close()
    except RunEndingError:
        raise
    except TapError:
        parts.close()
        raise
    finally:
        parts.discard()


def _read_once(
    file: LocalFile, form: str, layout: decode.Layout, parts: _Parts, places: Places | None
) -> Generator[decode.Decoded, None, None]:
    """Yield the decoded file; remove it from the spool once it is decoded, before its last rows are written."""
    for item in decode.read(file, form, layout, places):
        if isinstance(item, Reject):
            parts.advise(lambda: decode.advice(file, form, layout))
        yield item
    file.path.unlink(missing_ok=True)


class _Parts:
    """Writes the parts of one file: one is open, the one before it may still be finishing."""

    def __init__(self, task: Task, host: Host, result: Result) -> None:
        """Open the storage."""
        self._task, self._host, self._result = task, host, result
        columns = [column_of(each) for each in task["columns"]]
        self._form = PartForm(task["encoding"]["format"], task["encoding"]["compression"], columns)
        place = task["storage"]
        self._storage = Storage(place["root"], place["prefix"], {**place["options"], **host.options})
        self._names = frozenset(task["names"])
        self._part: Part | None = None
        self._ending: Part | None = None

    def pieces(self, decoded: Generator[decode.Decoded, None, None]) -> Generator[decode.Decoded, None, None]:
        """Yield the decoded file with its rows cut into pieces, each of which goes to one part.

        A thread decodes the next piece meanwhile, unless parts encode in threads of their own.
        """
        pieces = self._pieces(decoded)
        return pieces if self._form.has_thread else ahead(pieces)

    def _pieces(self, decoded: Generator[decode.Decoded, None, None]) -> Generator[decode.Decoded, None, None]:
        written = 0
        with closing(decoded):
            for item in decoded:
                if not isinstance(item, Rows):
                    yield item
                    continue
                for piece in self._cut(item.data, written):
                    yield Rows(piece, {**self._task["constants"], **item.constants})
                    written += len(piece)

    def _cut(self, data: Any, written: int) -> Iterator[Any]:  # noqa: ANN401 - a batch, or a list of records
        """Yield rows in pieces that end where a part is full; `written` rows came before."""
        start, most = 0, self._task["part"]["rows"]
        end = most - written % most
        while start < len(data):
            yield data[start:end]
            start, end = end, end + most

    def write(self, items: Iterator[decode.Decoded]) -> None:
        """Write the decoded items, up to their end or to new columns."""
        for item in items:
            if self._host.ended():
                raise RunEndingError("the run is ending")
            if isinstance(item, NewColumns):
                self.stop_at(item.columns)
                return
            if isinstance(item, Reject):
                self._reject(item)
            else:
                self._add(item)

    def stop_at(self, columns: Sequence[Column]) -> None:
        """Publish what is open and return the new columns in the result; another task converts the rest."""
        self.close()
        self._result["new_columns"] = [values_of(column) for column in columns]

    def advise(self, advice: Callable[[], str]) -> None:
        """Note what would read a file with rejects, once: the file is removed before its last rows are written."""
        if self._result["advice"] is None:
            self._result["advice"] = advice()

    def _reject(self, reject: Reject) -> None:
        self._result["rejects"].append(reject_values(reject))
        self._result["last_row"] = max(self._result["last_row"], reject.row)
        if len(self._result["rejects"]) > self._task["rejects_max_count"]:
            raise _TooManyRejectsError(reject, self._result["advice"] or "")

    def _add(self, rows: Rows) -> None:
        self._result["rows"] += len(rows)
        with self._unharmed() as part:
            if isinstance(part, JsonLinesPart):
                part.add(record_lines(rows, self._names), len(rows))
            else:
                part.add(to_batch(rows, self._form.columns, self._task["part"]["stream"]))
        if self._part and self._part.rows == self._task["part"]["rows"]:
            self._finish()
        self._result["last_row"] = max(self._result["last_row"], _last(rows))

    @contextmanager
    def _unharmed(self) -> Iterator[Part]:
        """Yield the part to write to; discard it if the write fails."""
        part, self._part = self._open(), None
        try:
            yield part
        except BaseException:
            part.discard()
            raise
        self._part = part

    def _open(self) -> Part:
        if self._part:
            return self._part
        place = self._task["part"]
        number = place["first"] + len(self._result["parts"]) + (self._ending is not None)
        return self._form.begin(self._storage, part_name(place["stream"], place["scope"], number))

    def _finish(self) -> None:
        """Begin finishing the open part, so that the next one can be opened; publish the one before it first."""
        self._publish()
        if self._part:
            self._part.finish()
        self._part, self._ending = None, self._part

    def _publish(self) -> None:
        """Publish the part that is finishing; if that fails, discard the open part too."""
        if self._ending:
            try:
                url = self._ending.publish()
            except BaseException:
                self.discard()
                raise
            rows, self._ending = self._ending.rows, None
            if (seen := self._storage.look(url)) is None:
                raise StopError(f"batch_config.storage: {url} was written, and is not there")
            part = {"stream": self._task["part"]["stream"], "url": url, "rows": rows}
            self._result["parts"].append({**part, **asdict(seen)})

    def close(self) -> None:
        """Finish and publish all parts."""
        self._finish()
        self._publish()

    def discard(self) -> None:
        """Remove the unpublished parts; raises nothing."""
        for part in (self._ending, self._part):
            if part:
                part.discard()
        self._ending = self._part = None


def _last(rows: Rows) -> int:
    if isinstance(rows.data, pa.RecordBatch):
        return int(rows.data.column(ROW)[-1].as_py())
    return int(rows.data[-1][ROW])
