"""CSV to RECORD lines: against the plain SDK, Airbyte's CDK and pyarrow's bare parse; memory and growth."""

from __future__ import annotations

from bench.check import same_rows
from bench.lab import Command, Lab, Make, program
from bench.lab import airbyte as connector
from bench.results import Row
from bench.tap import Tap, exelensia, write

ROWS = 1_000_000
STREAM = "exelensia_export_0"


def tap_of(lab: Lab, origin: str, file: str, name: str, count: int = 1) -> Command:
    """Return the command of the tap over a file, taken so often."""
    streams = [f"exelensia_export_{number}" for number in range(count)]
    return Tap(lab.place(name), exelensia(origin, *[file] * count), streams).command


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


def sizes(lab: Lab) -> Row:
    """Measure peak and cost of 10 thousand to 10 million rows.

    Ten thousand rows cost less than a start varies, so a hundred files of them are read; as many files of one row show
    what start and streams cost.
    """
    tables = {"10k": (10_000, 100), "100k": (100_000, 10), "1M": (ROWS, 1), "10M": (10 * ROWS, 1)}
    row = lab.row(
        "peak and cost of the tap over 100 × 10,000, 10 × 100,000, 1,000,000 and 10,000,000 rows, RECORD lines"
    )
    row.facts["rows"] = {side: lab.size(rows) * files for side, (rows, files) in tables.items()}
    row.facts["start"] = {side: f"start-{files}" for side, (_, files) in tables.items()}
    work = {row.facts["start"][side]: (1, files) for side, (_, files) in tables.items()}
    work["one"] = (lab.size(100_000), 1)
    row.facts["rows"]["one"] = lab.size(100_000)
    work |= {side: (lab.size(rows), files) for side, (rows, files) in tables.items()}
    with lab.served() as (_, api):
        taps = {side: tap_of(lab, api, lab.table(rows), side, files) for side, (rows, files) in work.items()}
        return lab.alternate(row, {side: always(command) for side, command in taps.items()}, times=7)
