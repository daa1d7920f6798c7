"""Jobs that wait: 20 of 10 seconds, 5 at a time, against the shortest possible and against Airbyte's CDK."""

from __future__ import annotations

from urllib.request import urlopen

from bench.lab import Lab, airbyte
from bench.results import Row
from bench.tap import Tap, exelensia, write
from bench.work.records import always

JOBS, AT_ONCE, JOB_SECONDS = 20, 5, 10.0


def makespan(lab: Lab) -> Row:
    """Measure the whole wait; the tap has its default intervals of polling."""
    jobs, seconds = (AT_ONCE, 1.0) if lab.quick else (JOBS, JOB_SECONDS)
    row = lab.row(f"{jobs} jobs of {seconds:.0f} s, {AT_ONCE} at a time, a file of one row each")
    row.facts["ideal"] = seconds * jobs / AT_ONCE
    file = lab.table(1)
    with lab.served(job_seconds=seconds) as (_, api):
        settings = exelensia(api, *[file] * jobs, max_concurrent_jobs=AT_ONCE)
        del settings["poll_interval_seconds"]
        tap = Tap(lab.place("jobs"), settings, [f"exelensia_export_{number}" for number in range(jobs)])
        peer = {"api_url": api, "files": [file] * jobs, "typed": False, "jobs": AT_ONCE}
        config = write(lab.place("jobs-airbyte") / "config.json", peer)
        lab.alternate(row, {"tap": always(tap.command), "airbyte": always(airbyte(config))})
        with urlopen(f"{api}/_most_open") as reply:
            row.facts["most open jobs"] = int(reply.read())
    return row
