"""The parts that the work on one file writes: cut at a number of rows, published in order, discarded when it breaks."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from tap_exports.engine import decode
from tap_exports.engine.convert.task import Host, Result, Task, column_of, reject_values, values_of
from tap_exports.engine.model import ROW, Column, NewColumns, Reject, Rows
from tap_exports.engine.publish.columns import to_batch
from tap_exports.engine.publish.form import Part, PartForm, part_name
from tap_exports.engine.publish.jsonl import JsonLinesPart
from tap_exports.engine.publish.lines import record_lines
from tap_exports.engine.publish.storage import Storage
from tap_exports.engine.read.ahead import ahead
from tap_exports.errors import RejectLimitError, RunEndingError, StopError, TapError


class TooManyRejectsError(RejectLimitError):
    """More rows were rejected than `rejects_max_count` allows."""

    def __init__(self, reject: Reject, advice: str) -> None:
        super().__init__(f"file {reject.file}, row {reject.row}: {reject.message}{advice}")
        self.where = {"file": reject.file, "row": reject.row, "column": reject.column}


class Parts:
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

    def take(self, decoded: Generator[decode.Decoded, None, None]) -> None:
        """Write what is decoded, up to its end or to new columns, and publish it.

        Rows before an error are published, as RECORD messages would have been; if the run is ending, open parts are
        discarded.
        """
        try:
            with closing(self._ahead(decoded)) as pieces:
                self._write(pieces)
            self._close()
        except RunEndingError:
            raise
        except TapError:
            self._close()
            raise
        finally:
            self._discard()

    def _ahead(self, decoded: Generator[decode.Decoded, None, None]) -> Generator[decode.Decoded, None, None]:
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

    def _write(self, items: Iterator[decode.Decoded]) -> None:
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
        self._close()
        self._result["new_columns"] = [values_of(column) for column in columns]

    def advise(self, advice: Callable[[], str]) -> None:
        """Note what would read a file with rejects, once: the file is removed before its last rows are written."""
        if self._result["advice"] is None:
            self._result["advice"] = advice()

    def _reject(self, reject: Reject) -> None:
        self._result["rejects"].append(reject_values(reject))
        self._result["last_row"] = max(self._result["last_row"], reject.row)
        if len(self._result["rejects"]) > self._task["rejects_max_count"]:
            raise TooManyRejectsError(reject, self._result["advice"] or "")

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
                self._discard()
                raise
            rows, self._ending = self._ending.rows, None
            if (seen := self._storage.look(url)) is None:
                raise StopError(f"batch_config.storage: {url} was written, and is not there")
            part = {"stream": self._task["part"]["stream"], "url": url, "rows": rows}
            self._result["parts"].append({**part, **asdict(seen)})

    def _close(self) -> None:
        """Finish and publish all parts."""
        self._finish()
        self._publish()

    def _discard(self) -> None:
        """Remove the unpublished parts; raises nothing."""
        for part in (self._ending, self._part):
            if part:
                part.discard()
        self._ending = self._part = None


def _last(rows: Rows) -> int:
    if isinstance(rows.data, pa.RecordBatch):
        return int(rows.data.column(ROW)[-1].as_py())
    return int(rows.data[-1][ROW])
