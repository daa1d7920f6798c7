"""A model of a target: keeps rows by key, obeys ACTIVATE_VERSION, keeps each STATE as it comes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tap_exports.errors import Terminated
from tap_exports.singer.messages.writer import MessageWriter
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
        given: How many STATEs there were when the last run was given one.
    """

    keys: dict[str, list[str]] = field(default_factory=dict)
    tables: dict[str, dict[Key, tuple[Json, Any]]] = field(default_factory=dict)
    states: list[Json] = field(default_factory=list)
    activations: list[Activation] = field(default_factory=list)
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

    def put_back(self, before: Target) -> None:
        """Lose what came since a copy was made; what was activated meanwhile stays known."""
        self.keys, self.tables, self.states = before.keys, before.tables, before.states

    def rows(self, stream: str) -> Iterator[Json]:
        """Yield the rows of a stream."""
        return (row for row, _ in self.tables.get(stream, {}).values())

    def state(self, older: int = 0) -> Json | None:
        """Return the last STATE, or one that came earlier, but never one older than what was returned before.

        That one is proven to be kept; who goes back behind it wants other jobs.
        """
        self.given = max(self.given, len(self.states) - older)
        kept = self.states[: self.given]
        return kept[-1] if kept else None


class Pipe(MessageWriter):
    """Takes the place of standard output; the process may die at each message."""

    def __init__(self, world: World, target: Target) -> None:
        super().__init__()
        self._world, self._target = world, target

    def _write(self, data: bytes | memoryview) -> None:
        for line in bytes(data).splitlines():
            message = json.loads(line)
            self._world.cross("state" if message["type"] == "STATE" else "message")
            self._target.take(message, self._world.run)
            self._end_where_told()

    def _end_where_told(self) -> None:
        """End the run as a SIGTERM does that comes while a message is written."""
        world = self._world
        told = world.trouble("SIGTERM", world.run)
        if told and told.value == world.crossed.get("message", 0) + world.crossed.get("state", 0):
            world.tell(f"SIGTERM at message {told.value}")
            raise Terminated(143)
