"""Files of rows as other exporters write them: another dialect of CSV, parts in a zip, a null where a key is due."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Mapping
from datetime import datetime
from typing import Any

_LITTER = {"__MACOSX/._export.csv": b"\0\5\x16\7", ".DS_Store": b"\0\0\0\1Bud1", "Thumbs.db": b"\xd0\xcf"}
_NUMBER, _DAY = re.compile(r"-?[0-9]+\.[0-9]+"), re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def rewritten(how: Mapping[str, Any], data: bytes) -> bytes:
    """Return a CSV file in another dialect.

    Args:
        how: `delimiter`, `quote`, `escape`, `all` (every field is quoted, empty ones too), `end`, `sep` (a first line),
            `titles` and `footers` (numbers of lines), `comment`, `trailing`, `decimal`, `dates` (a format), `names`
            (instead of the header), `nul` and `stray` (in the first row: a NUL, text behind a closing quote).
        data: The file, as the sandbox writes it.
    """
    header, *rows = csv.reader(io.StringIO(data.decode(), newline=""))
    body = io.StringIO(newline="")
    mark, end, escape = how.get("delimiter", ","), how.get("end", "\n"), how.get("escape")
    writer = csv.writer(
        body,
        delimiter=mark,
        quotechar=how.get("quote", '"'),
        escapechar=escape,
        doublequote=escape is None,
        quoting=csv.QUOTE_ALL if how.get("all") else csv.QUOTE_MINIMAL,
        lineterminator=(mark if how.get("trailing") else "") + end,
    )
    writer.writerow(how.get("names", header))
    writer.writerows([_cell(cell, how) for cell in row] for row in rows)
    return _framed(body.getvalue(), how, mark, end).encode()


def _cell(cell: str, how: Mapping[str, Any]) -> str:
    """Return a number or a day in the notation that is asked for."""
    if "decimal" in how and _NUMBER.fullmatch(cell):
        return cell.replace(".", how["decimal"])
    is_day = "dates" in how and _DAY.fullmatch(cell)
    return datetime.fromisoformat(cell).strftime(how["dates"]) if is_day else cell


def _framed(text: str, how: Mapping[str, Any], mark: str, end: str) -> str:
    """Put lines around a table, and damage into its first row."""
    header, _, rows = text.partition(end)
    if how.get("nul"):
        rows = "\0" + rows
    if how.get("stray"):
        rows = '"a" b' + rows
    comment = f"{how['comment']} made by the sandbox{end}" if how.get("comment") else ""
    before = (f"sep={mark}{end}" if how.get("sep") else "") + f'A "title{end}' * int(how.get("titles", 0))
    return f"{before}{comment}{header}{end}{rows}" + f"Total, of all: 7{end}" * int(how.get("footers", 0))


def zipped(how: Mapping[str, Any], data: bytes) -> bytes:
    """Return a CSV file as a zip.

    Args:
        how: `parts` (each with the header; the last one stands first in the zip), `litter` (what systems leave beside).
        data: The file.
    """
    header, *rows = data.splitlines(keepends=True)
    count = int(how.get("parts", 1))
    size = -(-len(rows) // count)
    parts = {f"part-{n}.csv": header + b"".join(rows[n * size : (n + 1) * size]) for n in reversed(range(count))}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**(_LITTER if how.get("litter") else {}), **parts}.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return packed.getvalue()


def without_value(field: str, body: bytes) -> bytes:
    """Return a JSON reply whose first record holds null in a field, and whose second lacks it."""
    reply = json.loads(body)
    records = _records(reply, field)
    for record in records[:1]:
        record[field] = None
    for record in records[1:2]:
        del record[field]
    return json.dumps(reply).encode()


def _records(value: object, field: str) -> list[dict[str, Any]]:
    """Return the first list of objects with a field, wherever it stands."""
    if isinstance(value, list):
        return value if value and isinstance(value[0], dict) and field in value[0] else []
    inner = value.values() if isinstance(value, dict) else ()
    return next((found for each in inner if (found := _records(each, field))), [])
