"""Plays a story: the real tap, run by run, between the models of a provider and of a target."""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from unittest.mock import patch

from fsspec.implementations.memory import MemoryFileSystem

from tap_exports import settings
from tap_exports.engine.clock import SystemClock
from tap_exports.engine.http.session import Session
from tap_exports.errors import RunEndingError, TapError, Terminated
from tap_exports.tap import TapExports
from tests.simulation.cension import Cension
from tests.simulation.closient import Closient
from tests.simulation.cornect import Cornect
from tests.simulation.exelensia import Exelensia
from tests.simulation.jobs import DAY, FOREIGN, NEVER, TWIN, Account, Record
from tests.simulation.network import Network
from tests.simulation.oracle import is_settled, look
from tests.simulation.packagex import Packagex
from tests.simulation.played import History, Side
from tests.simulation.scheduler import Deadlock, Killed, Scheduler
from tests.simulation.story import HOUR, Story
from tests.simulation.target import Pipe, Target
from tests.simulation.threads import Clock, replaced, stand_ins
from tests.simulation.troubles import KILLED_LOADER, LONGEST
from tests.simulation.world import BEGINNING, Endless, Json, Ran, World

MODELS: dict[str, type[Account]] = {
    "cension": Cension,
    "closient": Closient,
    "cornect": Cornect,
    "exelensia": Exelensia,
    "packagex": Packagex,
}
LEDGER = "/ledger-of-a-history"
CALM_RUNS, FEWEST_CALM_RUNS = 3, 2  # the third only brings what the first two changed
MOST_CALM_RUNS = {"wait": 3, "detach": 16}  # a run that detaches leaves its jobs, few at a time, to the next one
RUNS_OF_HOURS = 3  # times as many, where an export covers hours only and one window may be asked for in a run
RUNS_OF_LOOKBACK = 3  # that a window takes, of which two are read again, where a run creates one job
_CATALOGS: dict[str, dict[str, str]] = {}
# Settings that change nothing in a catalog, so that a catalog is discovered for many stories.
APART = (
    "max_window_days",
    "delete_after_load",
    "max_credits",
    "archive_format",
    "on_failed_run",
    "format",
    "window_size",
    "lookback",
    "lookback_rows",
)


def play(story: Story) -> History:
    """Play a story to its calm end."""
    turns, chance = (random.Random(f"{story.seed}/{what}") for what in ("turns", "world"))  # noqa: S311 - as drawn
    scheduler = Scheduler(turns, BEGINNING)
    world = World(scheduler, chance, story.troubles)
    account = MODELS[story.provider](world, story.page)
    world.provider = account
    account.records = [_record(i, *about) for i, about in enumerate(story.records, 1)]
    account.prepare(story.config)
    history = History(story, world, account)
    with _simulated(world), tempfile.TemporaryDirectory() as spool:
        for number in range(2 if story.twin else 1):
            ledger = f"{LEDGER}-{number}"
            MemoryFileSystem.store.pop(ledger, None)
            side = Side({**story.config, "spool_dir": spool, "ledger": f"memory:/{ledger}"}, Target())
            side.target.look = partial(look, history, side)
            history.sides.append(side)
        _play(history)
    return history


@contextlib.contextmanager
def _ledger() -> Iterator[str]:
    """Give the taps of one history a durable ledger in memory."""
    MemoryFileSystem.store.pop(LEDGER, None)
    yield f"memory:/{LEDGER}"
    MemoryFileSystem.store.pop(LEDGER, None)


def _record(number: int, at: float, late: float, kind: str) -> Record:
    name = f"r{number:03}"
    return Record(name, round(BEGINNING + at, 3), {"number": name, "customer": f"c{number % 7}"}, late, NEVER, kind)


@contextlib.contextmanager
def _simulated(world: World) -> Iterator[None]:
    """Put the stand-ins in their places; the global dice are the history's as well."""
    scheduler, before, hook = world.scheduler, random.getstate(), sys.unraisablehook
    places = {
        id(SystemClock): lambda: Clock(scheduler, world.instant, lambda: RunEndingError("the run is ending")),
        id(Session): partial(Network, world),
    }
    quick = patch.object(settings, "KEY_ROUNDS", 1)  # of the digest of an account, a third of the time of a history
    with quick, replaced({**stand_ins(scheduler), **places}), _heard(world):
        random.seed(world.draw.random())
        sys.unraisablehook = lambda raised: None if raised.exc_type is Killed else hook(raised)
        try:
            yield
        finally:
            sys.unraisablehook = hook
            random.setstate(before)


@contextlib.contextmanager
def _heard(world: World) -> Iterator[None]:
    """Keep logs off the terminal; `_Said` hears them."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers, root.level = [_Said(world)], logging.WARNING
    try:
        yield
    finally:
        root.handlers, root.level = handlers, level


class _Said(logging.Handler):
    """Keeps what each run says."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.WARNING)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        self._world.ran.warnings.append(record.getMessage())


def _play(history: History) -> None:
    """Play the runs in trouble of all taps at once, then the calm ones."""
    world, story = history.world, history.story
    plans = [(story.gaps, 1), (story.twin, TWIN)][: len(history.sides)]
    in_trouble = [partial(_troubled, history, s, *plan) for s, plan in zip(history.sides, plans, strict=True)]
    world.scheduler.beside(in_trouble)
    world.is_calm = True
    world.scheduler.beside(
        [partial(_calm, history, side, len(g) + n) for side, (g, n) in zip(history.sides, plans, strict=True)]
    )


