"""The work on one file: download, decode, type, write parts. Plain values in, plain values out; knows no Singer.

A task and its result hold JSON values only, so that an engine elsewhere can run it; the signed URL is the one secret in
a task. What goes wrong is a value too. docs/decisions/0008-executor.md shows both dicts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tap_exports.engine import decode
from tap_exports.engine.clock import SystemClock
from tap_exports.engine.download import download
from tap_exports.engine.http import HttpSettings, Transport
from tap_exports.engine.model import ROW, Column, Contract, LocalFile, NewColumns, Reject, RemoteFile, Rows
from tap_exports.engine.publish import JsonLinesPart, ParquetPart, Part, PartForm, Storage, part_name, to_batch
from tap_exports.engine.run.ahead import ahead
from tap_exports.engine.run.convert import NOWHERE, Host, Result, Task, column_of, reject_values, values_of
from tap_exports.engine.run.files import cut
from tap_exports.engine.spool import Spool
from tap_exports.errors import RejectLimitError, RunEndingError, TapError, UrlExpiredError
from tap_exports.singer.lines import record_lines

if TYPE_CHECKING:
    from collections.abc import Generator


def do_work(task: Task) -> Result:
    """Do the work on one file; see `work`."""
    return work(task, NOWHERE)


def work(task: Task, host: Host) -> Result:
    """Download a file, decode it and write its rows to parts in the storage.

    Args:
        task: What to do; JSON values.
        host: What a thread of the tap's own process has beside it.

    Returns:
        JSON values: `parts` (`stream`, `url`, `rows`), which are whole, in order; `rows` that were decoded; `rejects`;
        `new_columns`, where the rows behind those of `parts` hold some: the task has to come again with them;
        `last_row`, the ordinal up to which all is in `parts` and `rejects`; `bytes`, `sha256` and `etag` of the file;
        `error`, None or `kind`, `message` and of a reject `file`, `row` and `column`.
    """
    result: Result = {"parts": [], "rejects": [], "new_columns": [], "last_row": task["layout"]["skip_rows"]}
    result |= {"rows": 0, "bytes": 0, "sha256": None, "etag": None, "error": None}
    try:
        parts = _Parts(task, host, result)
        with _downloaded(task, host) as file:
            result |= {"bytes": file.size, "sha256": file.sha256, "etag": file.etag}
            _convert(file, task, parts)
    except TapError as error:
        where = error.where if isinstance(error, _TooManyRejectsError) else {}
        kind = next(c.__name__ for c in type(error).__mro__ if not c.__name__.startswith("_"))
        result["error"] = {"kind": kind, "message": error.message, **where}
    return result


class _TooManyRejectsError(RejectLimitError):
    """More rows were rejected than may be."""

    def __init__(self, reject: Reject) -> None:
        super().__init__(f"file {reject.file}, row {reject.row}: {reject.message}")
        self.where = {"file": reject.file, "row": reject.row, "column": reject.column}


@contextmanager
def _downloaded(task: Task, host: Host) -> Iterator[LocalFile]:
    """Have the file in a spool of its own; nothing of it is left behind."""
    settings, remote = HttpSettings(**task["http"]), RemoteFile(**task["file"])
    transport = Transport(settings)
    try:
        spool = Spool(task["spool"]["folder"], task["spool"]["max_mb"])
        try:
            renew = host.renew or (lambda: _expired(remote))
            yield download(remote, renew, transport, spool, settings, host.clock or SystemClock())
        finally:
            spool.close()
    finally:
        transport.close()


def _expired(remote: RemoteFile) -> RemoteFile:
    msg = f"{remote.name}: its signed URL is refused"
    raise UrlExpiredError(msg)


def _layout(values: Mapping[str, Any]) -> decode.Layout:
    columns = [column_of(each) for each in values["columns"]]
    sets = {name: frozenset(values[name]) for name in ("deselected", "instants", "optional")}
    known = {"columns": {c.name: c for c in columns}, "contract": Contract(values["contract"]), **sets}
    return decode.Layout(**{**values, **known})


def _convert(file: LocalFile, task: Task, parts: _Parts) -> None:
    """Write the rows up to the file's end or to the first that hold new columns.

    Rows before a fault are announced, as RECORD messages would have been; a run that ends leaves nothing behind.
    """
    layout, form = _layout(task["layout"]), task["file"]["format"]
    try:
        new = _unknown(file, form, layout) if task["samples"] else []
        if new:
            parts.stop_at(new)
            return
        with closing(ahead(parts.made(decode.read(file, form, layout)), parts.pieces_ahead)) as decoded:
            parts.write(decoded)
        parts.close()
    except RunEndingError:
        raise
    except TapError:
        parts.close()
        raise
    finally:
        parts.discard()


def _unknown(file: LocalFile, form: str, layout: decode.Layout) -> list[Column]:
    """Return what a sample of the file shows and the catalog does not know."""
    if layout.contract is not Contract.EVOLVE:
        return []
    return [column for name, column in decode.sample(file, form, layout).items() if not layout.knows(name)]


PIECES_AHEAD = {"parquet": 8, "jsonl": 1}  # decoding goes on while a row group is compressed; at most 10,000 rows each

_Content = pa.RecordBatch | bytes | memoryview


@dataclass(frozen=True, slots=True)
class _Made:
    """What goes to a part.

    Attributes:
        count: Its rows.
        last: The ordinal of the last one.
        content: Columns or lines; the rows themselves where that is left to the writer.
    """

    count: int
    last: int
    content: _Content | Rows


_Item = _Made | NewColumns | Reject


class _Parts:
    """The parts of one file, one after the other."""

    def __init__(self, task: Task, host: Host, result: Result) -> None:
        """Open the storage."""
        self._task, self._host, self._result = task, host, result
        columns = [column_of(each) for each in task["columns"]]
        self._form = PartForm(task["encoding"]["format"], task["encoding"]["compression"], columns)
        self._storage = Storage(task["storage"]["root"], task["storage"]["prefix"], host.options)
        self._names = frozenset(task["names"])
        self._part: Part | None = None

    def made(self, decoded: Generator[decode.Decoded, None, None]) -> Generator[_Item, None, None]:
        """Yield what a file holds, its rows with what goes to a part of them; may run ahead of `write`."""
        before, written = int(self._task["layout"]["skip_rows"]), 0
        with closing(decoded):
            for item in decoded:
                if not isinstance(item, Rows):
                    yield item
                    continue
                columns, start = self._columns(Rows(item.data, self._task["constants"])), 0
                for data in cut(item.data, before):
                    for piece in self._pieces(data, written):
                        rows, end = Rows(piece, self._task["constants"]), start + len(piece)
                        yield _Made(len(rows), _last(rows), rows if columns is None else columns[start:end])
                        start, written = end, written + len(rows)
                before += start

    def _pieces(self, data: Any, written: int) -> Iterator[Any]:  # noqa: ANN401 - a batch, or a list of records
        """Yield rows in pieces of which each goes to one part."""
        start, most = 0, self._task["part"]["rows"]
        end = most - written % most
        while start < len(data):
            yield data[start:end]
            start, end = end, end + most

    def _columns(self, rows: Rows) -> pa.RecordBatch | None:
        """Return columns of Parquet, unless that fails, which the writer finds again at the turn of the rows.

        Lines are compressed where they are made, while the caches hold them.
        """
        if self._form.format != "parquet":
            return None
        try:
            return self._batch(rows)
        except TapError:
            return None

    def _content(self, rows: Rows) -> _Content:
        return self._batch(rows) if self._form.format == "parquet" else record_lines(rows, self._names)

    def _batch(self, rows: Rows) -> pa.RecordBatch:
        return to_batch(rows, self._form.columns, self._task["part"]["stream"])

    @property
    def pieces_ahead(self) -> int:
        """Return how many pieces may wait for `write`."""
        return PIECES_AHEAD[self._form.format]

    def write(self, items: Iterator[_Item]) -> None:
        """Write what a file holds, up to its end or to new columns."""
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
        """Leave the rest to a task that knows more columns."""
        self.close()
        self._result["new_columns"] = [values_of(column) for column in columns]

    def _reject(self, reject: Reject) -> None:
        self._result["rejects"].append(reject_values(reject))
        self._result["last_row"] = max(self._result["last_row"], reject.row)
        if len(self._result["rejects"]) > self._task["rejects_max_count"]:
            raise _TooManyRejectsError(reject)

    def _add(self, made: _Made) -> None:
        self._result["rows"] += made.count
        content = self._content(made.content) if isinstance(made.content, Rows) else made.content
        with self._unharmed() as part:
            if isinstance(part, ParquetPart) and isinstance(content, pa.RecordBatch):
                part.add(content)
            elif isinstance(part, JsonLinesPart) and not isinstance(content, pa.RecordBatch):
                part.add(content, made.count)
        if self._part and self._part.rows == self._task["part"]["rows"]:
            self.close()
        self._result["last_row"] = max(self._result["last_row"], made.last)

    @contextmanager
    def _unharmed(self) -> Iterator[Part]:
        """Have a part to write to; one at which a write failed is no part any more."""
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
        number = place["first"] + len(self._result["parts"])
        return self._form.begin(self._storage, part_name(place["stream"], place["scope"], number))

    def close(self) -> None:
        """Publish what is open."""
        if self._part:
            with self._unharmed() as part:
                url = part.publish()
            self._part = None
            self._result["parts"].append({"stream": self._task["part"]["stream"], "url": url, "rows": part.rows})

    def discard(self) -> None:
        """Remove what is open; never fails."""
        part, self._part = self._part, None
        if part:
            part.discard()


def _last(rows: Rows) -> int:
    if isinstance(rows.data, pa.RecordBatch):
        return int(rows.data.column(ROW)[-1].as_py())
    return int(rows.data[-1][ROW])
