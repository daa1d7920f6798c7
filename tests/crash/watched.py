"""A sandbox that strikes the tap at a given request."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from tap_exports.sandbox import Sandbox, SandboxOptions
from tap_exports.sandbox.provider import Provider
from tap_exports.sandbox.server import Sent
from tap_exports.sandbox.web import Part, Request, Response, Wire
from tests.crash.points import AFTER, BEFORE, INSIDE, Place, signature

Blow = Callable[[], bool]
Garble = Callable[[str, Callable[[], Response]], Response]
STEPS = 4  # of a body that is to be struck in its middle
STEPS_PER_SECOND = 20


class Halting(bytes):
    """A body that tells when its second half is about to be sent."""

    on_middle: Callable[[], object]

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401 - as `bytes`
        """Return a part of the body."""
        if isinstance(index, slice) and len(self) <= 2 * (index.start or 0):
            self.on_middle()
        return super().__getitem__(index)


class Watched(Sandbox):
    """A sandbox with at most one armed point at a time."""

    def __init__(
        self,
        options: SandboxOptions,
        *,
        faults: Mapping[str, Any] | None = None,
        providers: Sequence[type[Provider]] | None = None,
    ) -> None:
        """Start unarmed.

        Attributes:
            garble: Answers every request itself, given what it is called and what the provider would answer.
        """
        super().__init__(options, faults=faults, **({"providers": providers} if providers else {}))
        self._counted: Counter[str] = Counter()
        self._guard = threading.Lock()
        self._armed: tuple[Place, Blow] | None = None
        self.struck = False
        self.garble: Garble | None = None

    def __enter__(self) -> Watched:  # noqa: PYI034 - typing.Self is not in Python 3.10
        """Start."""
        super().__enter__()
        return self

    def arm(self, place: Place | None, blow: Blow) -> None:
        """Count requests anew, and strike at a point.

        Args:
            place: The point; None for none.
            blow: Strikes; tells whether the tap is gone, so that the provider must not see the request.
        """
        with self._guard:
            self._counted.clear()
            self._armed = (place, blow) if place else None
            self.struck = False

    def _respond_api(self, request: Request) -> tuple[Response, Sent]:
        if request.path.startswith("/_"):
            return super()._respond_api(request)
        return self._watched(request, super()._respond_api)

    def _respond_files(self, request: Request) -> tuple[Response, Sent]:
        return self._watched(request, super()._respond_files)

    def _watched(self, request: Request, respond: Callable[[Request], tuple[Response, Sent]]) -> tuple[Response, Sent]:
        path = request.path if request.origin == "files" else f"/{request.path[1:].partition('/')[2]}"
        what = signature(request.origin, request.method, path)
        kind, blow = self._due(what)
        if kind == BEFORE and blow():
            return _DROPPED, lambda _size: None
        if self.garble:
            return self.garble(what, lambda: respond(request)[0]), lambda _size: None
        response, sent = respond(request)
        if kind == AFTER and blow():
            return _DROPPED, sent
        return (_halting(response, blow) if kind == INSIDE else response), sent

    def _due(self, what: str) -> tuple[str | None, Blow]:
        """Count a request; return where in its life the tap is to be struck, and what strikes it, once."""
        with self._guard:
            self._counted[what] += 1
            if self._armed is None or (self._armed[0].what, self._armed[0].nth) != (what, self._counted[what]):
                return None, bool
            (place, blow), self._armed, self.struck = self._armed, None, True
            return place.kind, blow


def _halting(response: Response, blow: Blow) -> Response:
    """Return the response in a few steps, the tap struck before the one that begins in its second half."""
    body = Halting(response.body.read() if isinstance(response.body, Part) else response.body)
    body.on_middle = lru_cache(1)(blow)
    speed = len(body) / STEPS * STEPS_PER_SECOND
    return replace(response, body=body, wire=replace(response.wire, bytes_per_second=max(speed, 1.0)))


_DROPPED = Response(wire=Wire(drop="close"))
