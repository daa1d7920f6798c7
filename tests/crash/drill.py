"""A story of crashes: the tap is struck, begins again where STATE stands, and at last runs to its end."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from tests.crash.points import LINE, Place, Strike, places
from tests.crash.scenarios import FIRST_BEGUN, Scenario
from tests.crash.target import Target
from tests.crash.victim import Nursery, Victim
from tests.crash.watched import Garble, Watched
from tests.crash.worlds import LAG_SECONDS, World
from tests.tap.harness import Json, Ran, arguments_of

HELPS = 3  # a person is asked once for each crash, at most
_NUMBERS = count()
CALL_FOR_HELP = "nothing is created again"


@dataclass(slots=True)
class Story:
    """What several runs left.

    Attributes:
        scenario: Of which provider.
        runs: The runs, the last one undisturbed.
        target: What they left at a target.
        created: How often each job was created at the provider, by what it was asked for.
        allowed: How often it may have been.
        deleted: Paths of jobs that were deleted.
        spent: The provider's own account.
        reached: How many of the strikes hit.
        unheard: How many runs were asked to end and went on.
        slowest: Most seconds from a strike to the end of the process.
    """

    scenario: Scenario
    runs: list[Ran] = field(default_factory=list)
    target: Target = field(default_factory=Target)
    created: Counter[str] = field(default_factory=Counter)
    allowed: Counter[str] = field(default_factory=Counter)
    deleted: list[str] = field(default_factory=list)
    spent: Json = field(default_factory=dict)
    reached: int = 0
    unheard: int = 0
    slowest: float = 0.0

    def take(self, ran: Ran, box: Watched, *, lost: bool = False, durable: Sequence[Json] = ()) -> None:
        """Take a run into account.

        A job may be created once; where later runs repeat, once more for each run after which STATE names it no more;
        where it costs nothing, once more for each run that died before the reply was in STATE.

        Args:
            ran: The run.
            box: The sandbox.
            lost: Whether the loader was killed before it kept anything of it.
            durable: Entries of the durable ledger.
        """
        self.runs.append(ran)
        if not lost:
            self.target.take(ran.messages)
        entries = [*ledger_entries(self.target.state), *(durable if lost else ())]
        creations = self.scenario.creations(box)
        self.created = Counter(asked_for(entry) for entry in creations)
        for asked, fingerprint in {asked_for(e): self.scenario.fingerprint(e) for e in creations}.items():
            known = [e for e in entries if fingerprint in {None, e["fingerprint"]}]
            self.allowed[asked] += not self.allowed[asked]
            self.allowed[asked] += self.scenario.repeats and not known and not lost
            self.allowed[asked] += self.scenario.is_free and any("id" not in e for e in known)


def _new_ledger(nursery: Nursery) -> str:
    """Return where a story's taps keep their durable ledger."""
    return str(nursery.folder / f"ledger-{next(_NUMBERS)}.json")


def asked_for(entry: Json) -> str:
    """Return what a creation asks for."""
    return json.dumps([entry["path"], entry["query"], entry["body_json"]], sort_keys=True)


def ledger_entries(state: Json | None) -> list[Json]:
    """Return the jobs and intents of a STATE."""
    ledgers = [bookmark.get("ledger", {}) for bookmark in (state or {}).get("bookmarks", {}).values()]
    return [entry for ledger in ledgers for key in ("jobs", "intents") for entry in ledger.get(key, ())]


def durable_entries(config: Json) -> list[Json]:
    """Return the jobs and intents of a durable ledger."""
    path = Path(config["ledger"])
    sections = json.loads(path.read_bytes())["streams"].values() if path.exists() else ()
    return [entry for section in sections for key in ("jobs", "intents") for entry in section[key]]


