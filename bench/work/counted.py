"""What valgrind counts: figures that a busy machine does not change."""

from __future__ import annotations

from collections.abc import Callable

from bench.catalog import COMMAND
from bench.instructions import instructions as count
from bench.lab import Command, Lab, program, shown
from bench.results import Row
from bench.tap import write
from bench.work.batches import batch_config, into, out, tap_into
from bench.work.pages import tap_of as pages_tap
from bench.work.records import tap_of

ROWS = {
    "few": 2_000,
    "many": 12_000,
}  # valgrind is fifty times slower: the slope between two sizes tells what a row costs
PAGES = {"few": 20, "many": 120}
FIRST = b'"RECORD"'  # ends the count of a start


def instructions(lab: Lab) -> Row:
    """Count a start to the first RECORD, a row of RECORD lines and of jsonl.gz on both sides, and a page."""
    row = lab.row(
        "instructions to the first RECORD, of a row of RECORD lines and of jsonl.gz, and of a page of 100 records"
    )
    found: dict[str, dict[str, float]] = {}
    with lab.served() as (_, api):
        imported: Command = [COMMAND.with_name("python"), "-c", "import singer_sdk"]
        found["start"] = {"tap": counted(lab, row, "start", tap_of(lab, api, lab.table(1), "start"), FIRST)}
        found["start"]["import"] = counted(lab, row, "import", imported)
        found["record"] = by_row(lab, row, "record", lambda rows: records(lab, api, rows))
        found["record"]["one row"] = counted(lab, row, "one row", records(lab, api, 1))  # to its end
        found["jsonl tap"] = by_row(lab, row, "jsonl tap", lambda rows: ours(lab, api, rows))
        found["jsonl sdk"] = by_row(lab, row, "jsonl sdk", lambda rows: theirs(lab, api, rows))
    pages = {}
    for name, number in PAGES.items():
        with lab.served(data=lab.pages(number)) as (_, api):
            pages[name] = counted(lab, row, "page", pages_tap(lab, api, 8))
    found["page"] = slope(pages, PAGES)
    row.facts |= found
    return row


def counted(lab: Lab, row: Row, side: str, command: Command, until: bytes | None = None) -> int:
    """Count one run, to its end or to some output; a script goes by the interpreter of its environment."""
    is_script = command[0] == COMMAND
    row.commands[side] = shown(command, lab.folder)
    number = count([COMMAND.with_name("python"), *command] if is_script else command, until)
    lab.say(f"    {side}: {number / 1e6:,.0f} million instructions")
    return number


def by_row(lab: Lab, row: Row, side: str, make: Callable[[int], Command]) -> dict[str, float]:
    """Count two sizes of a table."""
    return slope({name: counted(lab, row, side, make(rows)) for name, rows in ROWS.items()}, ROWS)


def slope(counts: dict[str, int], sizes: dict[str, int]) -> dict[str, float]:
    """Return the instructions of one more row or page, and those of the rest."""
    each = (counts["many"] - counts["few"]) / (sizes["many"] - sizes["few"])
    return {"each": each, "rest": counts["few"] - each * sizes["few"]}


def records(lab: Lab, api: str, rows: int) -> Command:
    """Return the tap with RECORD lines."""
    return tap_of(lab, api, lab.table(rows), f"counted-{rows}")


def ours(lab: Lab, api: str, rows: int) -> Command:
    """Return the tap with jsonl.gz."""
    return tap_into(lab, api, lab.table(rows), "counted", "jsonl")()


def theirs(lab: Lab, api: str, rows: int) -> Command:
    """Return the SDK's own batcher."""
    batches = batch_config("jsonl", out(lab, "counted-sdk"), "gzip")
    settings = {"api_url": api, "file": lab.table(rows), "batch_config": batches}
    config = write(lab.place("counted-config") / "config.json", settings)
    return into(lab, "counted-sdk", program("sdk_tap", "--config", config))()