def _troubled(history: History, side: Side, gaps: Sequence[float], first: int) -> None:
    world, story = history.world, history.story
    for number, gap in enumerate(gaps, start=first):
        world.scheduler.sleep(gap)
        ran = Ran(number, side.config)
        if change := world.trouble("settings", number):
            side.config = _changed(side.config, story.provider, change.value)
            world.tell(f"the settings change: {change.value}", ran)
        older = world.trouble("older STATE", number)
        stale = int(older.value) if older else 0
        state, kept = side.target.state(stale), side.target.flushed()
        _run(history, side, state, number)
        if world.trouble(KILLED_LOADER, number):
            side.target.restore(kept)
            world.tell("the loader kept nothing of this run")


def _most_calm_runs(story: Story) -> int:
    """Return how many calm runs there may be; with `detach`, `lookback` begins again when the bookmark has moved."""
    most = MOST_CALM_RUNS[story.config["job_wait"]]
    if story.config["job_wait"] != "detach":
        return most
    looks_back = any(entry.get("lookback") for entry in story.config[story.provider].get("exports", ()))
    covers_hours = any(trouble.kind == LONGEST for trouble in story.troubles)
    return most * (RUNS_OF_LOOKBACK if looks_back else 1) * (RUNS_OF_HOURS if covers_hours else 1)


def _calm(history: History, side: Side, number: int) -> None:
    for run in range(_most_calm_runs(history.story)):
        if run >= (CALM_RUNS if history.story.seed % 4 == 1 else FEWEST_CALM_RUNS) and is_settled(history):
            return
        history.world.scheduler.sleep(HOUR)
        _run(history, side, side.target.state(), number + run)
    # A run that said by name what it could not prove may have left to the last one what had been created long before.
    if side.runs[-2].failures and not side.last.failures and not is_settled(history):
        history.world.scheduler.sleep(HOUR)
        _run(history, side, side.target.state(), number + _most_calm_runs(history.story))


def _changed(config: Json, provider: str, change: Json) -> Json:
    block = config[provider]
    return {**config, provider: {**block, "exports": [{**block["exports"][0], **change}]}}


def _run(history: History, side: Side, state: Json | None, number: int) -> None:
    """Run the tap once as a process of its own."""
    world, ran = history.world, Ran(number, side.config)
    catalog = _catalog(history, ran.config)
    world.scheduler.begin(ran)
    if world.trouble(FOREIGN, number):
        history.account.make_foreign(BEGINNING - 3 * DAY, world.now - 60)
        world.scheduler.sleep(2 * 60)
    ran.began = world.now
    side.runs.append(ran)
    try:
        _sync(ran, Pipe(world, side.target), state, catalog)
    except Killed:
        ran.ending = "died"
    except Deadlock:
        ran.ending = "is stuck: every thread waits for another"
    except Endless:
        ran.ending = "asks for ever"
    finally:
        world.scheduler.end()
    said = "; ".join(f"{stream}: {message}" for stream, message in ran.failures.items())
    world.tell(f"the run {ran.ending}" + (f", failed: {said}" if said else ""), ran)


def _sync(ran: Ran, pipe: Pipe, state: Json | None, catalog: Json) -> None:
    try:
        tap = TapExports(
            config=copy.deepcopy(ran.config), state=copy.deepcopy(state), catalog=catalog, message_writer=pipe
        )
        _synced(tap, ran)
    except TapError as error:
        ran.failures["*"] = error.message
        return
    tap.end()


def _synced(tap: TapExports, ran: Ran) -> None:
    """Sync all streams; a SIGTERM ends them early, and `end` follows as in `command`."""
    try:
        tap.sync_all()
        tap.account()
    except Terminated:
        ran.ending = "was told to end"
    ran.failures.update(tap.failures)


def _catalog(history: History, config: Json) -> Json:
    """Return the catalog of a configuration, only with the streams of the story; discovered once, in a calm world."""
    provider = history.story.provider
    known = json.dumps([_plain(config[provider]), *(_plain(one) for one in config[provider].get("exports", ()))])
    if known not in _CATALOGS:
        _CATALOGS[known] = {e["tap_stream_id"]: json.dumps(e) for e in _discovered(provider, config)["streams"]}
    entries = _CATALOGS[known]
    return {"streams": [json.loads(entries[name]) for name in entries if name in history.story.streams]}


def _plain(block: Json) -> Json:
    """Return settings without those that change nothing in a catalog."""
    return {name: value for name, value in block.items() if name not in {*APART, "exports"}}


def _discovered(provider: str, config: Json) -> Json:
    scheduler = Scheduler(random.Random(0), BEGINNING)  # noqa: S311 - nothing is drawn
    world = World(scheduler, random.Random(0), ())  # noqa: S311 - nothing is drawn
    account = MODELS[provider](world)
    world.provider = account
    account.records = [_record(n, -3600.0 * n, 0.0, f"s{n}") for n in range(1, 4)]
    account.prepare(config)
    with _simulated(world):
        scheduler.begin(Ran(0, config))
        catalog: Json = TapExports(config=copy.deepcopy(config), message_writer=Pipe(world, Target())).catalog_dict
        scheduler.end()
    return catalog


def shorter(story: Story) -> Story:
    """Return a story without its last run."""
    return replace(story, gaps=story.gaps[:-1])
