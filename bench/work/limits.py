"""What the servers can do, so that the figures of the taps can be held against it."""

from __future__ import annotations

from bench.lab import Lab, program
from bench.results import Row
from bench.work.pages import LATENCY, SERIAL_PAGES
from bench.work.records import ROWS, always

IN_FLIGHT = 32


def server(lab: Lab) -> Row:
    """Measure a bare download of the table and bare requests of pages, bytes dropped."""
    file, pages = lab.table(lab.size(ROWS)), lab.size(SERIAL_PAGES)
    row = lab.row(f"bare download of the table; {pages:,} bare requests of pages, {IN_FLIGHT} in flight")
    row.facts["MB"] = (lab.data / file).stat().st_size / 1e6
    row.facts["pages"] = pages
    with lab.served(data=lab.pages(pages), latency=LATENCY) as (files, api):
        sides = {
            "download": always(program("download", f"{files}/{file}")),
            "pages": always(program("requests_in_flight", api, str(pages), str(IN_FLIGHT))),
        }
        return lab.alternate(row, sides)
