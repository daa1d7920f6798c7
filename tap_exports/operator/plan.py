"""`tap-exports plan`: what the next run would do; it reads lists of jobs at most, and creates nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import click

from tap_exports.engine.activity import counted
from tap_exports.engine.api import Prices, creation_costs
from tap_exports.engine.model import Action, Step
from tap_exports.engine.run.growth import LAG
from tap_exports.operator.loading import (
    config_option,
    format_option,
    is_selected,
    load,
    provider_of,
    read_state,
    selected,
    state_options,
    streams_of,
)
from tap_exports.operator.origins import Origins, take_over_ledger
from tap_exports.operator.render import show
from tap_exports.operator.report import Report, Table, short, window_cell, window_json
from tap_exports.singer.streams.kinds import ExportStream
from tap_exports.singer.streams.stream import EventStream
from tap_exports.singer.tap import explain
from tap_exports.tap import PROVIDERS, TapExports

# Requests to the API that a step takes at least; downloads go to another host.
LEAST_REQUESTS = {
    Action.CREATE: 3,  # create, poll, URL of the file
    Action.ATTACH: 2,  # poll, URL
    Action.FIND: 3,  # list, poll, URL
    Action.COLLECT: 1,  # URL, or the first page
    Action.LIST: 1,  # the first page
    Action.DELETE: 1,
}
BUYS = frozenset({Action.CREATE, Action.FIND})
VARIES = "the run joins windows while nothing comes, or cuts those that are too large: fewer or more jobs than shown"
LATER = "a later run, unless jobs before it end in this one (job_wait: detach)"
STEPS_SHOWN = 12  # of a stream, in text


@dataclass(frozen=True, slots=True)
class Planned:
    """What the next run would do for one stream.

    Attributes:
        stream: Its name.
        provider: Whose stream it is.
        bookmark: The bookmark of the incoming STATE, or None.
        steps: What would be done, in order.
        credits: The most that it may cost; None: nobody tells.
        error: Why it cannot be planned, or None.
        varies: Whether the run may cut windows otherwise, by what comes of those before.
    """

    stream: str
    provider: str
    bookmark: str | int | None
    steps: Sequence[Step] = ()
    credits: int | None = 0
    error: str | None = None
    varies: bool = False

    @property
    def requests(self) -> int:
        """Return the requests to the API that it takes at least."""
        return sum(LEAST_REQUESTS.get(step.action, 0) for step in self.steps)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "stream": self.stream,
            "provider": self.provider,
            "bookmark": self.bookmark,
            "steps": [_step_json(step) for step in self.steps],
            "requests_min": self.requests,
            "credits_max": self.credits,
            "windows_vary": self.varies,
            "error": self.error,
        }


@click.command("plan")
@config_option
@state_options
@format_option
@click.option("--catalog", metavar="FILE", help="Catalog whose selection counts; default: all streams")
def command(
    config: tuple[str, ...], state: str | None, state_id: str | None, catalog: str | None, form: str | None
) -> int:
    """Show what the next run would do: windows, jobs, requests, credits, and what is skipped.

    Nothing is created. Providers are asked for their time, definitions and, with `mode: collect`, for lists of jobs.
    """
    tap = load(config, read_state(state, state_id, config), catalog)
    plans = planned(tap)
    return show(report(plans, unplanned(tap)), form)


def planned(tap: TapExports) -> list[Planned]:
    """Return the plan of each selected stream, in the order of a run."""
    for stream in selected(tap):
        try:
            stream.settle_state()
        except Exception as error:  # noqa: BLE001, PERF203 - whatever it is, it fails this stream, at its turn
            stream.failed_start = error
    origins = take_over_ledger(tap)
    room = _room(selected(tap)) if tap.config["job_wait"] == "detach" else {}
    return [_plan(tap, stream, origins, room) for stream in selected(tap)]


def _room(streams: Iterable[EventStream]) -> dict[int, int]:
    """Return how many jobs may be created beside the open ones, by the account that all streams of a provider share."""
    room: dict[int, int] = {}
    for stream in streams:
        if isinstance(stream, ExportStream) and not stream.failed_start:
            most = stream.lifecycle.settings.max_concurrent_jobs
            room[id(stream.lifecycle)] = room.get(id(stream.lifecycle), most) - len(stream.make_ledger().entries)
    return room


def unplanned(tap: TapExports) -> list[tuple[str, str]]:
    """Return what the next run does not do at all, and why."""
    idle = [
        (name, "no block in the configuration, so no key and no stream")
        for name in PROVIDERS
        if not tap.config.get(name)
    ]
    idle += [(name, error.message) for name, error in tap.unusable.items()]
    idle += [(s.name, "deselected in the catalog") for _, s in streams_of(tap) if not is_selected(tap, s)]
    gone = [name for name in tap.state.get("bookmarks", {}) if provider_of(name) and name not in tap.by_name]
    return idle + [(name, "in STATE, but not in the configuration; its bookmark is kept") for name in gone]


def _plan(tap: TapExports, stream: EventStream, origins: Origins, room: dict[int, int]) -> Planned:
    provider = stream.provider_name
    bookmark = tap.state.get("bookmarks", {}).get(stream.name, {}).get("replication_key_value")
    try:
        steps = list(_with_notes(tap, stream, origins, room))
        return Planned(stream.name, provider, bookmark, steps, _credits(stream, steps), varies=_varies(stream, steps))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this stream's alone
        return Planned(stream.name, provider, bookmark, error=explain(error))


def _varies(stream: EventStream, steps: Sequence[Step]) -> bool:
    """Return whether the windows of jobs to be created depend on what comes of those before."""
    export = stream.export() if isinstance(stream, ExportStream) else None
    created = sum(step.action is Action.CREATE for step in steps)
    may_join = export is not None and export.grows and created > LAG
    return may_join or (bool(created) and getattr(export, "sizes_itself", False))


def _with_notes(tap: TapExports, stream: EventStream, origins: Origins, room: dict[int, int]) -> Iterator[Step]:
    """Yield the steps of a run; with `detach` those that are more than jobs may be open wait for a later run."""
    account = id(stream.lifecycle) if isinstance(stream, ExportStream) else None
    if stream.failed_start:
        raise stream.failed_start
    stalls = {entry.id: entry.stalls for entry in stream.make_ledger().entries if entry.stalls}
    for step in stream.make_run().plan():
        late = False
        if account in room and step.action is Action.CREATE:
            room[account] -= 1
            late = room[account] < 0
        stalled = _stalled(stalls.get(step.job, 0), tap.config["job_stalls_max"]) if step.job else ""
        note = LATER if late else "; ".join(filter(None, (step.note, origins.note(stream.name, step), stalled)))
        yield Step(step.action, step.window, step.job, note)


def _stalled(stalls: int, most: int) -> str:
    """Return how often a job was stalled, and what becomes of it if it does not move in this run either."""
    if not stalls:
        return ""
    then = "discarded if it still hangs" if stalls + 1 >= most else "waited for"
    return f"stalled in {counted(stalls, 'run')}: {then} (job_stalls_max)"


def _credits(stream: EventStream, steps: Sequence[Step]) -> int | None:
    """Return the most that creations may cost together: they share the limit of the run."""
    api = stream.asked
    bought = sum(step.action in BUYS for step in steps)
    if not bought or not creation_costs(api):
        return 0
    return bought * api.most_credits() if isinstance(api, Prices) else None


def report(streams: Sequence[Planned], idle: Sequence[tuple[str, str]]) -> Report:
    """Return the plan as a report."""
    data = {
        "command": "plan",
        "version": 1,
        "streams": [stream.as_json() for stream in streams],
        "idle": [{"name": name, "reason": reason} for name, reason in idle],
    }
    tables = [Table(("stream", "bookmark", "does", "requests", "credits"), [_row(s) for s in streams], "Next run")]
    steps = [row for stream in streams for row in _step_rows(stream)]
    tables += [Table(("stream", "step", "window", "job", "note"), steps, "Steps")] if steps else []
    notes = [f"{stream.stream}: cannot be planned: {stream.error}" for stream in streams if stream.error]
    varying = [stream.stream for stream in streams if stream.varies]
    notes += [f"{', '.join(varying)}: {VARIES}"] if varying else []
    notes += _idle_notes(idle)
    return Report(data, tables, notes, not any(stream.error for stream in streams))


def _idle_notes(idle: Sequence[tuple[str, str]]) -> list[str]:
    """Return one sentence per reason."""
    names: dict[str, list[str]] = {}
    for name, reason in idle:
        names.setdefault(reason, []).append(name)
    return [f"{', '.join(each)}: {reason}" for reason, each in names.items()]


def _row(stream: Planned) -> tuple[str, ...]:
    counts = Counter(step.action for step in stream.steps)
    does = ", ".join(f"{action.value} {counts[action]}" for action in Action if counts[action])
    most = "unknown" if stream.credits is None else f"up to {stream.credits}" if stream.credits else "none"
    bookmark = "" if stream.bookmark is None else short(str(stream.bookmark))
    return stream.stream, bookmark, does or "failed", f"{stream.requests} or more", most


def _step_rows(stream: Planned) -> Iterator[tuple[str, ...]]:
    told = [step for step in stream.steps if step.action is not Action.LIST]
    for step in told[:STEPS_SHOWN]:
        yield stream.stream, step.action.value, window_cell(step.window), step.job or "", step.note
    if len(told) > STEPS_SHOWN:
        yield stream.stream, "…", "", "", f"{len(told) - STEPS_SHOWN} more; --format json shows all"


def _step_json(step: Step) -> dict[str, Any]:
    return {"action": step.action.value, "window": window_json(step.window), "job": step.job, "note": step.note}
