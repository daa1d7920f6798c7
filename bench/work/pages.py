"""Pages of JSON: against the SDK's own paginated stream, which asks for one after the other."""

from __future__ import annotations

from bench.check import same_rows
from bench.lab import Command, Lab, program
from bench.results import Row
from bench.tap import Tap, exelensia, write
from bench.work.records import always

PAGES = 10_000
SERIAL_PAGES = 3_000  # serial requests take their latency one by one
LATENCY = 0.02
STREAM = "exelensia_results"


def tap_of(lab: Lab, origin: str, in_flight: int) -> Command:
    """Return the command of the tap with so many requests in flight."""
    settings = exelensia(origin, start_date="2020-01-01T00:00:00Z", max_concurrent_requests=in_flight)
    return Tap(lab.place(f"pages-{in_flight}"), settings, [STREAM]).command


def serial(lab: Lab) -> Row:
    """Measure 8 and 32 requests in flight against one."""
    pages = lab.size(SERIAL_PAGES)
    row = lab.row(f"{pages:,} pages of 100 items, each after {LATENCY * 1000:.0f} ms")
    with lab.served(data=lab.pages(pages), latency=LATENCY) as (_, api):
        config = write(lab.place("rest") / "config.json", {"api_url": api})
        sides = {
            "tap-8": always(tap_of(lab, api, 8)),
            "tap-32": always(tap_of(lab, api, 32)),
            "sdk": always(program("sdk_rest", "--config", config)),
        }
        return lab.alternate(row, sides, same_rows("tap-32", "sdk"))


def cost(lab: Lab) -> Row:
    """Measure the CPU time of a page: the same list without latency, long and a tenth as long."""
    sizes = {"tenth": lab.size(SERIAL_PAGES) // 10, "all": lab.size(SERIAL_PAGES)}
    row = lab.row(f"{sizes['all']:,} pages of 100 items, and a tenth of them, without latency, 8 in flight")
    row.facts["count"] = sizes
    for _ in range(lab.times(5)):
        for side, pages in sizes.items():
            with lab.served(data=lab.pages(pages)) as (_files, api):
                lab.once(row, side, always(tap_of(lab, api, 8)))
    return row


def many(lab: Lab) -> Row:
    """Measure the full number of pages; the serial peer takes so long that it reads fewer, in a row of its own."""
    pages = lab.size(PAGES)
    row = lab.row(f"{pages:,} pages of 100 items, each after {LATENCY * 1000:.0f} ms")
    with lab.served(data=lab.pages(pages), latency=LATENCY) as (_, api):
        sides = {f"tap-{number}": always(tap_of(lab, api, number)) for number in (8, 32, 64)}
        return lab.alternate(row, sides)
