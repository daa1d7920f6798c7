"""The work on one file: download, decode, type, write parts. Plain values in, plain values out; knows no Singer.

A task and its result hold JSON values only, so that an external engine can run it; the signed URL is the only secret in
a task. Errors are values in the result. docs/decisions/0008-executor.md shows both dicts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from tap_exports.engine import decode
from tap_exports.engine.clock import SystemClock
from tap_exports.engine.convert.parts import Parts, TooManyRejectsError
from tap_exports.engine.convert.task import NOWHERE, Host, Result, Task, column_of
from tap_exports.engine.convert.unpack import unpack
from tap_exports.engine.download import download
from tap_exports.engine.http import HttpSettings, Transport
from tap_exports.engine.model import Contract, LocalFile, Reject, RemoteFile
from tap_exports.engine.place import Places
from tap_exports.engine.spool import Spool
from tap_exports.errors import TapError, UrlExpiredError

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
        there are rejects. Of an archive also `survey` and `found`; see `unpack`.
    """
    result: Result = {"parts": [], "rejects": [], "new_columns": [], "last_row": task["layout"]["skip_rows"]}
    result |= {"rows": 0, "skipped": 0, "bytes": 0, "sha256": None, "etag": None, "summed": False, "is_whole": True}
    result |= {"error": None, "advice": None}
    try:
        parts = Parts(task, host, result)
        with _downloaded(task, host) as (file, spool):
            result |= {"bytes": file.size, "sha256": file.sha256, "etag": file.etag}
            result |= {"summed": file.summed, "is_whole": file.is_whole}
            if task.get("archive"):
                unpack(file, task["archive"], parts, result)
                return result
            task = _behind(task, file, result)
            with closing(Places(lambda: spool.path("digests"))) as places:
                _convert(file, task, parts, places if task["places"] else None)
    except TapError as error:
        where = error.where if isinstance(error, TooManyRejectsError) else {}
        kind = next(c.__name__ for c in type(error).__mro__ if c.__module__ == TapError.__module__)
        result["error"] = {"kind": kind, "message": error.message, **where}
    return result


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


def _convert(file: LocalFile, task: Task, parts: Parts, places: Places | None) -> None:
    """Write the rows up to the end of the file or to the first rows with new columns."""
    layout, form = _layout(task["layout"]), task["file"]["format"]
    new = decode.unknown(file, form, layout) if task["samples"] else []
    if new:
        parts.stop_at(new)
        return
    parts.take(_read_once(file, form, layout, parts, places))


def _read_once(
    file: LocalFile, form: str, layout: decode.Layout, parts: Parts, places: Places | None
) -> Generator[decode.Decoded, None, None]:
    """Yield the decoded file; remove it from the spool once it is decoded, before its last rows are written."""
    for item in decode.read(file, form, layout, places):
        if isinstance(item, Reject):
            parts.advise(lambda: decode.advice(file, form, layout))
        yield item
    file.path.unlink(missing_ok=True)
