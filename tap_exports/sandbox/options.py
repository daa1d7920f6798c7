"""How a sandbox is set up."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """The options of a sandbox.

    Attributes:
        host: address to listen on; loopback only.
        port: port of the API origin, 0 for any free one.
        files_port: port of the files origin, 0 for any free one.
        job_seconds: from a job's creation to its end.
        job_polls: when given, jobs end with this status read instead of with time.
        url_seconds: life of a signed URL.
        rows: number of generated rows for load: an Exelensia schema, a Cension export, the PackageX resource `item`,
            Cornect companies in Norway, a Closient organization.
        accounts: names of accounts; the key of each is the provider's key, `-` and the name. They have the same data.
        start_time: the sandbox's time at its start; None for the real time.
        knobs: per provider, how to behave where its documents leave it open; see each provider's `Knobs`.
    """

    host: str = "127.0.0.1"
    port: int = 0
    files_port: int = 0
    job_seconds: float = 0.2
    job_polls: int | None = None
    url_seconds: float = 900.0
    rows: int = 0
    accounts: tuple[str, ...] = ()
    start_time: datetime | None = None
    knobs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse hosts that others can reach.

        Raises:
            ValueError: the host is not a loopback address.
        """
        if not _loopback(self.host):
            msg = f"host {self.host!r} is not a loopback address: others must not reach the sandbox"
            raise ValueError(msg)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
