"""The world of a history: its time, its chance, and the troubles that are told beforehand."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from urllib3 import HTTPHeaderDict
from urllib3.exceptions import ProtocolError

from tests.simulation.scheduler import Scheduler

BEGINNING = datetime(2026, 6, 1, tzinfo=timezone.utc).timestamp()
Json = dict[str, Any]


class Endless(BaseException):
    """A run asks for ever."""


@dataclass(eq=False)
class Ran:
    """One run of a tap.

    Attributes:
        number: Its number; those of a second tap begin at 101.
        config: Its settings.
        began: When, in seconds.
        failures: Messages by failed stream; `*` for the whole run.
        warnings: What it logged as a warning or an error.
        crossed: How often it passed a point, by kind of point.
    """

    number: int
    config: Json
    began: float = 0.0
    failures: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    ending: str = "ended"
    crossed: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Trouble:
    """One thing that goes wrong.

    Attributes:
        kind: What.
        at: Which of its kind it strikes: the number of a run, a job, a file, a page; counted from 1.
        value: How.
    """

    kind: str
    at: int = 0
    value: Any = None

    def __str__(self) -> str:
        return " ".join(
            str(part) for part in (self.kind, self.at or "", "" if self.value is None else self.value) if part
        )


@dataclass(frozen=True)
class Call:
    """A request as a provider sees it."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None

    @cached_property
    def path(self) -> str:
        return urlsplit(self.url).path

    @cached_property
    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.url).query).items()}

    @property
    def json(self) -> Json:
        return dict(json.loads(self.body or b"{}"))


class Reply:
    """A reply, whose body comes in one piece; takes the place of urllib3's.

    Attributes:
        arrives: Bytes of the body before the connection breaks, or None for all.
    """

    def __init__(
        self, status: int, body: object = None, headers: Mapping[str, str] | None = None, arrives: int | None = None
    ) -> None:
        self.status, self.arrives = status, arrives
        self._body = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Content-Type": "application/json", "Content-Length": str(len(self._body)), **(headers or {})}
        self.headers = HTTPHeaderDict(given)

    def read1(self, size: int, *, decode_content: bool) -> bytes:
        if self.arrives is not None and not self._body[: self.arrives]:
            raise ProtocolError("the body ended early")
        piece = self._body[: min(size, len(self._body) if self.arrives is None else self.arrives)]
        self._body = self._body[len(piece) :]
        self.arrives = None if self.arrives is None else self.arrives - len(piece)
        return piece

    def close(self) -> None:
        """Nothing is kept."""


class Provider(Protocol):
    """A model of a provider."""

    def skew(self, at: float) -> float:
        """Return how far its clock is ahead at a time of the world, in seconds."""

    def creates(self, call: Call) -> bool:
        """Return whether a request creates a job."""

    def note_unanswered(self) -> None:
        """Note that the reply to the last creation is lost."""

    def answer(self, call: Call) -> Reply:
        """Take a request into effect and return the reply."""


@dataclass(eq=False)
class World:
    """What surrounds the taps.

    Attributes:
        scheduler: Time and turns.
        draw: Chance of the world, apart from that of the turns: one does not move the other.
        troubles: What goes wrong, until the world is calm.
        is_calm: Whether nothing goes wrong any more; what went wrong before stays.
        log: What happened, for the story.
        counts: How often something happened in the whole history.
    """

    scheduler: Scheduler
    draw: random.Random
    troubles: tuple[Trouble, ...]
    provider: Provider = field(init=False)
    is_calm: bool = False
    log: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    _by_kind: dict[str, list[Trouble]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for trouble in self.troubles:
            self._by_kind.setdefault(trouble.kind, []).append(trouble)

    @property
    def now(self) -> float:
        return self.scheduler.now

    @property
    def ran(self) -> Ran:
        """Return the run whose task holds the baton."""
        process = self.scheduler.process
        return process.about if process else Ran(0, {})

    def instant(self) -> datetime:
        """Return the time of the tap's machine."""
        return datetime.fromtimestamp(self.now, timezone.utc)

    def trouble(self, kind: str, at: int | None = None) -> Trouble | None:
        """Return the trouble of a kind, and of a number, that is on."""
        if self.is_calm:
            return None
        return self.standing(kind, at)

    def standing(self, kind: str, at: int | None = None) -> Trouble | None:
        """Return the trouble of a kind, and of a number, that stays when the world is calm."""
        return next((t for t in self._by_kind.get(kind, ()) if at in {None, t.at}), None)

    def count(self, kind: str) -> int:
        """Count something over the whole history and return its number."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return self.counts[kind]

    def cross(self, point: str) -> None:
        """Pass a point of a run; the process dies there where the history says so."""
        ran = self.ran
        ran.crossed[point] = ran.crossed.get(point, 0) + 1
        dies = None if self.is_calm else [t.value for t in self.troubles if t.kind == "kill" and t.at == ran.number]
        if dies and (point, ran.crossed[point]) in dies:
            self.tell(f"the process dies at {point} {ran.crossed[point]}")
            self.scheduler.kill()

    def tell(self, line: str, ran: Ran | None = None) -> None:
        self.log.append(f"run {(ran or self.ran).number}, {self.instant():%d %H:%M:%S}: {line}")
