"""docs/runbook.md: each command runs as it stands there, and prints what stands below it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tap_exports.sandbox import Sandbox, SandboxOptions
from tests.operator.calling import Caller, Json
from tests.process.child import Child
from tests.tap.harness import only, tap

PAGE = Path(__file__).resolve().parents[2] / "docs" / "runbook.md"
SECTION = re.compile(r"^## (.*?)\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
INVOICES = "exelensia_export_invoices"
END = "2024-06-30T00:00:00Z"
INTENT = {"fingerprint": "f", "window": None, "requested_at": "2026-01-01T00:00:00.000Z"}


class World:
    """A sandbox with a configuration and the STATE of a run before.

    Attributes:
        config: The configuration, of one export of invoices.
        words: What stands in commands for what is known only now.
    """

    def __init__(self, box: Sandbox, folder: Path) -> None:
        self.box, self.folder, self.words = box, folder, dict[str, str]()
        whole = only(box.config("exelensia"), "exelensia")
        exports = [entry for entry in whole["exelensia"]["exports"] if entry["name"] == "invoices"]
        self.config: Json = {**whole, "progress": "never", "end_date": END, "poll_interval_seconds": 0.2}
        self.config["exelensia"]["exports"] = exports

    def ran(self, **changes: object) -> Json:
        """Return the STATE of a run, reduced to the export and one list."""
        state = tap(self.folder, {**self.config, **changes}).succeeded().states[-1]
        kept = (INVOICES, "exelensia_files")
        return {"bookmarks": {name: each for name, each in state["bookmarks"].items() if name in kept}}


def as_it_is(world: World) -> Json:
    return world.ran()


def since_april(world: World) -> Json:
    world.config["start_date"] = "2024-04-01T00:00:00Z"
    return world.ran()


def expired(world: World) -> Json:
    state = world.ran()
    world.config["exelensia"]["api_key"] = "an-expired-key"
    return state


def full(world: World) -> Json:
    state = world.ran()
    world.config["spool_max_mb"] = 100_000_000
    return state


def hanging(world: World) -> Json:
    state = world.ran(job_wait="detach")
    (job,) = state["bookmarks"][INVOICES]["ledger"]["jobs"]
    world.words["JOB"] = job["id"]
    return state


def elsewhere(world: World) -> Json:
    """Another machine has run the same, with a ledger of its own."""
    state = world.ran()
    world.config["ledger"] = str(world.folder / "of-this-machine.json")
    return state


def without_reply(world: World) -> Json:
    del world
    return {"bookmarks": {"cension_export_companies": {"ledger": {"version": 2, "jobs": [], "intents": [INTENT]}}}}


WORLDS: dict[str, Callable[[World], Json]] = {
    "Backfill last March": since_april,
    "Two runs at once": elsewhere,
    "An expired key": expired,
    "A full disk": full,
    "A job that hangs": hanging,
    "A begin at Cension that got no reply": without_reply,
}


def commands() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield each section with its commands and what they print."""
    for title, text in SECTION.findall(PAGE.read_text(encoding="utf-8")):
        parts = [part for block in BLOCK.findall(text) for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
        if parts:
            yield title, [(part.partition("\n")[0], part.partition("\n")[2]) for part in parts]


def squeezed(text: str) -> str:
    """Return text without what only draws: runs of blanks, rules, empty lines."""
    lines = (re.sub(r"[\s─]+", " ", line).strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def matches(shown: str, printed: str) -> bool:
    """Return whether text is what a page shows, `…` standing for anything."""
    pattern = ".*".join(map(re.escape, squeezed(shown).split("…")))
    return re.fullmatch(pattern, squeezed(printed), re.DOTALL) is not None


@pytest.fixture
def call(tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Caller:
    return Caller(tmp_path, capsys, caplog)


@pytest.mark.process
@pytest.mark.parametrize(("title", "listed"), list(commands()))
def test_a_section(call: Caller, monkeypatch: pytest.MonkeyPatch, title: str, listed: list[tuple[str, str]]) -> None:
    monkeypatch.chdir(call.folder)
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setenv("TERM", "xterm")
    with Sandbox(SandboxOptions(job_seconds=3600 if title == "A job that hangs" else 0)) as box:
        world = World(box, call.folder)
        call.write("state.json", WORLDS.get(title, as_it_is)(world))
        call.write("config.json", world.config)
        for command, shown in listed:
            printed = run(call, command, world.words)
            assert matches(shown, printed), f"$ {command}\n{printed}"


def run(call: Caller, command: str, words: dict[str, str]) -> str:
    """Run a command and return what a terminal shows of it; of a run, its errors."""
    line, _, target = command.partition(" > ")
    program, *arguments = (words.get(word, word) for word in shlex.split(line))
    assert program == "tap-exports"
    if target:
        given = [str(call.folder / word) if (call.folder / word).is_file() else word for word in arguments]
        child = Child(given)
        _, err = child.communicate(60)
        assert child.wait() == 0, err
        return ""
    done = call(*arguments, terminal=True)
    return done.out + done.err


def test_every_section_with_commands_is_run() -> None:
    unchanged = {"Replay a window", "Reset one stream", "A lost STATE"}
    assert {title for title, _ in commands()} >= {*WORLDS, *unchanged}
