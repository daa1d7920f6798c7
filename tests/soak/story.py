"""Runs one provider's part of the soak until all its jobs are done."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tap_exports.sandbox import Sandbox, SandboxOptions
from tests.crash.drill import catalog_of
from tests.crash.target import Target
from tests.crash.victim import Nursery
from tests.process.child import KILLED
from tests.soak.parts import KEYS, ROWS_PER_WINDOW, Part, Rows
from tests.soak.samples import Samples
from tests.tap.harness import Json, Ran, arguments_of, only

SPEED = 200
LIMIT_SECONDS = 900  # of one run; the longest takes a minute or two
RUNS_PER_ROUND = 60
# One in twenty requests meets one of these; the last stops its stream, so it is rare among them.
PASSING: list[Json] = [
    {"status": 503},
    {"status": 500},
    {"status": 502, "body": "html"},
    {"status": 504, "body": "empty"},
    {"status": 429, "retry_after": 1},
    {"reset": True},
    {"lose_reply": True},
    {"odd_status": 502},
    {"cut_after_bytes": 40},
    {"wrong_length": 10},
    {"slow": {"delay_seconds": 0.02}},
    {"status": 429, "retry_after": 0},
    {"html": True},
    {"unframed": True},
    {"stored_encoding": "aws-chunked"},
]
# Contents that are not the export's: the run stops, and the next one reads the job again, or asks for another.
STOPPING: list[Json] = [
    {"replace": {"text": "Service temporarily unavailable. Please retry later."}},
    {"replace": {"text": '{"error": {"code": "AccessDenied", "message": "Request has expired"}}'}},
    {"digest": True},
]
FAULTY = 0.05


@dataclass(slots=True)
class Tale:
    """What a part came to.

    Attributes:
        jobs: Jobs whose rows were proven.
        runs: Runs of the tap.
        stopped: Runs that a fault has stopped.
        rows: Rows at the target.
        lost: Rows that are missing there.
        invented: Rows too many.
        requests: Requests, and `faulty` those that went wrong.
        samples: Of the longest run.
    """

    jobs: int = 0
    runs: int = 0
    stopped: int = 0
    rows: int = 0
    lost: int = 0
    invented: int = 0
    requests: int = 0
    faulty: int = 0
    samples: Samples = field(default_factory=Samples)
    unfinished: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Return one line."""
        return (
            f"{self.jobs} jobs, {self.rows} rows, {self.lost} lost, {self.invented} invented; {self.faulty} of "
            f"{self.requests} requests faulty, {self.stopped} of {self.runs} runs stopped; {self.samples}"
        )

    def complaints(self) -> list[str]:
        """Return what is wrong."""
        lost = [f"{self.lost} rows lost, {self.invented} invented"] if self.lost or self.invented else []
        return [*lost, *self.samples.complaints(), *self.unfinished]

    def compare(self, found: Rows, due: Rows) -> None:
        """Hold the rows at the target against the truth."""
        for stream, wanted in due.items():
            there = found.get(stream, Counter())
            self.rows += there.total()
            self.lost += (wanted - there).total()
            self.invented += (there - wanted).total()


def soak(part: Part, nursery: Nursery, jobs: int, seed: int) -> Tale:
    """Read a number of jobs of one provider."""
    tale, target = Tale(), Target()
    per_round = min(jobs, part.per_round or jobs)
    options = SandboxOptions(job_polls=1, rows=jobs * ROWS_PER_WINDOW, knobs={part.provider: part.knobs})
    with Sandbox(options) as box:
        config = part.config({**only(box.config(part.provider), part.provider), **CALM, **part.patience()}, per_round)
        kept = {"export_jobs", "closient_exports", "closient_export_sections", "closient_export_files"}
        catalog = catalog_of(nursery, config, lambda name: name in kept or bool(key_of(name)), SPEED)
        number = 0
        while tale.jobs < jobs and not tale.unfinished:
            number += 1
            drawn = {"probability": FAULTY, "seed": seed + number, "actions": ACTIONS}
            box.set_faults({"random": drawn, **part.world()})
            _round(tale, target, box, nursery, (config, catalog))
            box.set_faults(None)
            tale.compare(_rows(target), part.truth(box, config))
            if part.forgets:
                target = Target()
            if number % part.rounds_per_growth == 0:
                box.grow()
    return tale


# A stall is told by a clock that runs faster: a machine that is busy elsewhere must not look like one.
CALM = {
    "poll_interval_seconds": 2,
    "job_stall_timeout_seconds": 3600 * SPEED,
    "progress": "never",
    "max_attempts": 10,
    "lost_reply_search_seconds": 1,
    "job_grace_seconds": 0,
}
ACTIONS = [*PASSING * 5, *STOPPING * 2]


def _round(tale: Tale, target: Target, box: Sandbox, nursery: Nursery, files: tuple[Json, Json]) -> None:
    """Run the tap until all streams are complete, each time from where STATE stands."""
    errors: list[str] = []
    for _ in range(RUNS_PER_ROUND):
        ran = _run(tale, target, box, nursery, files)
        if ran.code == KILLED:
            tale.unfinished.append(f"a run did not end within {LIMIT_SECONDS} s: {ran.stderr[-500:]}")
        if ran.code in {0, KILLED}:
            return
        errors = ran.errors[-3:]
    tale.unfinished.append(f"{RUNS_PER_ROUND} runs did not finish: {errors}")


def _run(tale: Tale, target: Target, box: Sandbox, nursery: Nursery, files: tuple[Json, Json]) -> Ran:
    config, catalog = files
    arguments = arguments_of(nursery.folder, config, state=target.state, catalog=catalog)
    victim = nursery.start(arguments, speed=SPEED)
    with Samples(victim.pid) as samples:
        ran = victim.wait(LIMIT_SECONDS)
    tale.samples = max(tale.samples, samples, key=len)
    tale.runs += 1
    tale.stopped += ran.code != 0
    receipts = [m["record"] for m in ran.messages if m["type"] == "RECORD" and m["stream"] == "export_jobs"]
    tale.jobs += sum(receipt["status"] == "completed" for receipt in receipts)
    journal = box.requests()
    tale.requests += len(journal)
    tale.faulty += sum(entry["fault"] not in {None, "ties"} for entry in journal)
    box.clear_requests()
    target.take(ran.messages)
    return ran


def key_of(stream: str) -> str | None:
    """Return under which name the rows of a stream are told apart, None where it is no stream of rows."""
    if stream.endswith(("_errors", "_sanitized")):
        return None
    return next((name for name in KEYS if stream.startswith(name)), None)


def _rows(target: Target) -> Rows:
    found = {}
    for stream, records in target.records().items():
        if name := key_of(stream):
            found[stream] = Counter(KEYS[name](record) for record in records)
    return found
