"""Makes data that is measured with: `python -m bench.prepare FOLDER NAME`; what is there already stays.

Names: `rows-N.csv`, `rows-N.csv.gz`, `rows-N.zip`, `list-N` (pages of results), `wide-N.csv` (2,000 columns),
`long-N.csv` (cells of 5 MB), `empty.csv` (a header without rows).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from bench import table
from bench.table import WIDE

LONG_BYTES = 5_000_000
_NAME = re.compile(r"([a-z]+)-?(\d*)\.?([a-z.]*)")


def prepare(folder: Path, name: str) -> None:
    """Make data by its name.

    Raises:
        ValueError: There is no data of such a name.
    """
    found = _NAME.fullmatch(name)
    kind, number, form = found.groups() if found else ("", "", "")
    make = MAKERS.get((kind, form))
    if make is None:
        msg = f"nothing is called {name}"
        raise ValueError(msg)
    table.prepare(folder / name, lambda path: make(path, int(number or 0)))


def _packed(write: Callable[[Path, Path], None]) -> Callable[[Path, int], None]:
    def make(path: Path, rows: int) -> None:
        prepare(path.parent, f"rows-{rows}.csv")
        write(path, path.parent / f"rows-{rows}.csv")

    return make


def _wide(path: Path, rows: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(["id", *(f"c{n}" for n in range(1, WIDE))]) + "\n")
        file.writelines(",".join([str(row), *(f"{row}-{n}" for n in range(1, WIDE))]) + "\n" for row in range(rows))


def _long(path: Path, rows: int) -> None:
    text = ("long cell, " * (LONG_BYTES // 11 + 1))[:LONG_BYTES]
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("id,text\n")
        file.writelines(f'{row},"{text}"\n' for row in range(rows))


MAKERS: dict[tuple[str, str], Callable[[Path, int], None]] = {
    ("rows", "csv"): table.write_csv,
    ("rows", "csv.gz"): _packed(table.write_gzip),
    ("rows", "zip"): _packed(table.write_zip),
    ("list", ""): lambda path, pages: table.write_pages(path / "pages", pages),
    ("wide", "csv"): _wide,
    ("long", "csv"): _long,
    ("empty", "csv"): lambda path, _: table.write_csv(path, 0),
}

if __name__ == "__main__":
    prepare(Path(sys.argv[1]), sys.argv[2])
