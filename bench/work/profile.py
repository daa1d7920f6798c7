"""Where the tap's time goes, by a sampling profiler from outside."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

from bench.lab import Command, Lab
from bench.process import BrokenRunError, complaint
from bench.results import Row
from bench.work.batches import tap_into
from bench.work.pages import tap_of as pages_tap
from bench.work.records import ROWS, tap_of

SHOWN = 15
# What a thread does that is counted as busy although it waits for work or for a result.
WAITING = ("Condition.wait", "Workers._work", "_worker (", "Journal.until")
Shares = list[tuple[str, float]]


def profile(lab: Lab) -> Row:
    """Sample RECORD lines, Parquet, jsonl.gz, and pages."""
    rows, pages = lab.size(ROWS), lab.size(1_000)
    row = lab.row(f"samples of the tap over {rows:,} rows and {pages:,} pages")
    file = lab.table(rows)
    with lab.served(data=lab.pages(pages)) as (_, api):
        row.facts["RECORD lines"] = sampled(lab, tap_of(lab, api, file, "profile"))
        row.facts["Parquet"] = sampled(lab, tap_into(lab, api, file, "profile-parquet", "parquet")())
        row.facts["jsonl.gz"] = sampled(lab, tap_into(lab, api, file, "profile-jsonl", "jsonl")())
        row.facts["pages, 32 in flight"] = sampled(lab, pages_tap(lab, api, 32))
    return row


def sampled(lab: Lab, command: Command) -> Shares:
    """Return the share of each function in the samples.

    Raises:
        BrokenRunError: The profiler may not look into the process, or it failed.
    """
    target = lab.place("samples") / "stacks.txt"
    record: Command = [
        Path(sys.executable).with_name("py-spy"),
        "record",
        "--format",
        "raw",
        "--rate",
        "100",
        "--output",
        target,
    ]
    done = subprocess.run([*record, "--", *command], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if not target.exists():
        raise BrokenRunError(f"py-spy: {complaint(done.stderr)}")
    return shares(target.read_text(encoding="utf-8").splitlines())


def shares(lines: list[str]) -> Shares:
    """Return what share of samples was in each function itself; each line is `outer;…;inner count`."""
    counts: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        if name := inner(stack.split(";")):
            counts[name] += int(count)
    total = sum(counts.values())
    return [(name, count / total) for name, count in counts.most_common(SHOWN)]


def inner(stack: list[str]) -> str:
    """Return the innermost function without its line, and the innermost one of the tap when that is another.

    All imports count as one; nothing is returned for a thread that waits for another.
    """
    if any("importlib" in frame for frame in stack):
        return "imports"
    names = [frame.rpartition(":")[0] + ")" if ":" in frame else frame for frame in stack]
    own = [name for name in names if "tap_exports" in name]
    last = names[-1].replace(sys.prefix, "")
    if last.startswith(WAITING):
        return ""
    return last if not own or own[-1] == names[-1] else f"{last} < {own[-1]}"
