"""A provider of the sandbox with the routes that a declaration names; what it does not send is refused."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, BinaryIO, ClassVar

from tap_exports.sandbox.declared.backwards import Found, fill, holes, put, read_back, shown
from tap_exports.sandbox.declared.rows import Table
from tap_exports.sandbox.jobs import COMPLETED, FAILED, PROCESSING, QUEUED, VANISHED, Life
from tap_exports.sandbox.provider import Provider
from tap_exports.sandbox.web import Refusal, Request, Response, json_response, route, truth

Spec = Mapping[str, Any]
METHODS = ("get", "post", "put", "patch", "delete")
CALLS = ("submit", "then", "poll", "files", "list", "find", "delete")
KEY = "sandbox-declared-key"
MEANINGS = {QUEUED: "pending", PROCESSING: "running", COMPLETED: "completed", FAILED: "failed"}
MEDIA = {"csv": "text/csv", "tsv": "text/tab-separated-values", "json": "application/json", "jsonl": "application/json"}


@dataclass(frozen=True)
class Knobs:
    """How a declared provider behaves.

    Attributes:
        rows: Rows at the source.
        count_error: Added to the counts that it shows.
        page_rows: Rows of a page of a chain of files.
        token_seconds: Life of a token.
    """

    rows: int = 1000
    count_error: int = 0
    page_rows: int = 300
    token_seconds: int = 3600


@dataclass(slots=True)
class Order:
    """A job: what filled the holes of its request, its rows and its life."""

    id: str
    asked: Found
    rows: list[dict[str, Any]]
    life: Life


class DeclaredProvider(Provider):
    """The handlers; `provider_of` gives them their routes."""

    key = KEY
    auth_header = "authorization"
    knobs_type = Knobs
    spec: ClassVar[Spec]

    def seed(self) -> None:
        """Set rows and an empty list of jobs up."""
        self.made, self.refused = count(1), 0
        self.jobs: dict[str, Order] = {}
        self.tokens: dict[str, float] = {}
        self.table = Table.of(self.spec.get("window", {}).get("key", "moment"), self.settings.rows)

    def recognised(self, request: Request) -> str | None:
        """Return what carries the credentials, None where they are wrong."""
        auth = self.spec.get("auth", {})
        if "oauth2" in auth:
            if request.path == TOKEN_PATH:
                return "authorization"
            header = next(iter(auth.get("headers", {"Authorization": ""}))).lower()
            token = request.headers.get(header, "").removeprefix("Bearer ")
            return header if self.tokens.get(token, 0) > self.world.clock.now().timestamp() else None
        wanted = {name.lower(): _filled(text) for name, text in auth.get("headers", {}).items()}
        if basic := auth.get("basic"):
            pair = f"{_filled(basic['user'])}:{_filled(basic.get('password', ''))}"
            wanted["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        query = {name: _filled(text) for name, text in auth.get("query", {}).items()}
        right = all(request.headers.get(name) == value for name, value in wanted.items())
        return next(iter(wanted), "query") if right and query.items() <= dict(request.query).items() else None

    def envelope(self, refusal: Refusal) -> Response:
        """Return an error in a common form."""
        if refusal.status < 400:  # noqa: PLR2004 - an error within a success, as GraphQL writes it
            return json_response(put(None, self.spec["errors_at"][0], [refusal.message]), refusal.status)
        return json_response({"error": {"code": refusal.code or "", "message": refusal.message}}, refusal.status)

    def grow(self) -> dict[str, Any]:
        """Add nothing."""
        return {}

    def spend(self) -> dict[str, int]:
        """Return how many jobs were made and how many creations refused."""
        return {"jobs_created": len(self.jobs), "refused": self.refused}

    def settings_of(self, api_url: str) -> dict[str, Any]:
        """Return the tap's settings: the declaration itself, and an entry with its example or made-up values."""
        auth = sorted({name for name, _ in holes(self.spec.get("auth", {}))} - {"token"})
        example = self.spec.get("example", {})
        made_up = {name: f"some {name}" for name, _ in holes([self.spec[key] for key in CALLS if key in self.spec])}
        params = {name: value for name, value in made_up.items() if name not in self._filled_by_tap()}
        block = {
            "api": dict(self.spec),
            "api_url": api_url,
            "credentials": dict.fromkeys(auth, KEY),
            "exports": [
                {
                    "name": example.get("name", "rows"),
                    "primary_keys": ["row_id"],
                    "params": params | example.get("params", {}),
                }
            ],
        }
        return {
            "declared": [block | ({"token_url": api_url + TOKEN_PATH} if "oauth2" in self.spec.get("auth", {}) else {})]
        }

    def _filled_by_tap(self) -> set[str]:
        return {"start", "end", "until", "mark", "id", "page", *self.spec["job"].get("also", {})}

    def config(self) -> dict[str, Any]:
        """Return nothing: see `settings_of`."""
        return {}

    # Handlers

    def token(self, request: Request) -> Response:
        """Grant a token."""
        if KEY not in request.body.decode() and KEY not in request.headers.get("authorization", ""):
            raise Refusal(400, "invalid_grant", code="invalid_grant")
        token = f"token-{len(self.tokens) + 1:04d}-0123456789abcdef"
        self.tokens[token] = self.world.clock.now().timestamp() + self.settings.token_seconds
        told = {"access_token": token, "token_type": "Bearer", "expires_in": self.settings.token_seconds}
        return json_response(told)

    def create(self, request: Request, **path: str) -> Response:
        """Create a job, or show one where the same call polls."""
        if _route(self.spec["poll"]) == _route(self.spec["submit"]) and (found := self._polled(request)):
            return found
        asked: Found = dict(path)
        submit = self.spec["submit"]
        self._read_call(submit, request, asked)
        self._refuse(asked)
        number = f"job{next(self.made):05d}"
        self.jobs[number] = Order(number, asked, self.table.within(asked), self.job())
        return json_response(put(None, submit.get("at", ""), self._record(self.jobs[number])), 201)

    def _polled(self, request: Request) -> Response | None:
        found: Found = {}
        try:
            self._read_call(self.spec["poll"], request, found)
        except Refusal:
            return None
        return self.look(request, **found)

    def _read_call(self, call: Spec, request: Request, found: Found) -> None:
        """Read the holes of a call's body and query back.

        Raises:
            Refusal: 400, it is not what the declaration sends.
        """
        if "json" in call:
            read_back(call["json"], request.json(), found)
        query = {k: v for k, v in request.query if k not in self.spec.get("auth", {}).get("query", {})}
        read_back(call.get("params", {}), query, found, "query")

    def _refuse(self, asked: Found) -> None:
        """Refuse a creation as the declared refusals say.

        Raises:
            Refusal: Too many jobs run, or an equal one exists.
        """
        running = sum(not order.life.phase().ended for order in self.jobs.values())
        for case in self.spec["submit"].get("refusals", ()):
            if case["means"] == "busy" and running >= case.get("at_most", 1):
                self.refused += 1
                raise Refusal(200 if self.spec.get("errors_at") else 429, case.get("sample", "too many jobs"))
            same = next((order.id for order in self.jobs.values() if order.asked == asked), None)
            if case["means"] == "same" and same:
                raise Refusal(425, case["sample"].replace("{id}", same))

    def follow(self, request: Request, **path: str) -> Response:
        """Take a call after the creation."""
        del request
        return json_response({"id": self._order(path).id})

    def look(self, request: Request, **path: str) -> Response:
        """Show a job."""
        del request
        order = self._order(path)
        order.life.observe()
        return json_response(put(None, self.spec["poll"].get("at", ""), self._record(order)))

    def show(self, request: Request, **path: str) -> Response:
        """List the jobs, newest first."""
        del path
        page = int(dict(request.query).get("page", 1))
        kept = [order for order in reversed(self.jobs.values()) if order.life.observe().name != VANISHED]
        records = [self._record(order) for order in kept] if page == 1 else []
        return json_response(put(None, self.spec["list"]["items"], records))

    def sign(self, request: Request, **path: str) -> Response:
        """Show the URL of a job's file."""
        del request
        order = self._order(path)
        if order.life.phase().name != COMPLETED:
            raise Refusal(next(iter(self.spec["files"].get("not_ready", [409]))), "not completed")
        return json_response(put(None, self.spec["files"]["url"], self._url(order)))

    def result(self, request: Request, **path: str) -> Response:
        """Return a file, or a page of it, to those who hold the key."""
        order, files = self._order(path), self.spec["files"]
        form = files.get("format", "csv")
        headers, rows = [("Content-Type", MEDIA[form])], order.rows
        if pages := files.get("pages"):
            first = int(dict(request.query).get(pages["param"], 0))
            following = first + self.settings.page_rows
            rows = rows[first:following]
            headers.append(
                (pages["next"].removeprefix("header:"), str(following) if following < len(order.rows) else "null")
            )
        return Response(200, self.table.encoded(rows, form), tuple(headers))

    def remove(self, request: Request, **path: str) -> Response:
        """Delete a job."""
        del request
        self.jobs.pop(self._order(path).id)
        return Response(204)

    @truth("/rows")
    def told(self, _request: Request) -> list[Any]:
        """Return all rows."""
        return self.table.plain()

    # Jobs

    def _order(self, path: Mapping[str, str]) -> Order:
        names = ["id", *self.spec["job"].get("also", {})]
        number = next((path[name] for name in names if name in path), "")
        order = self.jobs.get(number)
        if order is None or order.life.phase().name == VANISHED:
            raise Refusal(404, "no such job")
        return order

    def _record(self, order: Order) -> Any:
        """Return a job as the declaration's paths look for it, with the echo of its request."""
        job, phase = self.spec["job"], order.life.phase()
        body: Any = {}
        for place, template in self.spec.get("find", {}).items():
            body = put(body, place, fill(template, order.asked))
        values = {
            job["id"]: order.id,
            job["status"]: self._word(phase.name),
            job.get("created"): shown(order.life.created),
            job.get("reason"): phase.reason,
            **{place: round(phase.share * 100) for place in job.get("progress", ())},
        }
        if phase.name == COMPLETED:
            rows = self.spec.get("proof", {}).get("rows") or job.get("rows")
            values |= {rows: len(order.rows) + self.settings.count_error}
            values |= dict.fromkeys(job.get("also", {}).values(), order.id)
            if not _route(self.spec["files"])[0] and "url" in self.spec["files"]:
                values[self.spec["files"]["url"]] = self._url(order)
        for place, value in values.items():
            body = put(body, place, value) if place and not place.startswith("header:") else body
        return body

    def _word(self, name: str) -> str:
        """Return the provider's word for a phase; a word of the fault plan stays as it is."""
        meaning = MEANINGS.get(name)
        return next((word for word, means in self.spec["status"].items() if means == meaning), name)

    def _writer(self, order: Order, form: str) -> Callable[[BinaryIO], None]:
        def write(file: BinaryIO) -> None:
            file.write(self.table.encoded(order.rows, form))

        return write

    def _url(self, order: Order) -> str:
        form = self.spec["files"].get("format", "csv")
        path = f"/{self.name}/{order.id}.{form}"
        content = self.world.files.content(path, self._writer(order, form))
        content.make()
        self.world.files.publish(path, content, style="token", media_type=MEDIA[form])
        return self.world.files.sign(path)[0]


TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path


def provider_of(written: Spec) -> type[DeclaredProvider]:
    """Return the provider class of a declaration.

    Args:
        written: Its content as YAML gives it; the tap's own check has passed.
    """
    spec: Spec = json.loads(json.dumps(written, default=str))  # YAML makes dates of `seen`
    calls: list[tuple[Callable[..., Any], Spec | None]] = [
        (DeclaredProvider.create, spec["submit"]),
        (DeclaredProvider.show, spec.get("list")),
        (DeclaredProvider.remove, spec.get("delete")),
        *((DeclaredProvider.follow, step) for step in spec.get("then", ())),
    ]
    if _route(spec["poll"]) != _route(spec["submit"]) and not spec["poll"].get("list"):
        calls.append((DeclaredProvider.look, spec["poll"]))
    files = spec["files"]
    calls.append(
        (DeclaredProvider.result, {"get": files["path"]}) if "path" in files else (DeclaredProvider.sign, files)
    )
    methods: dict[str, Any] = {"name": spec["name"], "spec": spec, "told": DeclaredProvider.told}
    for index, (handler, call) in enumerate(calls):
        method, path = _route(call or {})
        if method:
            methods[f"call_{index}"] = route(method, path)(_bound(handler))
    if "oauth2" in spec.get("auth", {}):
        methods["call_token"] = route("POST", TOKEN_PATH)(_bound(DeclaredProvider.token))
    return type(f"Declared{spec['name'].title()}", (DeclaredProvider,), methods)


def _bound(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of its own, since a route is a mark on a function."""

    def call(self: DeclaredProvider, request: Request, **path: str) -> Response:
        response: Response = handler(self, request, **path)
        return response

    return call


def _route(call: Spec) -> tuple[str, str]:
    """Return method and path of a call, its holes named as routes name them."""
    found = next(((method.upper(), str(call[method])) for method in METHODS if method in call), ("", ""))
    return found[0], re.sub(r"\{(\w+):\w+\}", r"{\1}", found[1])


_filled = partial(re.sub, r"\{\w+\}", KEY)
