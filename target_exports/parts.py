"""Parts that a BATCH message names: JSON Lines are read as records, Parquet by DuckDB's own reader.

JSON Lines do not go through DuckDB's reader: it gives `12345678901234567.123456789` as `12345678901234568.0`, also
within objects (docs/decisions/0011).
"""

from __future__ import annotations

import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import fsspec
import msgspec
from isal import igzip

from target_exports.errors import LoadError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BLOCK = 1 << 20
_LINES = msgspec.json.Decoder(msgspec.Raw)


def records(url: str, compression: str | None) -> Iterator[tuple[list[msgspec.Raw], int]]:
    """Yield the records of a part in JSON Lines, some at a time, and their size in bytes.

    Raises:
        LoadError: The part cannot be read, or is compressed otherwise than by gzip.
    """
    if compression not in {"gzip", "none", None}:
        raise LoadError(f"{url}: compression {compression} is not known; use gzip or none")
    with _opened(url) as raw:
        lines: Any = igzip.IGzipFile(fileobj=raw) if compression == "gzip" else raw  # type: ignore[no-untyped-call] # no stubs
        for block in whole_lines(lambda: lines.read(BLOCK)):
            yield _LINES.decode_lines(block), len(block)


@contextmanager
def parquet(url: str) -> Iterator[str]:
    """Yield the path of a part in Parquet.

    One in another storage, or in a place that DuckDB would take for a pattern, is copied while the block runs.

    Raises:
        LoadError: The part cannot be read.
    """
    if urlsplit(url).scheme in {"", "file"} and not set(_path(url)) & set("*?["):  # DuckDB reads these as patterns
        yield _path(url)
        return
    with _opened(url) as remote, tempfile.NamedTemporaryFile(suffix=".parquet") as copy:
        shutil.copyfileobj(remote, copy)
        copy.flush()
        yield copy.name


def names_of(database: DuckDBPyConnection, path: str) -> list[str]:
    """Return the columns of a part in Parquet as they stand in it: a relation renames those that differ in case only.

    Raises:
        LoadError: It is missing or torn.
    """
    try:
        found = database.execute("SELECT name, coalesce(num_children, 0) FROM parquet_schema(?)", [path]).fetchall()
    except Exception as error:  # duckdb may not be installed where this module is imported
        raise LoadError(f"the part {path} cannot be read: {error}") from error
    names, below = list[str](), 0  # the root, then each column with all that is below it
    for name, children in found[1:]:
        if not below:
            names.append(name)
        below += children - (below > 0)
    return names


def whole_lines(read: Callable[[], bytes]) -> Iterator[bytes]:
    """Yield what is read in blocks that end with a line; a last line may lack its end.

    Args:
        read: Returns the next bytes, none at the end.
    """
    rest: list[bytes] = []
    while block := read():
        end = block.rfind(b"\n") + 1
        if end:
            yield b"".join((*rest, block[:end]))
            rest = []
        rest.append(block[end:])
    if last := b"".join(rest):
        yield last


@contextmanager
def _opened(url: str) -> Iterator[Any]:
    try:
        with fsspec.open(_path(url) if urlsplit(url).scheme == "file" else url, "rb") as file:
            yield file
    except (OSError, ImportError, ValueError, EOFError, zlib.error, msgspec.MsgspecError) as error:
        raise LoadError(f"the part {url} cannot be read: {type(error).__name__}: {error}") from error


def _path(url: str) -> str:
    return unquote(urlsplit(url).path) if url.startswith("file:") else url
