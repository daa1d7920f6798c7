"""CSV to RECORD lines: against the plain SDK, Airbyte's CDK and pyarrow's bare parse; memory and growth."""

from __future__ import annotations

from bench.check import same_rows
from bench.lab import Command, Lab, Make, program
from bench.lab import airbyte as connector
from bench.results import Row
from bench.tap import Tap, exelensia, write

ROWS = 1_000_000
STREAM = "exelensia_export_0"


def tap_of(lab: Lab, origin: str, file: str, name: str, **settings: object) -> Command:
    """Return the command of the tap over one file."""
    return Tap(lab.place(name), exelensia(origin, file, **settings), [STREAM]).command


def always(command: Command) -> Make:
    """Return a command that leaves nothing behind."""
    return lambda: command


def sdk(lab: Lab) -> Row:
    """Measure against a tap of the plain SDK, and against the bare parse of the same bytes."""
    rows = lab.size(ROWS)
    file = lab.table(rows)
    row = lab.row(f"CSV of {rows:,} rows to RECORD lines")
    with lab.served() as (files, api):
        config = write(lab.place("sdk") / "config.json", {"api_url": api, "file": file})
        sides = {
            "tap": always(tap_of(lab, api, file, "tap")),
            "sdk": always(program("sdk_tap", "--config", config)),
            "pyarrow": always(program("pyarrow_parse", f"{files}/{file}")),
        }
        return lab.alternate(row, sides, same_rows("tap", "sdk"))


def gzip(lab: Lab) -> Row:
    """Measure the same table as gzip."""
    rows = lab.size(ROWS)
    names = {"tap": lab.table(rows), "tap-gzip": lab.table(rows, "csv.gz"), "tap-zip": lab.table(rows, "zip")}
    row = lab.row(f"CSV of {rows:,} rows, plain and packed, to RECORD lines")
    with lab.served() as (_, api):
        sides = {side: always(tap_of(lab, api, name, side)) for side, name in names.items()}
        return lab.alternate(row, sides, same_rows("tap", "tap-gzip"))


def airbyte(lab: Lab, rows: int, *, typed: bool) -> Row:
    """Measure against a connector of Airbyte's CDK."""
    rows = lab.size(rows)
    file = lab.table(rows)
    row = lab.row(f"CSV of {rows:,} rows to RECORD lines, the peer's values {'typed' if typed else 'as text'}")
    with lab.served() as (_, api):
        settings = {"api_url": api, "files": [file], "typed": typed, "jobs": 5}
        config = write(lab.place("airbyte") / "config.json", settings)
        sides = {"tap": always(tap_of(lab, api, file, "tap")), "airbyte": always(connector(config))}
        return lab.alternate(row, sides, same_rows("tap", "airbyte"))


def airbyte_untyped(lab: Lab) -> Row:
    """Measure against Airbyte's CDK with values as text."""
    return airbyte(lab, ROWS, typed=False)


def airbyte_typed(lab: Lab) -> Row:
    """Measure against Airbyte's CDK with its schema normalisation."""
    return airbyte(lab, ROWS // 2, typed=True)


def memory(lab: Lab) -> Row:
    """Measure the peak over 1 and 10 million rows."""
    sizes = {"1M": lab.size(ROWS), "10M": lab.size(10 * ROWS)}
    row = lab.row(f"peak of the tap over {sizes['1M']:,} and {sizes['10M']:,} rows, RECORD lines")
    names = {side: lab.table(rows) for side, rows in sizes.items()}
    with lab.served() as (_, api):
        return lab.alternate(row, {side: always(tap_of(lab, api, name, side)) for side, name in names.items()})


def growth(lab: Lab) -> Row:
    """Measure the cost per row from 10 thousand rows on; a file of one row shows what a start costs."""
    sizes = {"1": 1, "10k": 10_000, "100k": 100_000}
    row = lab.row("CPU per row over 10 thousand to 10 million rows, the start taken off")
    names = {side: lab.table(rows) for side, rows in sizes.items()}
    with lab.served() as (_, api):
        sides = {side: always(tap_of(lab, api, name, side)) for side, name in names.items()}
        # A start costs more than 10 thousand rows, so that they take many runs to show.
        return lab.alternate(row, sides, times=25)