def tell(
    scenario: Scenario,
    strikes: Sequence[Strike],
    nursery: Nursery,
    garble: Garble | None = None,
    world: World | None = None,
    *,
    loses: bool = False,
    **changes: object,
) -> Story:
    """Run the tap into each strike, one after the other, then to its end.

    Args:
        scenario: Which provider.
        strikes: The crashes; what is left of them is skipped once a run reached its end.
        nursery: Starts the taps.
        garble: What becomes of the answers of the first run.
        world: How the provider misbehaves throughout.
        loses: Whether the loader dies with each run that is struck, before it has kept anything of it.
        changes: To the configuration.
    """
    story, world = Story(scenario), world or World()
    with scenario.sandbox(world.plan(scenario.provider), knobs=world.knobs(scenario.provider)) as box:
        config = {**scenario.config(box), **world.settings(), "ledger": _new_ledger(nursery), **changes}
        box.garble = garble
        for strike in strikes:
            _run(story, box, config, nursery, strike, loses=loses)
            config = _helped(story, box, config)
        for _ in range(HELPS + 1):
            _run(story, box, config, nursery, None)
            helped = _helped(story, box, config)
            if helped is config:
                break
            config, box.garble = helped, None
        story.deleted = [e["path"] for e in box.requests() if e["method"] == "DELETE"]
        story.spent = box.spend()[scenario.provider]
    return story


def recorded(scenario: Scenario, nursery: Nursery) -> tuple[Story, list[Place]]:
    """Return an undisturbed run, and every point of it."""
    story = Story(scenario)
    with scenario.sandbox() as box:
        _run(story, box, {**scenario.config(box), "ledger": _new_ledger(nursery)}, nursery, None)
        story.spent = box.spend()[scenario.provider]
        return story, places(box.requests(), story.runs[0].lines)


def catalog_of(nursery: Nursery, config: Json, wanted: Callable[[str], bool], speed: float = 1) -> Json:
    """Return the catalog with some streams selected."""
    found = nursery.start([*arguments_of(nursery.folder, config), "--discover"], speed=speed).wait()
    assert found.code == 0, found.stderr
    catalog: Json = json.loads(b"".join(found.lines))
    for entry in catalog["streams"]:
        entry["metadata"] = [{"breadcrumb": [], "metadata": {"selected": wanted(entry["tap_stream_id"])}}]
    return catalog


def _run(
    story: Story, box: Watched, config: Json, nursery: Nursery, strike: Strike | None, *, loses: bool = False
) -> None:
    at_line = strike if strike and strike.place.kind == LINE else None
    at_request = strike if not at_line else None
    started: Future[Victim] = Future()
    way = at_request.way if at_request else ""
    box.arm(at_request.place if at_request else None, lambda: started.result().strike(way))
    arguments = arguments_of(nursery.folder, config, state=story.target.state)
    started.set_result(victim := nursery.start(arguments, at_line))
    ran = victim.wait()
    story.slowest = max(story.slowest, victim.seconds_to_end)
    story.unheard += box.struck and way == "SIGTERM" and ran.code == 0
    story.reached += box.struck or (at_line is not None and ran.code != 0)
    box.arm(None, bool)
    story.take(ran, box, lost=loses and ran.code != 0, durable=durable_entries(config))


def _helped(story: Story, box: Watched, config: Json) -> Json:
    """Do what a person does when the tap says that it cannot know whether a run was begun; see docs/state.md."""
    if CALL_FOR_HELP not in story.runs[-1].stderr:
        return config
    if story.scenario.provider != "cension":
        return dict(config)  # the next run looks again, and knows once the grace has passed
    time.sleep(LAG_SECONDS)  # what a person sees at the dashboard is there for all by now
    state: Json = {"bookmarks": {}, **deepcopy(story.target.state or {})}  # a loader that died kept nothing
    proven = state["bookmarks"].get("cension_export_companies", {}).get("replication_key_value", 0)
    known = [o["operationId"] for o in box.truth("cension/operations")]
    begun = [number for number in known if number >= max(FIRST_BEGUN, proven + 1)]
    if begun:
        config = deepcopy(config)
        config["cension"]["operation_ids"] = sorted({*config["cension"]["operation_ids"], *begun})
        return config
    for bookmark in state["bookmarks"].values():
        bookmark.get("ledger", {}).pop("intents", None)
    story.target.state = state
    kept = Path(config["ledger"])
    whole = json.loads(kept.read_bytes())
    for section in whole["streams"].values():
        section["intents"] = []
    kept.write_text(json.dumps(whole), encoding="utf-8")
    return dict(config)
