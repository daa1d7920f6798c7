"""The peers as the proving rig runs them: their commands, and what a target keeps of what they write."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tap_exports.proving.reader import Held, with_state

START, END, DAYS = "2026-01-01T00:00:00.000Z", "2026-04-01T00:00:00.000Z", 31


def configure(folder: Path, box: Mapping[str, Any]) -> None:
    """Write what every peer needs to know.

    Args:
        folder: Where.
        box: The tap's configuration as the sandbox writes it.
    """
    block = box["declared"][0]
    told = {"api_url": block["api_url"], **block["credentials"], **block["exports"][0]["params"]}
    told |= {"start": START, "start_date": START, "end": END, "days": DAYS}
    (folder / "config.json").write_text(json.dumps(told), encoding="utf-8")


class Peer:
    """What the peers have in common.

    Args:
        python: The interpreter of its environment.
    """

    module: str

    def __init__(self, python: Path) -> None:
        """Keep it."""
        self.python = python

    def prepare(self, folder: Path, box: Mapping[str, Any]) -> None:
        """Write its configuration."""
        configure(folder, box)

    def module_command(self, *words: str) -> list[str]:
        """Return the command that runs its module."""
        return [str(self.python), "-m", self.module, *words]

    def landed(self, folder: Path, held: Held) -> None:
        """Take nothing: all is on stdout."""

    def reason(self, log: str) -> str:
        """Return the last line of the log."""
        return (log.strip().splitlines() or [""])[-1]


class Airbyte(Peer):
    """A declarative connector; the platform keeps each STATE once the records before it are written."""

    module = "bench.duel.peers.airbyte"

    def command(self, folder: Path, held: Held) -> Sequence[str]:
        """Return its command, with the last STATE."""
        if held.state is None:
            return self.module_command(str(folder / "config.json"))
        (folder / "state.json").write_text(json.dumps([held.state]), encoding="utf-8")
        return self.module_command(str(folder / "config.json"), str(folder / "state.json"))

    def take(self, line: bytes, held: Held) -> None:
        """Take a message of Airbyte's protocol."""
        message = json.loads(line)
        if message["type"] == "STATE":
            held.state = message["state"]
        elif message["type"] == "RECORD":
            held.keep(message["record"]["data"])
        elif message["type"] == "TRACE" and message["trace"]["type"] == "ERROR":
            held.words = str(message["trace"]["error"]["message"])

    def reason(self, log: str) -> str:
        """Return nothing: they are on stdout."""
        del log
        return ""


class Dlt(Peer):
    """A pipeline into DuckDB, whose rows are read after each run."""

    module = "bench.duel.peers.dlt_resource"

    def command(self, folder: Path, held: Held) -> Sequence[str]:
        """Return its command; it keeps its own state."""
        del held
        return self.module_command(str(folder / "config.json"))

    def take(self, line: bytes, held: Held) -> None:
        """Take nothing: a line tells that a row was extracted."""

    def landed(self, folder: Path, held: Held) -> None:
        """Take the rows of the table."""
        base = folder / "landed.duckdb"
        if base.exists():
            command = [str(self.python), "-m", "bench.duel.peers.landed", str(base)]
            held.rows.clear()
            for row in json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout):
                held.keep(row)


class PlainTap(Peer):
    """A tap of the SDK, and a target that upserts and keeps each STATE."""

    module = "bench.duel.peers.sdk_tap"

    def command(self, folder: Path, held: Held) -> Sequence[str]:
        """Return its command, with the last STATE."""
        return with_state(self.module_command("--config", str(folder / "config.json")), folder, held)

    def take(self, line: bytes, held: Held) -> None:
        """Take a Singer message."""
        message = json.loads(line)
        if message["type"] == "STATE":
            held.state = message["value"]
        elif message["type"] == "RECORD":
            held.keep(message["record"])
