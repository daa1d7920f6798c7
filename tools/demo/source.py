"""The sandbox as a process, and what it says of itself."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

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
        """Return the providers to use: those that the sandbox configured, or some of them."""
        blocks = sorted(name for name, value in self.config.items() if isinstance(value, dict))
        return [name for name in blocks if name in (self.only or blocks)]

    def truth(self, path: str, **query: object) -> Any:
        """Return what stands at the source: `truth("exelensia/results")`; numbers with all their digits."""
        return self._ask("GET", f"_truth/{path}?{urlencode(query)}")

    def requests(self) -> list[Row]:
        """Return what was asked of the sandbox, oldest first."""
        return list(self._ask("GET", "_requests"))

    def api(self, provider: str, path: str, **headers: str) -> Any:
        """Return what the provider's own API says."""
        return self._ask("GET", f"{provider}/{path}", headers)

    def grow(self) -> None:
        """Let every provider get new data, and configure what takes a number: a new run of Cension."""
        self.added.update(self._ask("POST", "_grow"))
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

    def _ask(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> Any:
        with closing(HTTPConnection(urlsplit(self.url).netloc, timeout=TIMEOUT_SECONDS)) as connection:
            connection.request(method, f"/{path}", headers=dict(headers or {}))
            response = connection.getresponse()
            body = response.read()
        if response.status != HTTPStatus.OK:
            msg = f"the sandbox answers {method} /{path} with status {response.status}"
            raise FailedError(msg)
        return json.loads(body, parse_float=Decimal)


def _variables(provider: str, block: Mapping[str, Any]) -> dict[str, str]:
    return {
        f"{provider}_{name}".upper(): value if isinstance(value, str) else json.dumps(value)
        for name, value in block.items()
    }


@contextmanager
def sandbox(programs: Path, config: Path, log: Path, *only: str, job_seconds: float = 0.2) -> Iterator[Source]:
    """Run a sandbox on loopback for as long as the block runs.

    Args:
        programs: Directory of the tap's programs.
        config: Where it writes a configuration of the tap, keys included.
        log: Where its complaints go.
        only: The providers to use; none for all.
        job_seconds: From a job's creation to its end.

    Raises:
        FailedError: It does not start.
    """
    command = [str(programs / "tap-exports-sandbox"), "--write-config", str(config)]
    command += ["--job-seconds", str(job_seconds)]
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
