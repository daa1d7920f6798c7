"""What is disturbed: a program that reads the exports, and what a target keeps of what it writes."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

ROW_ID = "row_id"  # key of the sandbox's rows
QUICK = {
    "progress": "never",
    "poll_interval_seconds": 0.05,
    "poll_interval_max_seconds": 0.2,
    "job_stall_timeout_seconds": 2,
    "job_grace_seconds": 1,
    "lost_reply_search_seconds": 1,
    "request_timeout_seconds": 10,
}
# A run that goes on would request these days again, in jobs that look as if they were made twice.
AGAIN = {"lookback": 0}


@dataclass(slots=True)
class Held:
    """What a target holds: rows by key, the last STATE, everything that was printed.

    Attributes:
        rows: By key, of the export's stream.
        state: The last one, or None.
        proofs: Of the receipts.
        text: All output, for the search for secrets.
        codes: Exit codes, run by run.
        lines: Lines of stdout, run by run.
        words: Why the last run failed, in its own words.
    """

    rows: dict[str, Any] = field(default_factory=dict)
    state: Any = None
    proofs: set[str] = field(default_factory=set)
    text: list[str] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    words: str = ""

    def keep(self, row: Mapping[str, Any]) -> None:
        """Keep a row as an upserting target does."""
        self.rows[str(row.get(ROW_ID) or f"row {len(self.rows)} without a key")] = row


class Reader(Protocol):
    """A program that reads the exports of a sandbox, run by run."""

    def prepare(self, folder: Path, box: Mapping[str, Any]) -> None:
        """Write its configuration, once for all runs.

        Args:
            folder: For all that it keeps.
            box: The tap's configuration as the sandbox writes it: declaration, address and credentials are in it.
        """

    def command(self, folder: Path, held: Held) -> Sequence[str]:
        """Return the command of a run that goes on from what the target holds."""

    def take(self, line: bytes, held: Held) -> None:
        """Take one line of its stdout."""

    def landed(self, folder: Path, held: Held) -> None:
        """Take what it wrote elsewhere, after a run."""

    def reason(self, log: str) -> str:
        """Return why a run failed, out of its stderr; empty where it does not say so."""


def with_state(command: list[str], folder: Path, held: Held) -> Sequence[str]:
    """Return a tap's command with the last STATE, which is written into the folder; without any as it is."""
    if held.state is None:
        return command
    (folder / "state.json").write_text(json.dumps(held.state), encoding="utf-8")
    return [*command, "--state", str(folder / "state.json")]


class Tap:
    """This tap.

    Args:
        changes: Settings beside those that shorten waits.
    """

    def __init__(self, changes: Mapping[str, Any]) -> None:
        """Keep the settings."""
        self._changes = changes

    def prepare(self, folder: Path, box: Mapping[str, Any]) -> None:
        """Write its configuration."""
        config = {**box, **QUICK, **self._changes, "ledger": str(folder / "ledger.json")}
        blocks = [{**block, "exports": [{**each, **AGAIN} for each in block["exports"]]} for block in box["declared"]]
        config["declared"] = blocks
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")

    def command(self, folder: Path, held: Held) -> Sequence[str]:
        """Return its command, with the last STATE."""
        command = [sys.executable, "-m", "tap_exports", "--config", str(folder / "config.json")]
        return with_state(command, folder, held)

    def take(self, line: bytes, held: Held) -> None:
        """Take a Singer message."""
        message = json.loads(line)
        if message["type"] == "STATE":
            held.state = message["value"]
        elif message["type"] == "RECORD" and "_export_" in message["stream"]:
            held.keep(message["record"])
        elif message["type"] == "RECORD" and message["stream"] == "export_jobs":
            held.proofs |= {message["record"].get("proof") or ""}

    def landed(self, folder: Path, held: Held) -> None:
        """Take nothing: all is on stdout."""

    def reason(self, log: str) -> str:
        """Return the first error of the log; those that follow are what it led to."""
        errors = (line for line in log.splitlines() if "| ERROR" in line)
        return next(errors, "").rpartition("| ")[2].strip()
