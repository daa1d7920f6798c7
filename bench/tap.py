"""The tap as it is measured: the real command with a configuration and a catalog, written to a folder."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from bench.catalog import COMMAND
from bench.process import BrokenRunError, complaint
from bench.seeds import KEY

Settings = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tap:
    """One setup of the tap.

    Attributes:
        folder: Where its files are kept.
        config: Its settings.
        streams: The selected streams.
        state: An incoming STATE.
        lineage: Whether the lineage columns are selected.
    """

    folder: Path
    config: Settings
    streams: Collection[str]
    state: Mapping[str, Any] | None = None
    lineage: bool = True
    command: list[str | Path] = field(init=False)

    def __post_init__(self) -> None:
        """Write the files; the catalog is the tap's own discovery with everything else deselected."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = write(self.folder / "config.json", self.config)
        catalog = discover(config, self.folder / "catalog.json", self.streams, lineage=self.lineage)
        command: list[str | Path] = [COMMAND, "--config", config, "--catalog", catalog]
        if self.state is not None:
            command += ["--state", write(self.folder / "state.json", self.state)]
        object.__setattr__(self, "command", command)


def discover(config: Path, catalog: Path, streams: Collection[str], *, lineage: bool = True) -> Path:
    """Write the catalog of some streams and return where.

    Raises:
        BrokenRunError: The tap cannot discover.
    """
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "bench.catalog",
        config,
        catalog,
        *([] if lineage else ["plain"]),
    ]
    done = subprocess.run(command, check=False, input="\n".join(streams).encode(), capture_output=True)
    if done.returncode:
        raise BrokenRunError(f"the discovery failed: {complaint(done.stderr)}")
    return catalog


def write(path: Path, content: object) -> Path:
    """Write JSON and return where."""
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def exelensia(origin: str, *files: str, **settings: object) -> Settings:
    """Return settings with one export per file, each named after its place: `exelensia_export_0` and so on."""
    # The key of the peers; without one each row would get a digest besides (docs/decisions/0009-place-of-a-row.md).
    exports = [{"schema_id": name, "name": str(number), "primary_keys": ["id"]} for number, name in enumerate(files)]
    block = {"api_key": KEY, "api_url": origin, "exports": exports}
    since = datetime.now(timezone.utc) - timedelta(days=1)
    shared = {"start_date": since.isoformat(), "settling_seconds": 0, "poll_interval_seconds": 0.1}
    return {
        **shared,
        "allow_private_hosts": True,
        "progress": "never",
        "ledger": "none",
        "exelensia": block,
        **settings,
    }
