"""The world of a history: its time, its chance, the troubles that are told beforehand, and its network."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import formatdate
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from urllib3 import HTTPHeaderDict
from urllib3.exceptions import ProtocolError

from tap_exports.engine.http import NotConnectedError
from tests.simulation.threads import Scheduler

BEGINNING = datetime(2026, 6, 1, tzinfo=timezone.utc).timestamp()
MOST_REQUESTS = 4000  # of one run; no run of these small worlds has a use for as many
Json = dict[str, Any]


class Endless(BaseException):
    """A run asks for ever."""


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

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
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

    @property
    def skew(self) -> float:
        """Return how far its clock is ahead, in seconds."""

    def answer(self, call: Call) -> Reply:
        """Take a request into effect and return the reply."""


@dataclass(eq=False)
class World:
    """What surrounds the tap.

    Attributes:
        scheduler: Time and turns.
        draw: Chance of the world, apart from that of the turns: one does not move the other.
        troubles: What goes wrong, until the world is calm.
        is_calm: Whether nothing goes wrong any more; what went wrong before stays.
        run: Number of the current run.
        log: What happened, for the story.
        crossed: Times that a point was passed in this run, by kind of point.
        dies_at: Points at which the process dies, of this run.
    """

    scheduler: Scheduler
    draw: random.Random
    troubles: tuple[Trouble, ...]
    provider: Provider = field(init=False)
    is_calm: bool = False
    run: int = 0
    log: list[str] = field(default_factory=list)
    crossed: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def now(self) -> float:
        return self.scheduler.now

    def instant(self) -> datetime:
        """Return the time of the tap's machine."""
        return datetime.fromtimestamp(self.now, timezone.utc)

    def trouble(self, kind: str, at: int | None = None) -> Trouble | None:
        """Return the trouble of a kind, and of a number, that is on."""
        if self.is_calm:
            return None
        return next((t for t in self.troubles if t.kind == kind and at in {None, t.at}), None)

    def count(self, kind: str) -> int:
        """Count something over the whole history and return its number."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return self.counts[kind]

    def cross(self, point: str) -> None:
        """Pass a point of a run; the process dies there where the history says so."""
        self.crossed[point] = self.crossed.get(point, 0) + 1
        dies = self.trouble("kill", self.run)
        if dies and dies.value == (point, self.crossed[point]):
            self.tell(f"the process dies at {point} {self.crossed[point]}")
            self.scheduler.kill()

    def tell(self, line: str) -> None:
        self.log.append(f"run {self.run}, {self.instant():%d %H:%M:%S}: {line}")

    def begin_run(self) -> None:
        self.run += 1
        self.crossed = {}


class Network:
    """Takes the place of the session of `Transport`: a request is a call of the model, and takes a moment."""

    def __init__(self, world: World, *_pools: object) -> None:
        self._world = world

    def exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: object) -> Reply:
        reply = self._exchange(Call(method, url, headers, body))
        told = self._world.now + self._world.provider.skew
        reply.headers["Date"] = formatdate(told, usegmt=True)
        return reply

    def _exchange(self, call: Call) -> Reply:
        world = self._world
        self._pass_point()
        creates = call.method == "POST" and call.path.endswith("/exports")
        lost = world.trouble("lose the reply to creation", world.count("creation")) if creates else None
        number = world.count("request")
        if world.trouble("no connection at request", number):
            raise NotConnectedError("connection refused")
        if lost and lost.value == "before":
            world.tell("a creation is lost before it takes effect")
            raise ProtocolError("no answer in time")
        if not creates and world.trouble("error 503 at request", number):
            return Reply(503, {"message": "busy"})
        reply = world.provider.answer(call)
        world.scheduler.sleep(world.draw.uniform(0.01, 0.3))
        if lost:
            world.tell("a creation takes effect, its reply is lost")
            raise ProtocolError("no answer in time")
        return reply

    def _pass_point(self) -> None:
        world = self._world
        world.cross("request")
        if world.crossed["request"] > MOST_REQUESTS:
            raise Endless
        world.scheduler.sleep(world.draw.uniform(0.01, 0.1))

    def close(self) -> None:
        """Nothing is open."""


Maker = Callable[[World], Provider]
