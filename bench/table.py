"""The table that is measured: 12 columns, the same values for the same number of rows on every machine."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import shutil
import zipfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from bench.seeds import WORDS

FIELDS = {
    "id": "integer",
    "uid": "string",
    "code": "string",  # with leading zeros
    "name": "string",
    "comment": "string",  # with commas, quotes and newlines
    "quantity": "integer",
    "price": "number",
    "ratio": "number",
    "active": "boolean",
    "created_at": "date-time",
    "updated_at": "date-time",
    "note": "string",  # sparse
}
BLOCK = 100_000  # rows that are made; the rest repeats them under other ids
FIRST_ID = 1_000_000_000  # so that all ids are of one length, and with them all rows of a block
PAGE = 100
WIDE = 2_000  # columns of the wide table
_CHUNK = 10_000


def tail(rng: random.Random) -> list[str]:
    """Return the cells of a row after its id."""
    words = rng.choices(WORDS, k=9)
    day, second = rng.randrange(1, 29), rng.randrange(60)
    at = f"2026-{rng.randrange(1, 13):02d}-{day:02d}T{rng.randrange(24):02d}:{rng.randrange(60):02d}:{second:02d}"
    return [
        f"{rng.getrandbits(128):032x}",
        f"{rng.randrange(1000):08d}",
        f"{words[0].title()} {words[1].title()} & Co",
        f'{words[2]} {words[3]}, "{words[4]}" {words[5]}\n{words[6]} {words[7]}; {words[8]} 90 %',
        str(rng.randrange(1, 10_000)),
        f"{rng.randrange(1, 10**7) / 100:.2f}",
        f"{rng.randrange(1, 10**6) / 10**6:.6f}",
        rng.choice(("true", "false")),
        f"{at}.{rng.randrange(1000):03d}Z",
        f"2026-12-{day:02d}T00:00:{second:02d}Z",
        words[0] if rng.random() < 0.05 else "",  # noqa: PLR2004 - one row in twenty
    ]


def tails() -> list[list[str]]:
    """Return the cells of a block's rows."""
    rng = random.Random(20260701)  # noqa: S311 - a fixed table, no cryptography
    return [tail(rng) for _ in range(BLOCK)]


def lines() -> Iterator[str]:
    """Yield the CSV text of a block's rows, each without its id, over and over."""
    texts = []
    for cells in tails():
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(cells)
        texts.append(text.getvalue())
    while True:
        yield from texts


def write_csv(path: Path, rows: int) -> None:
    """Write the table with its header."""
    endless = enumerate(lines(), start=FIRST_ID)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(FIELDS) + "\n")
        for start in range(0, rows, _CHUNK):
            file.writelines(f"{number},{line}" for number, line in islice(endless, min(_CHUNK, rows - start)))


def write_gzip(path: Path, plain: Path) -> None:
    """Compress a table."""
    with plain.open("rb") as source, gzip.open(path, "wb", compresslevel=6) as target:
        shutil.copyfileobj(source, target, 1 << 20)


def write_zip(path: Path, plain: Path) -> None:
    """Pack a table."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        target.write(plain, plain.name)


def write_pages(folder: Path, pages: int) -> None:
    """Write pages of 100 results, as Exelensia lists them."""
    folder.mkdir(parents=True, exist_ok=True)
    made = tails()[: 10 * PAGE]
    meta = {"total": pages * PAGE, "totalPages": pages}
    for page in range(1, pages + 1):
        items = [result((page - 1) * PAGE + n, made[((page - 1) * PAGE + n) % len(made)]) for n in range(PAGE)]
        (folder / f"{page}.json").write_text(json.dumps({"data": items, "meta": meta}), encoding="utf-8")


def result(number: int, cells: list[str]) -> dict[str, Any]:
    """Return one result; results are ordered by the instant of their creation."""
    seconds = f"2026-{1 + number // 2_419_200:02d}-{1 + number // 86400 % 28:02d}"
    at = f"{seconds}T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}.000Z"
    known = {"id": f"{number:012d}", "process_id": cells[0], "file_id": cells[1], "schema_id": "bench"}
    extraction = {"name": cells[2], "comment": cells[3], "quantity": int(cells[4]), "price": float(cells[5])}
    return {**known, "status": "SUCCESS", "extraction": extraction, "createdAt": at, "updatedAt": at}


def prepare(path: Path, make: Callable[[Path], None]) -> Path:
    """Return a prepared file or folder, made now unless it is there; a half-made one is never left."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"unfinished-{path.name}")
        if unfinished.is_dir():
            shutil.rmtree(unfinished)
        make(unfinished)
        unfinished.rename(path)
    return path
