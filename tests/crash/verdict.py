"""What must be true after any story of crashes."""

from __future__ import annotations

import json
from collections import Counter

from tests.crash.drill import CALL_FOR_HELP, Story, ledger_entries
from tests.tap.harness import Json

PROMPT_SECONDS = 10


def faults_of(story: Story, calm: Story) -> list[str]:
    """Return what is wrong with a story, held against an undisturbed run; empty when all promises held."""
    return [
        *_rows(story, calm),
        *_jobs(story, calm),
        *_endings(story),
        *(f"repeated although STATE covers it: {text}" for text in story.target.repeated[:3]),
        *_state(story, calm),
    ]


def _rows(story: Story, calm: Story) -> list[str]:
    found, due = (s.target.rows(s.scenario.clean) for s in (story, calm))
    wrong = []
    for stream in sorted({*found, *due}):
        there, wanted = found.get(stream, Counter()), due.get(stream, Counter())
        for what, rows in (("lost", wanted - there), ("too many", there - wanted)):
            if rows:
                wrong.append(f"{stream}: {rows.total()} rows {what}, such as {next(iter(rows))[:300]}")
    return wrong


def _jobs(story: Story, calm: Story) -> list[str]:
    wrong = [
        f"created {number} times, allowed are {story.allowed[asked]}: {asked}"
        for asked, number in story.created.items()
        if number > story.allowed[asked]
    ]
    if story.scenario.provider != "cension" and story.spent.get("credits") != calm.spent.get("credits"):
        wrong.append(f"spent {story.spent}, undisturbed {calm.spent}")
    own = {record["_sdc_job_id"] for table in story.runs for record in _job_rows(table.messages)}
    wrong += [f"{path} was deleted" for path in story.deleted if path.rpartition("/")[2] not in own]
    return wrong


def _job_rows(messages: list[Json]) -> list[Json]:
    return [m["record"] for m in messages if m["type"] == "RECORD" and "_sdc_job_id" in m["record"]]


def _endings(story: Story) -> list[str]:
    wrong = [
        f"traceback: {ran.stderr.partition('Traceback')[2][:2000]}" for ran in story.runs if "Traceback" in ran.stderr
    ]
    last = story.runs[-1]
    if last.code or last.errors:
        wrong.append(f"the last run ended with {last.code}: {last.errors}")
    wrong += [
        f"a run ended with {ran.code}: {ran.errors}"
        for ran in story.runs
        if ran.code == 1 and not any(CALL_FOR_HELP in error for error in ran.errors)
    ]
    if story.unheard:
        wrong.append("went on after SIGTERM")
    if story.slowest > PROMPT_SECONDS:
        wrong.append(f"took {story.slowest:.1f} s to end")
    return wrong


def _state(story: Story, calm: Story) -> list[str]:
    ends, due = bookmarks(story), bookmarks(calm)
    wrong = [f"STATE of {s}: {ends.get(s)}, undisturbed {due.get(s)}" for s in due if ends.get(s) != due[s]]
    if left := ledger_entries(story.target.state):
        wrong.append(f"left in the ledger: {json.dumps(left)}")
    return wrong


def bookmarks(story: Story) -> dict[str, object]:
    """Return the final bookmarks that do not follow the clock or the number of runs that were begun."""
    state = (story.target.state or {"bookmarks": {}})["bookmarks"]
    values = {s: b.get("replication_key_value") for s, b in state.items()}
    moving = {"export_jobs", "packagex_exports", "cension_export_companies", "cension_operations"}
    return {s: value for s, value in values.items() if s not in moving and value is not None}
