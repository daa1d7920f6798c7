"""The sandbox as a whole: both origins, all providers, one clock."""

from __future__ import annotations

import json
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

from tap_exports.sandbox import effects
from tap_exports.sandbox.clock import Clock
from tap_exports.sandbox.control import Control
from tap_exports.sandbox.faults import Faults
from tap_exports.sandbox.files import KEY_HEADERS, FileStore, xml_error
from tap_exports.sandbox.journal import Entry, Journal
from tap_exports.sandbox.options import SandboxOptions
from tap_exports.sandbox.provider import Provider, World
from tap_exports.sandbox.registry import PROVIDERS
from tap_exports.sandbox.server import Listener, Sent
from tap_exports.sandbox.signing import Signer
from tap_exports.sandbox.web import Refusal, Request, Response, json_response

Respond = Callable[[Request], Response]
Envelope = Callable[[Refusal], Response]


class Sandbox:
    """A running sandbox.

    A test uses it like this::

        with Sandbox(SandboxOptions(job_seconds=0), faults={"faults": [...]}) as box:
            requests.get(box.api_url("exelensia") + "/v1/exports", headers={"x-api-key": box.key("exelensia")})

    `box.clock.advance(3600)` moves its time.
    """

    def __init__(
        self,
        options: SandboxOptions | None = None,
        *,
        faults: Mapping[str, Any] | None = None,
        providers: Sequence[type[Provider]] = PROVIDERS,
    ) -> None:
        """Set the sandbox up; it serves from `start` (or `with`) on.

        Args:
            options: See `SandboxOptions`.
            faults: The fault plan; see `faults.py`.
            providers: Those that it serves.

        Raises:
            ValueError: the fault plan or a knob is not known.
        """
        self.options = options or SandboxOptions()
        if unknown := sorted(set(self.options.knobs) - {kind.name for kind in providers}):
            msg = f"knobs for unknown provider {', '.join(unknown)}"
            raise ValueError(msg)
        self.clock = Clock(self.options.start_time)
        spool = Path(tempfile.mkdtemp(prefix="tap-exports-sandbox-"))
        # Also removes the spool of a sandbox that never started, or was never stopped.
        self._remove_spool = weakref.finalize(self, shutil.rmtree, spool, ignore_errors=True)
        self._files = FileStore(spool, Signer(self.clock, self.options.url_seconds))
        self._world = World(self.clock, self.options, self._files, Faults(faults))
        self._providers = {kind.name: kind(self._world) for kind in providers}
        self._journal = Journal()
        self._control = Control(self._world, self._providers, self._journal)
        self._listeners: tuple[Listener, ...] = ()

    def __enter__(self) -> Sandbox:  # noqa: PYI034 - typing.Self is not in Python 3.10
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    def start(self) -> None:
        """Listen on both ports and serve."""
        host = self.options.host
        api = Listener((host, self.options.port), "api", self._respond_api)
        files = Listener((host, self.options.files_port), "files", self._respond_files)
        self._listeners = (api, files)
        self._files.origin = files.url
        for listener in self._listeners:
            listener.start()

    def stop(self) -> None:
        """Stop serving, close all connections, remove the spool; a second call does nothing."""
        listeners, self._listeners = self._listeners, ()
        for listener in listeners:
            listener.stop()
        self._remove_spool()

    @property
    def url(self) -> str:
        """Address of the API origin; control endpoints are under it."""
        return self._listeners[0].url

    @property
    def files_url(self) -> str:
        """Address of the files origin."""
        return self._listeners[1].url

    def api_url(self, provider: str) -> str:
        """Return the setting `api_url` for a provider: origin and prefix."""
        return f"{self.url}/{provider}"

    def key(self, provider: str) -> str:
        """Return the key that the provider accepts."""
        return self._providers[provider].key

    @property
    def provider_names(self) -> tuple[str, ...]:
        """The names of all providers."""
        return tuple(self._providers)

    def requests(self) -> list[dict[str, Any]]:
        """Return the log of requests, as `GET /_requests` does."""
        return self._journal.entries()

    def clear_requests(self) -> None:
        """Empty the log of requests."""
        self._journal.clear()

    def set_faults(self, plan: Mapping[str, Any] | None) -> None:
        """Replace the fault plan and its counters.

        Raises:
            ValueError: the plan has something that is not known.
        """
        self._world.faults.set(plan)

    def grow(self) -> dict[str, Any]:
        """Add new data at every provider and return it, as `POST /_grow` does."""
        return dict(self._ask("POST", "/_grow"))

    def spend(self) -> dict[str, Any]:
        """Return what was created and spent, as `GET /_spend` does."""
        return dict(self._ask("GET", "/_spend"))

    def truth(self, resource: str, /, **query: object) -> Any:
        """Return what stands at the source, as `GET /_truth/<resource>` does: `truth("exelensia/results")`.

        Raises:
            LookupError: there is no such resource.
        """
        return self._ask("GET", f"/_truth/{resource}", **query)

    def config(self, *names: str) -> dict[str, Any]:
        """Return a ready configuration of the tap over the seeded ids.

        Args:
            names: the providers that it is to have a block for; none for all.
        """
        wanted = [name for name in self._providers if name in (names or self._providers)]
        parts = [self._providers[name].settings_of(self.api_url(name)) for name in wanted]
        declared = [item for part in parts for item in part.pop("declared", ())]
        blocks = {name: block for part in parts for name, block in part.items()}
        blocks |= {"declared": declared} if declared else {}
        return {
            "start_date": "2024-01-01T00:00:00Z",
            "settling_seconds": 0,
            "poll_interval_seconds": 0.1,
            "job_grace_seconds": 2,
            "allow_private_hosts": True,
            **blocks,
        }

    def _ask(self, method: str, path: str, **query: object) -> Any:
        pairs = tuple((name, str(value)) for name, value in query.items())
        response = self._control.respond(Request("api", "", method, path, pairs))
        value = json.loads(response.body if isinstance(response.body, bytes) else b"")
        if response.status != HTTPStatus.OK:
            raise LookupError(f"{path}?{urlencode(query)}: {value['error']}")
        return value

    def _respond_api(self, request: Request) -> tuple[Response, Sent]:
        if request.path.startswith("/_"):
            return self._control.respond(request), lambda _size: None
        name, _, path = request.path.removeprefix("/").partition("/")
        request = replace(request, provider=name, path=f"/{path}")
        provider = self._providers.get(name)
        request = provider.as_owner(request) if provider else request
        entry = self._journal.open(request, provider.recognised(request) if provider else None)
        if provider is None:
            return entry.answered(json_response({"error": f"no provider {name}"}, 404)), entry.sent_bytes
        response = self._with_faults(request, entry, provider.respond, provider.envelope)
        if (ahead := self._world.faults.skew(name)) and response.header("Date") is None:
            response = effects.dated(response, ahead)
        return response, entry.sent_bytes

    def _respond_files(self, request: Request) -> tuple[Response, Sent]:
        request = replace(request, provider=request.path.split("/")[1] if "/" in request.path else "")
        leaked = next((name for name in KEY_HEADERS if name in request.headers), None)
        entry = self._journal.open(request, leaked)
        return self._with_faults(request, entry, self._files.respond, xml_error), entry.sent_bytes

    def _with_faults(self, request: Request, entry: Entry, respond: Respond, envelope: Envelope) -> Response:
        action = self._world.faults.pick(request)
        entry.fault = "+".join(action) or None
        response = effects.instead(action, effects.Scene(self.clock.now(), envelope))
        if response is None:
            response = respond(effects.distorted_request(action, request, self._world.faults.memory(request)))
        return entry.answered(effects.distorted_response(action, response))
