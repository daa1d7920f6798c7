"""The start: to the first RECORD, against the mere import of the SDK."""

from __future__ import annotations

from bench.lab import Command, Lab, environment
from bench.results import Row
from bench.work.records import always, tap_of


def first(lab: Lab) -> Row:
    """Measure the time to the first RECORD; the job is done at once."""
    row = lab.row("start to the first RECORD of a file of one row, against `import singer_sdk`")
    with lab.served() as (_, api):
        imported: Command = [environment("tap") / "python", "-c", "import singer_sdk"]
        sides = {"tap": always(tap_of(lab, api, lab.table(1), "start")), "import": always(imported)}
        return lab.alternate(row, sides, times=15)
