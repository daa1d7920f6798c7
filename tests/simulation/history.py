"""Plays a story: the real tap, run by run, between the models of a provider and of a target."""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import random
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from fsspec.implementations.memory import MemoryFileSystem

from tap_exports.engine.clock import SystemClock
from tap_exports.engine.http.session import Session
from tap_exports.errors import RunEndingError, TapError, Terminated
from tap_exports.tap import TapExports
from tests.simulation.cornect import Cornect
from tests.simulation.exelensia import Exelensia
from tests.simulation.jobs import FOREIGN, NEVER, Record
from tests.simulation.oracle import is_settled
from tests.simulation.played import History, Ran
from tests.simulation.story import DAY, HOUR, KILLED_LOADER, Story
from tests.simulation.target import Pipe, Target
from tests.simulation.threads import Clock, Deadlock, Killed, Scheduler, replaced, stand_ins
from tests.simulation.world import BEGINNING, Endless, Json, Network, World

LEDGER = "/ledger-of-a-history"
MODELS: dict[str, type[Exelensia | Cornect]] = {"exelensia": Exelensia, "cornect": Cornect}
CALM_RUNS = 3
MOST_CALM_RUNS = {"wait": 3, "detach": 16}  # a run that detaches leaves its jobs, few at a time, to the next one
_CATALOGS: dict[str, Json] = {}


def play(story: Story) -> History:
    """Play a story to its calm end."""
    turns, chance = (random.Random(f"{story.seed}/{what}") for what in ("turns", "world"))  # noqa: S311 - as drawn
    scheduler = Scheduler(turns, BEGINNING)
    world = World(scheduler, chance, story.troubles)
    account = MODELS[story.provider](world, story.page)
    world.provider = account
    account.records = [_record(i, *about) for i, about in enumerate(story.records, 1)]
    history = History(story, world, account, Target())
    with _simulated(world), tempfile.TemporaryDirectory() as spool, _ledger() as ledger:
        _play(history, {**story.config, "spool_dir": spool, "ledger": ledger})
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
    with replaced({**stand_ins(scheduler), **places}), _quiet():
        random.seed(world.draw.random())
        sys.unraisablehook = lambda raised: None if raised.exc_type is Killed else hook(raised)
        try:
            yield
        finally:
            sys.unraisablehook = hook
            random.setstate(before)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep logs off the terminal; `_Said` hears them."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers, root.level = [], logging.WARNING
    try:
        yield
    finally:
        root.handlers, root.level = handlers, level


class _Said(logging.Handler):
    """Keeps what a run says."""

    def __init__(self, ran: Ran) -> None:
        super().__init__(logging.WARNING)
        self._ran = ran

    def emit(self, record: logging.LogRecord) -> None:
        self._ran.warnings.append(record.getMessage())


def _play(history: History, config: Json) -> None:
    world, story, stale = history.world, history.story, 0
    for number, gap in enumerate((*story.gaps, *[HOUR] * MOST_CALM_RUNS[story.config["job_wait"]]), start=1):
        if number > len(story.gaps) + CALM_RUNS and is_settled(history):
            break
        world.scheduler.now += gap
        world.is_calm = number > len(story.gaps)
        world.begin_run()
        if change := world.trouble("settings", number):
            config = _changed(config, story.provider, change.value)
            world.tell(f"the settings change: {change.value}")
        if world.trouble(FOREIGN, number) and isinstance(history.account, Exelensia):
            history.account.make_foreign(BEGINNING - 3 * DAY, world.now - 60)
            world.scheduler.now += 120
        older = world.trouble("older STATE", number)
        stale = int(older.value) if older else 0
        history.began[number] = world.now
        ran = Ran(number, config)
        history.runs.append(ran)
        state = history.target.state(stale)
        before = copy.deepcopy(history.target)
        _run(history, ran, state)
        if world.trouble(KILLED_LOADER, number):
            history.target.put_back(before)
            world.tell("the loader kept nothing of this run")
        _tell(world, ran)


def _changed(config: Json, provider: str, change: Json) -> Json:
    block = config[provider]
    return {**config, provider: {**block, "exports": [{**block["exports"][0], **change}]}}


def _tell(world: World, ran: Ran) -> None:
    said = "; ".join(f"{stream}: {message}" for stream, message in ran.failures.items())
    world.tell(f"the run {ran.ending}" + (f", failed: {said}" if said else ""))


def _run(history: History, ran: Ran, state: Json | None) -> None:
    """Run the tap once as a process of its own."""
    said = _Said(ran)
    logging.getLogger().addHandler(said)
    catalog = _catalog(history, ran.config)
    history.world.scheduler.begin()
    pipe = Pipe(history.world, history.target)
    try:
        _sync(ran, pipe, state, catalog)
    except Killed:
        ran.ending = "died"
    except Deadlock:
        ran.ending = "is stuck: every thread waits for another"
    except Endless:
        ran.ending = "asks for ever"
    finally:
        history.world.scheduler.end()
        logging.getLogger().removeHandler(said)


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
    known = json.dumps([config[history.story.provider], history.story.streams])
    if known not in _CATALOGS:
        _CATALOGS[known] = _discovered(history, config)
    return copy.deepcopy(_CATALOGS[known])


def _discovered(history: History, config: Json) -> Json:
    story = history.story
    scheduler = Scheduler(random.Random(0), BEGINNING)  # noqa: S311 - nothing is drawn
    world = World(scheduler, random.Random(0), ())  # noqa: S311 - nothing is drawn
    account = MODELS[story.provider](world)
    world.provider = account
    account.records = [_record(n, -3600.0 * n, 0.0, "s1") for n in range(1, 4)]
    with _simulated(world):
        scheduler.begin()
        catalog: Json = TapExports(config=copy.deepcopy(config), message_writer=Pipe(world, Target())).catalog_dict
        scheduler.end()
    return {"streams": [entry for entry in catalog["streams"] if entry["tap_stream_id"] in story.streams]}


def shorter(story: Story) -> Story:
    """Return a story without its last run."""
    return replace(story, gaps=story.gaps[:-1])
