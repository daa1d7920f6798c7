"""The network of a history: takes the place of the session of `Transport`, and goes wrong as the history tells."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import formatdate

from urllib3.exceptions import ProtocolError

from tap_exports.engine.http import NotConnectedError
from tests.simulation.world import Call, Endless, Json, Reply, World

MOST_REQUESTS = 12_000  # of one run; none of these small worlds, cut into windows of an hour, has a use for as many


class Network:
    """A request is a call of the model, and takes a moment."""

    def __init__(self, world: World, *_pools: object) -> None:
        self._world = world

    def exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: object) -> Reply:
        world = self._world
        reply = self._exchange(Call(method, url, headers, body))
        reply.headers["Date"] = formatdate(world.now + world.provider.skew(world.now), usegmt=True)
        for name, value in ({} if _is_file(url) else self._quota()).items():
            reply.headers.setdefault(name, value)
        return reply

    def _exchange(self, call: Call) -> Reply:
        world = self._world
        self._pass_point()
        creates = world.provider.creates(call)
        lost = world.trouble("lose the reply to creation", world.count("creation")) if creates else None
        number = world.count("request")
        if world.trouble("no connection at request", number):
            raise NotConnectedError("connection refused")
        if not _is_file(call.url) and (refusal := self._refusal(number)):
            return refusal
        if call.method == "GET" and world.trouble("a passing 404 at request", number):
            world.tell(f"{call.path} is answered with a passing 404")
            return Reply(404, {"message": "not found"})
        if lost and lost.value == "before":
            world.tell("a creation is lost before it takes effect")
            raise ProtocolError("no answer in time")
        if not creates and world.trouble("error 503 at request", number):
            return Reply(503, {"message": "busy"})
        reply = world.provider.answer(call)
        if lost and reply.status < 400:
            world.provider.note_unanswered()
        world.scheduler.sleep(world.draw.uniform(0.01, 0.3))
        if lost:
            world.tell("a creation takes effect, its reply is lost")
            raise ProtocolError("no answer in time")
        return reply

    def _pass_point(self) -> None:
        world = self._world
        world.cross("request")
        if world.ran.crossed["request"] > MOST_REQUESTS:
            raise Endless
        world.scheduler.sleep(world.draw.uniform(0.01, 0.1))

    def _refusal(self, number: int) -> Reply | None:
        """Return a 429: of one request, or of each beyond the quota; it may say for how long."""
        world = self._world
        limited = world.trouble("error 429 at request", number)
        headers = self._quota(spends=True)
        if limited:
            asked: Json = {} if limited.value is None else {"Retry-After": str(limited.value)}
        elif headers.get("RateLimit-Remaining") == "-1":
            world.tell(f"the quota is used up for {headers['RateLimit-Reset']} s")
            asked = {**headers, "RateLimit-Remaining": "0", "Retry-After": headers["RateLimit-Reset"]}
        else:
            return None
        return Reply(429, {"message": "too many requests"}, asked)

    def _quota(self, *, spends: bool = False) -> Json:
        """Return what replies say of a quota: requests in a window of so many seconds."""
        world = self._world
        quota = world.trouble("quota of requests in seconds")
        if quota is None:
            return {}
        most, seconds = quota.value
        window, elapsed = divmod(world.now, seconds)
        counts, name = world.counts, f"quota {window}"
        counts[name] = counts.get(name, 0) + spends
        left = most - counts[name]
        reset = int(seconds - elapsed) + 1
        return {
            "RateLimit-Limit": str(most),
            "RateLimit-Remaining": str(left if spends else max(0, left)),
            "RateLimit-Reset": str(reset),
        }

    def close(self) -> None:
        """Nothing is open."""


def _is_file(url: str) -> bool:
    """Return whether a URL is one of a file, which no quota counts."""
    return "://files." in url
