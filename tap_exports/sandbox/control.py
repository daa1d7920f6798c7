"""The control endpoints, `/_requests` and others, on the API port and without a key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tap_exports.sandbox.web import Refusal, Request, Response, Routes, json_response, route

if TYPE_CHECKING:
    from tap_exports.sandbox.journal import Journal
    from tap_exports.sandbox.provider import Provider, World


class Control:
    """What a test or a demo may ask of the sandbox itself."""

    def __init__(self, world: World, providers: Mapping[str, Provider], journal: Journal) -> None:
        """Control this sandbox."""
        self._world = world
        self._providers = providers
        self._journal = journal

    def respond(self, request: Request) -> Response:
        """Answer a request whose path starts with `/_`."""
        try:
            if request.path.startswith("/_truth/"):
                return self._truth(request)
            handler, arguments = _ROUTES.find(request.method, request.path)
            response: Response = getattr(self, handler)(request, **arguments)
        except Refusal as refusal:
            return json_response({"error": refusal.message}, refusal.status)
        else:
            return response

    @route("GET", "/_requests")
    def requests(self, _request: Request) -> Response:
        """List all requests since the start or the last DELETE."""
        return json_response(self._journal.entries())

    @route("DELETE", "/_requests")
    def forget(self, _request: Request) -> Response:
        """Empty the list of requests."""
        self._journal.clear()
        return json_response({"requests": 0})

    @route("POST", "/_faults")
    def faults(self, request: Request) -> Response:
        """Replace the fault plan and reset its counters; the body is YAML or JSON, an empty one removes the plan."""
        try:
            self._world.faults.set_yaml(request.body)
        except (TypeError, ValueError) as error:
            raise Refusal(400, str(error)) from error
        return json_response({"faults": "replaced"})

    @route("POST", "/_clock")
    def clock(self, request: Request) -> Response:
        """Move the clock: `{"advance_seconds": 3600}`."""
        try:
            self._world.clock.advance(float(request.json_object()["advance_seconds"]))
        except (KeyError, TypeError, ValueError) as error:
            raise Refusal(400, f"advance_seconds: {error}") from error
        return json_response({"now": self._world.clock.now().isoformat()})

    @route("POST", "/_grow")
    def grow(self, _request: Request) -> Response:
        """Add new data at every provider now, and return what was added."""
        return json_response({name: provider.locked(provider.grow) for name, provider in self._providers.items()})

    @route("GET", "/_spend")
    def spend(self, _request: Request) -> Response:
        """Return what was created and spent at each provider."""
        return json_response({name: provider.locked(provider.spend) for name, provider in self._providers.items()})

    def _truth(self, request: Request) -> Response:
        name, _, resource = request.path.removeprefix("/_truth/").partition("/")
        if name not in self._providers:
            raise Refusal(404, f"no provider {name}")
        return self._providers[name].tell(
            Request("api", name, "TRUTH", f"/{resource}", request.query, request.headers),
        )


_ROUTES = Routes.of(Control)
