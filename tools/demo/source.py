"""The sandbox as a process, and what it says of itself."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import requests

from tap_exports.tap import PROVIDERS
from tools.demo.processes import FailedError, running

Row = dict[str, Any]
# Everything is older than what is read by default; Cornect's saved list may cost up to the whole balance.
START_DATE = "2020-01-01T00:00:00Z"
KNOBS = ("cornect.max_credits=1000",)
TIMEOUT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Source:
    """A running sandbox.

    Attributes:
        url: Its control endpoints are below.
        config: The tap's configuration for it, as the sandbox wrote it.
        only: The providers to use; none for all.
        added: What `grow` added, by provider.
    """

    url: str
    config: Row
    only: tuple[str, ...] = ()
    added: Row = field(default_factory=dict)

    @property
    def providers(self) -> list[str]:
        """Return the providers to use that both the tap and the sandbox know."""
        return [name for name in sorted(PROVIDERS) if name in self.config and name in (self.only or PROVIDERS)]

    def truth(self, path: str, **query: object) -> Any:
        """Return what stands at the source: `truth("exelensia/results")`; numbers with all their digits."""
        params = {name: str(value) for name, value in query.items()}
        return self._read(requests.get(f"{self.url}/_truth/{path}", params, timeout=TIMEOUT_SECONDS))

    def api(self, provider: str, path: str, **headers: str) -> Any:
        """Return what the provider's own API says."""
        return self._read(requests.get(f"{self.url}/{provider}/{path}", headers=headers, timeout=TIMEOUT_SECONDS))

    def grow(self) -> None:
        """Let every provider get new data, and configure what takes a number: a new run of Cension."""
        self.added.update(self._read(requests.post(f"{self.url}/_grow", timeout=TIMEOUT_SECONDS)))
        operation = self.added.get("cension", {}).get("operation")
        if operation:
            self.config["cension"]["operation_ids"].append(operation["operationId"])

    def environment(self) -> dict[str, str]:
        """Return the variables that meltano.yml reads: CENSION_API_KEY and so on, lists as JSON."""
        shared = {"EXPORTS_START_DATE": START_DATE, "EXPORTS_ALLOW_PRIVATE_HOSTS": "true"}
        for provider in self.providers:
            prefix = f"TAP_EXPORTS_{provider}".upper()
            shared |= {f"{prefix}_SETTLING_SECONDS": "0", f"{prefix}_POLL_INTERVAL_SECONDS": "0.1"}
            shared |= _variables(provider, self.config[provider])
        return shared

    @staticmethod
    def _read(response: requests.Response) -> Any:
        response.raise_for_status()
        return json.loads(response.content, parse_float=Decimal)


def _variables(provider: str, block: Mapping[str, Any]) -> dict[str, str]:
    return {
        f"{provider}_{name}".upper(): value if isinstance(value, str) else json.dumps(value)
        for name, value in block.items()
    }


@contextmanager
def sandbox(config: Path, log: Path, *only: str) -> Iterator[Source]:
    """Run a sandbox on loopback for as long as the block runs.

    Args:
        config: Where it writes a configuration of the tap, keys included.
        log: Where its complaints go.
        only: The providers to use; none for all.

    Raises:
        FailedError: It does not start.
    """
    command = [sys.executable, "-m", "tap_exports.sandbox", "--write-config", str(config)]
    command += [word for knob in KNOBS for word in ("--knob", knob)]
    with (
        log.open("w", encoding="utf-8") as file,
        running(command, stdout=subprocess.PIPE, stderr=file) as process,
    ):
        ready = process.stdout.readline() if process.stdout else ""
        if not ready:
            msg = f"the sandbox does not start; see {log}"
            raise FailedError(msg)
        yield Source(json.loads(ready)["control_url"], json.loads(config.read_text(encoding="utf-8")), only)
