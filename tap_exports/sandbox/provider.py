"""What every provider of the sandbox is made of; a new provider is one module with one subclass."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from tap_exports.sandbox.clock import Clock, LocalClock
from tap_exports.sandbox.faults import Faults
from tap_exports.sandbox.files import FileStore
from tap_exports.sandbox.jobs import Job, JobPlan
from tap_exports.sandbox.options import SandboxOptions
from tap_exports.sandbox.web import Refusal, Request, Response, Routes, json_response


@dataclass(slots=True)
class World:
    """What all providers of one sandbox share."""

    clock: Clock
    options: SandboxOptions
    files: FileStore
    faults: Faults


class Provider:
    """The state and the routes of one provider.

    A subclass is named in `registry.py`. It sets `name`, `key`, `auth_header` (lower case) and `knobs_type`, marks its
    handlers with `route` and `truth`, and defines `seed`, `envelope`, `grow`, `spend` and `config`. Handlers run one at
    a time per provider, so they need no locks.
    """

    name: ClassVar[str]
    key: ClassVar[str]
    key_setting: ClassVar[str] = "api_key"
    auth_header: ClassVar[str]
    knobs_type: ClassVar[type]
    routes: ClassVar[Routes]

    def __init_subclass__(cls) -> None:
        """Build the routing table."""
        cls.routes = Routes.of(cls)

    def __init__(self, world: World) -> None:
        """Start with the seeded state.

        Raises:
            ValueError: the options name a knob that this provider does not have.
        """
        self.world = replace(world, clock=LocalClock(world.clock, lambda: world.faults.skew(self.name)))
        self._turn: int | None = None
        self._answered = 0
        self.settings = _knobs(self.name, self.knobs_type, world.options.knobs.get(self.name, {}))
        self._lock = threading.Lock()
        self.seed()

    def respond(self, request: Request) -> Response:
        """Answer an API request; refusals become the provider's error envelope."""
        try:
            handler, arguments = self.routes.find(request.method, request.path)
            self.authenticate(request)
            with self._lock:
                self.admit(request, handler)
                self._answered += 1
                self._turn = self._answered
                response: Response = getattr(self, handler)(request, **arguments)
                return response
        except Refusal as refusal:
            response = self.envelope(refusal)
            return replace(response, headers=(*response.headers, *refusal.headers))

    def tell(self, request: Request) -> Response:
        """Answer `GET /_truth/<provider>/…`: what really stands at the source."""
        try:
            handler, arguments = self.routes.find("TRUTH", request.path)
            with self._lock:
                self._turn = None
                return json_response(getattr(self, handler)(request, **arguments))
        except Refusal as refusal:
            return json_response({"error": refusal.message}, refusal.status)

    def locked(self, action: Callable[[], Any]) -> Any:
        """Return the result of `action`, run while no handler runs."""
        with self._lock:
            return action()

    def job(self, ready: Callable[[], bool] = lambda: True, *, default: JobPlan | None = None) -> Job:
        """Return a new job that goes as the options and the fault plan say."""
        options = self.world.options
        usual = default or JobPlan(seconds=options.job_seconds, polls=options.job_polls)
        plan = self.world.faults.job_plan(self.name, usual)
        return Job(self.world.clock, plan, ready, lambda: self._turn)

    def recognised(self, request: Request) -> str | None:
        """Return the name of the header that carries the right key, None when there is none."""
        return self.auth_header if request.headers.get(self.auth_header) == self.key else None

    def key_of(self, account: str) -> str:
        """Return the key of an account."""
        return f"{self.key}-{account}"

    def as_owner(self, request: Request) -> Request:
        """Return a request with an account's key as if it had the provider's: all accounts have the same data."""
        headers = dict(request.headers)
        for account in self.world.options.accounts:
            for name, value in request.headers.items():
                if value.endswith(self.key_of(account)):
                    headers[name] = value[: -len(account) - 1]
        return replace(request, headers=headers)

    def authenticate(self, request: Request) -> None:
        """Refuse a request without the right key.

        Raises:
            Refusal: 401.
        """
        if self.recognised(request) is None:
            raise Refusal(401, "Unauthorized")

    def admit(self, request: Request, handler: str) -> None:
        """Refuse an authenticated request for reasons of its route: scopes, rate limits. Most providers have none.

        Args:
            request: what is asked.
            handler: name of the method that is going to answer.

        Raises:
            Refusal: 403, 429.
        """

    def seed(self) -> None:
        """Set the first state up."""
        raise NotImplementedError

    def envelope(self, refusal: Refusal) -> Response:
        """Return the provider's error body."""
        raise NotImplementedError

    def grow(self) -> dict[str, Any]:
        """Add new data at the source, now; return what was added."""
        raise NotImplementedError

    def spend(self) -> dict[str, int]:
        """Return the counters of what costs: jobs created, runs started, credits."""
        raise NotImplementedError

    def settings_of(self, api_url: str) -> dict[str, Any]:
        """Return the tap's settings for this provider at an address."""
        named = [{"name": each, self.key_setting: self.key_of(each)} for each in self.world.options.accounts]
        keys = {"accounts": named} if named else {self.key_setting: self.key}
        return {self.name: {**keys, "api_url": api_url, **self.config()}}

    def config(self) -> dict[str, Any]:
        """Return the tap's block for this provider, without key and address, over the seeded ids."""
        raise NotImplementedError


def _knobs(name: str, knobs_type: type, values: Mapping[str, Any]) -> Any:
    known = {item.name for item in fields(knobs_type)}
    if unknown := sorted(set(values) - known):
        msg = f"{name} has no knob {', '.join(unknown)}; known: {', '.join(sorted(known))}"
        raise ValueError(msg)
    return knobs_type(**values)
