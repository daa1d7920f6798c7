"""A model of a target: keeps rows by key, obeys ACTIVATE_VERSION, keeps STATE; may die with what it did not flush."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from tap_exports.errors import Terminated
from tap_exports.singer.messages.writer import BROKEN_PIPE_EXIT, MessageWriter
from tests.simulation.world import Json, World

Key = tuple[str, ...]


@dataclass(frozen=True)
class Activation:
    """A version that was activated: the rows that it left at the target."""

    run: int
    stream: str
    rows: tuple[Json, ...]


@dataclass(eq=False)
class Target:
    """What arrived.

    Attributes:
        keys: Key properties by stream.
        tables: Rows by key, by stream, each with its version.
        states: Every STATE, oldest first.
        activations: Every ACTIVATE_VERSION.
        look: Called with each STATE, when the rows before it are kept.
        given: How many STATEs there were when the last run was given one.
    """

    keys: dict[str, list[str]] = field(default_factory=dict)
    tables: dict[str, dict[Key, tuple[Json, Any]]] = field(default_factory=dict)
    states: list[Json] = field(default_factory=list)
    activations: list[Activation] = field(default_factory=list)
    look: Callable[[Json], None] = lambda _state: None
    given: int = 0

    def take(self, message: Json, run: int) -> None:
        """Take one message."""
        kind, stream = message["type"], message.get("stream", "")
        table = self.tables.setdefault(stream, {})
        if kind == "SCHEMA":
            self.keys[stream] = message["key_properties"]
        elif kind == "RECORD":
            row = message["record"]
            key = tuple(str(row.get(name)) for name in self.keys[stream]) or (str(len(table)),)
            table[key] = (row, message.get("version"))
        elif kind == "ACTIVATE_VERSION":
            self.tables[stream] = {key: kept for key, kept in table.items() if kept[1] == message["version"]}
            rows = tuple(row for row, _ in self.tables[stream].values())
            self.activations.append(Activation(run, stream, rows))
        elif kind == "STATE":
            self.states.append(message["value"])
            self.look(message["value"])

    def rows(self, stream: str) -> Iterator[Json]:
        """Yield the rows of a stream."""
        return (row for row, _ in self.tables.get(stream, {}).values())

    def flushed(self) -> Target:
        """Return a copy of what is kept now."""
        tables = {stream: dict(table) for stream, table in self.tables.items()}
        return replace(
            self, keys=dict(self.keys), tables=tables, states=self.states[:], activations=self.activations[:]
        )

    def restore(self, kept: Target) -> None:
        """Go back to what was kept."""
        self.keys, self.tables = kept.keys, kept.tables
        self.states, self.activations = kept.states, kept.activations

    def state(self, older: int = 0) -> Json | None:
        """Return the last STATE, or one that came earlier, but never one older than what was returned before.

        That one is proven to be kept; who goes back behind it wants other jobs.
        """
        self.given = max(self.given, len(self.states) - older)
        kept = self.states[: self.given]
        return kept[-1] if kept else None


FLUSHED_EVERY = 5  # messages, by a target that will die


class Pipe(MessageWriter):
    """Takes the place of standard output; tap and target may die at each message."""

    def __init__(self, world: World, target: Target) -> None:
        super().__init__()
        self._world, self._target = world, target
        self._kept, self._is_closed = target, False
        dies = world.trouble("target dies", world.ran.number)
        self._dies_at = int(dies.value) if dies else 0
        if dies:
            self._kept = target.flushed()

    def _write(self, data: bytes | memoryview) -> None:
        for line in bytes(data).splitlines():
            message = json.loads(line)
            self._world.cross("state" if message["type"] == "STATE" else "message")
            if self._is_closed:
                raise Terminated(BROKEN_PIPE_EXIT)
            self._target.take(message, self._world.ran.number)
            self._end_where_told()

    def _end_where_told(self) -> None:
        """End the run as a SIGTERM does that comes while a message is written, or as the death of the target does."""
        world = self._world
        taken = world.ran.crossed.get("message", 0) + world.ran.crossed.get("state", 0)
        told = world.trouble("SIGTERM", world.ran.number)
        if told and told.value == taken:
            world.tell(f"SIGTERM at message {told.value}")
            raise Terminated(143)
        if not self._dies_at:
            return
        if taken == self._dies_at:
            world.tell(f"the target dies at message {taken}, with what it took since its last flush")
            self._target.restore(self._kept)
            self._is_closed = True
            raise Terminated(BROKEN_PIPE_EXIT)
        if not taken % FLUSHED_EVERY:
            self._kept = self._target.flushed()
