"""A provider of the sandbox with the routes that a declaration names; what it does not send is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs

from tap_exports.sandbox.declared.access import KEY, TOKEN_PATH, Access
from tap_exports.sandbox.declared.backwards import Found, compose, holes, put, read_back
from tap_exports.sandbox.declared.delivery import MEDIA, Delivery
from tap_exports.sandbox.declared.orders import HEADER, STATUS, Order, Orders
from tap_exports.sandbox.declared.rows import Table
from tap_exports.sandbox.jobs import COMPLETED, FAILED, VANISHED
from tap_exports.sandbox.lists import paged
from tap_exports.sandbox.provider import Provider
from tap_exports.sandbox.web import Refusal, Request, Response, json_response, route, truth

Spec = Mapping[str, Any]
METHODS = ("get", "post", "put", "patch", "delete")
CALLS = ("submit", "then", "poll", "files", "list", "find", "delete")
KEYED_PATH = "/_keyed/{id}/{part}"  # where files stand that need the key, at URLs that a reply tells
ITEMS = ("one", "two")


@dataclass(frozen=True)
class Knobs:
    """How a declared provider behaves.

    Attributes:
        rows: Rows at the source.
        count_error: Added to the counts that it shows.
        repeated_rows: Last rows of each export that stand in it twice.
        digest_error: Whether the digests that it shows are wrong.
        truncated: Whether it says that rows were left out.
        page_rows: Rows of a page of a chain of files.
        page_jobs: Jobs of a page of the list.
        most_jobs: Creations until a quota is used up; 0 for no quota.
        most_rows: Rows of the largest job that a declaration with such a refusal takes; 0 for no bound.
        token_seconds: Life of a token.
    """

    rows: int = 1000
    count_error: int = 0
    repeated_rows: int = 0
    digest_error: bool = False
    truncated: bool = False
    page_rows: int = 300
    page_jobs: int = 100
    most_jobs: int = 0
    most_rows: int = 0
    token_seconds: int = 3600


class DeclaredProvider(Provider):
    """The handlers; `provider_of` gives them their routes."""

    key = KEY
    auth_header = "authorization"
    knobs_type = Knobs
    spec: ClassVar[Spec]
    file: ClassVar[Path | None] = None

    def seed(self) -> None:
        """Set rows and an empty list of jobs up."""
        self.made, self.refused, self.address = count(1), 0, ""
        self.keeps = kept(self.spec)
        self.access = Access(self.spec.get("auth", {}), self.settings.token_seconds)
        self.table = Table.of(self.spec.get("window", {}).get("key", "moment"), self.settings.rows)
        self.delivery = Delivery(self.spec, self.table, self.world.files, self.name, self.settings.page_rows)
        self.jobs: dict[str, Order] = {}
        self.orders = Orders(self.spec, self.delivery, self.settings)

    def recognised(self, request: Request) -> str | None:
        """Return what carries the credentials, None where they are wrong."""
        self.address = f"http://{request.headers.get('host', '')}/{self.name}"
        return self.access.recognised(request, self.world.clock.now().timestamp())

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
        block: dict[str, Any] = (
            {"file": str(self.file)} if self.file and "python" in self.spec else {"api": dict(self.spec)}
        )
        block |= {
            "api_url": api_url,
            "credentials": self.access.credentials(auth),
            "exports": [
                {
                    "name": example.get("name", "rows"),
                    "primary_keys": ["row_id"],
                    "params": self._made_up() | example.get("params", {}),
                }
            ],
        }
        return {
            "declared": [block | ({"token_url": api_url + TOKEN_PATH} if "oauth2" in self.spec.get("auth", {}) else {})]
        }

    def _made_up(self) -> dict[str, Any]:
        """Return a value for each hole that neither the tap nor `each` fills, and a list for the latter."""
        each = self.spec.get("each")
        filled = {"start", "end", "until", "mark", "id", "page", "next", *self.spec["job"].get("also", {})}
        asked = [self.spec[key] for key in CALLS if key in self.spec]
        made_up: dict[str, Any] = {name: f"some {name}" for name, _ in holes(asked) if name not in filled}
        if each:
            made_up.pop(each["as"], None)
            made_up[each["of"]] = list(ITEMS)
        return made_up

    def config(self) -> dict[str, Any]:
        """Return nothing: see `settings_of`."""
        return {}

    # Handlers

    def token(self, request: Request) -> Response:
        """Grant a token."""
        return json_response(self.access.grant(request, self.world.clock.now().timestamp()))

    def create(self, request: Request, **path: str) -> Response:
        """Create a job, or show one where the same call polls."""
        if path_of(self.spec["poll"]) == path_of(self.spec["submit"]) and (found := self._polled(request)):
            return found
        asked: Found = dict(path)
        submit = self.spec["submit"]
        self._read_call(submit, request, asked)
        place, places = self._item(asked)
        rows = self.table.within(asked, place, places)
        rows += rows[len(rows) - min(len(rows), self.settings.repeated_rows) :]
        self._refuse(asked, rows)
        number = f"job{next(self.made):017d}"
        order = self.jobs[number] = Order(number, asked, rows, self.job())
        running = next(word for word, means in self.spec["status"].items() if means != "failed")
        status = int(running) if self.spec["job"]["status"] == HEADER + STATUS else 201
        return self._shown(order, submit.get("at", ""), status)

    def _item(self, asked: Found) -> tuple[int, int]:
        """Return which of the items a request names, and how many there are; each has its share of the rows."""
        if (each := self.spec.get("each")) is None:
            return 0, 1
        items = list(map(str, self.spec.get("example", {}).get("params", {}).get(each["of"], ITEMS)))
        if asked.get(each["as"]) not in items:
            raise Refusal(400, f"unknown {each['as']}")
        return items.index(asked[each["as"]]), len(items)

    def _polled(self, request: Request) -> Response | None:
        found: Found = {}
        try:
            self._read_call(self.spec["poll"], request, found)
        except Refusal:
            return None
        return self.look(request, **found)

    def _read_call(self, call: Spec, request: Request, found: Found, *more: str) -> None:
        """Read the holes of a call's body and query back; `more` are parameters that turn pages.

        Raises:
            Refusal: 400, it is not what the declaration sends.
        """
        if "json" in call:
            sent = request.json()
            fields = self.access.fields
            if isinstance(sent, dict):
                sent = {key: value for key, value in sent.items() if key not in fields}
            read_back(call["json"], sent, found)
        if "form" in call:
            form = {key: values if len(values) > 1 else values[0] for key, values in _form(request).items()}
            read_back(call["form"], form, found, "form")
        for name, template in call.get("headers", {}).items():
            if (sent := request.headers.get(name.lower())) is not None:
                read_back(template, sent, found, "headers")
        query = {k: v for k, v in request.query if k not in {*self.access.query, *more}}
        read_back(call.get("params", {}), query, found, "query")
        compose(found)

    def _refuse(self, asked: Found, rows: list[dict[str, Any]]) -> None:
        """Refuse a creation as the declared refusals say.

        Raises:
            Refusal: Too many jobs run or were made, an equal one exists, or there is nothing to export.
        """
        running, most = sum(not order.life.phase().ended for order in self.jobs.values()), self.settings.most_jobs
        for case in self.spec["submit"].get("refusals", ()):
            same = next((order.id for order in self.jobs.values() if order.asked == asked and _stands(order)), None)
            due = {
                "busy": running >= case.get("at_most", 1),
                "quota": bool(most) and len(self.jobs) >= most,
                "same": same is not None,
                "empty": not rows,
                "too_large": bool(self.settings.most_rows) and len(rows) > self.settings.most_rows,
            }
            if due[case["means"]]:
                self.refused += 1
                sample = str(case.get("sample", "too many jobs")).replace("{id}", same or "")
                raise Refusal(self._status_of(case), sample)

    def _status_of(self, case: Spec) -> int:
        """Return the status of a refusal: the one that its pattern begins with, or that of an error in a success."""
        written = re.match(r"\^?([45]\d\d)", case["matches"])
        usual = 200 if self.spec.get("errors_at") else {"busy": 429, "same": 425}.get(case["means"], 422)
        return int(written[1]) if written else usual

    def follow(self, request: Request, **path: str) -> Response:
        """Take a call after the creation."""
        del request
        return json_response({"id": self._order(path).id})

    def look(self, request: Request, **path: str) -> Response:
        """Show a job, or a page of its rows where the same path with a parameter shows these."""
        poll, files = self.spec["poll"], self.spec["files"]
        turns = files.get("pages", {}).get("param")
        if path_of(poll) == ("GET", path_of({"get": files.get("path", "")})[1]) and turns in dict(request.query):
            return self.result(request, **path)
        found: Found = dict(path)
        self._read_call(poll, request, found, turns or "")
        order = self._order(found)
        order.life.observe()
        if path_of(poll) == path_of(files) and order.life.phase().name == COMPLETED:
            return self.sign(request, **path)
        status = int(self.orders.word(order)) if self.spec["job"]["status"] == HEADER + STATUS else 200
        return self._shown(order, poll.get("at", ""), status)

    def _shown(self, order: Order, at: str, status: int) -> Response:
        """Return a job as the declaration's paths look for it."""
        body, headers = self.orders.record(order, self.address)
        if status >= 400:  # noqa: PLR2004 - that is how it tells that a job failed
            raise Refusal(status, order.life.phase().reason or "failed")
        return json_response(put(None, at, body), status, tuple(headers))

    def show(self, request: Request, **path: str) -> Response:
        """List the jobs, newest first."""
        listed, found = self.spec["list"], dict(path)
        cursor = listed.get("pages", {}).get("param", "")
        self._read_call(listed, request, found, cursor)
        kept = [
            order
            for order in reversed(self.jobs.values())
            if order.life.observe().name != VANISHED and not self._is_past(order) and self._is_of(order, path, found)
        ]
        size = self.settings.page_jobs if "page" in found or cursor else max(1, len(kept))
        place = int(found["page"]) - int(listed.get("first_page", 1)) if "page" in found else 0
        start = int(dict(request.query).get(cursor, place * size))
        page = paged(request.listing, kept, start, size, key=lambda order: order.id)
        records = [self.orders.record(order, self.address)[0] for order in page.rows]
        told = {listed.get("total"): page.total, listed.get("more"): page.more}
        told |= {listed.get("pages", {}).get("next"): str(page.end) if page.more else None}
        told |= {listed["size"]: size} if isinstance(listed.get("size"), str) else {}
        body, headers = put(None, listed["items"], records), list[tuple[str, str]]()
        for where, value in told.items():
            if where and value is not None:
                body = place_into(body, headers, where, value)
        return json_response(body, 200, tuple(headers))

    def sign(self, request: Request, **path: str) -> Response:
        """Show the URLs of a job's files, or of one page of them."""
        files, found = self.spec["files"], dict(path)
        pages = files.get("pages", {})
        turns = pages.get("param", "")
        self._read_call(files, request, found, turns)
        order = self._order(found)
        if order.life.phase().name != COMPLETED:
            raise Refusal(next(iter(files.get("not_ready", [409]))), "not completed")
        shown = self.orders.record(order, self.address)[0] if path_of(self.spec["poll"]) == path_of(files) else None
        if files.get("null_is_empty") and not order.rows:
            return json_response(put(shown, files["url"], None))
        if not pages:
            return json_response(put(shown, files["url"], self.delivery.url(order, self.address)))
        number = self.delivery.number(dict(request.query).get(turns) if turns else found.get("next"))
        body = put(shown, files["url"], self.delivery.url(order, self.address, number))
        headers: list[tuple[str, str]] = []
        if (following := self.delivery.after(order, number)) is not None:
            body = place_into(body, headers, pages["next"], following)
        return json_response(body, 200, tuple(headers))

    def result(self, request: Request, **path: str) -> Response:
        """Return a file, or a page of it, to those who hold the key."""
        order, files = self._order(path), self.spec["files"]
        pages = files.get("pages")
        headers = [("Content-Type", MEDIA[files.get("format", "csv")])]
        if not pages:
            return Response(200, self.delivery.whole(order), tuple(headers))
        number = self.delivery.number(dict(request.query).get(pages["param"]))
        following, outer = self.delivery.after(order, number), None
        if "next" in pages and (following is not None or pages["next"].startswith(HEADER)):
            outer = place_into(None, headers, pages["next"], "null" if following is None else following)
        return Response(200, self.delivery.part(order, number, outer), tuple(headers))

    def keyed(self, request: Request, **path: str) -> Response:
        """Return a file whose URL a reply told, to those who hold the key."""
        del request
        order, number = self._order(path), int(path["part"])
        content = self.delivery.whole(order) if number < 0 else self.delivery.part(order, number)
        return Response(200, content, (("Content-Type", MEDIA[self.spec["files"].get("format", "csv")]),))

    def remove(self, request: Request, **path: str) -> Response:
        """Delete a job."""
        del request
        self.jobs.pop(self._order(path).id)
        return Response(204)

    @truth("/rows")
    def told(self, _request: Request) -> list[Any]:
        """Return all rows."""
        return self.table.plain()

    def _order(self, path: Mapping[str, str]) -> Order:
        names = ["id", *self.spec["job"].get("also", {})]
        number = next((path[name] for name in names if name in path), "")
        order = self.jobs.get(number)
        if order is None or order.life.phase().name == VANISHED or self._is_past(order):
            raise Refusal(404, "no such job")
        if not self._is_of(order, path, path):
            raise Refusal(404, "no such job there")
        return order

    def _is_of(self, order: Order, place: Mapping[str, str], found: Mapping[str, str]) -> bool:
        """Return whether a job belongs to where a call looks: what its path and its item name, the creation named too.

        Args:
            order: The job.
            place: What filled the holes of the path.
            found: What filled all holes of the call.
        """
        names = {*place, self.spec.get("each", {}).get("as")} & found.keys() & order.asked.keys()
        return all(found[name] == order.asked[name] for name in names)

    def _is_past(self, order: Order) -> bool:
        """Return whether a job is older than the provider keeps jobs."""
        return self.keeps is not None and self.world.clock.now() - order.life.created > self.keeps


def kept(spec: Spec) -> timedelta | None:
    """Return how long jobs are kept, or None for no limit."""
    number, _, unit = str(spec.get("limits", {}).get("keep", "")).partition(" ")
    return timedelta(**{unit.removesuffix("s") + "s": int(number)}) if unit else None


def _stands(order: Order) -> bool:
    """Return whether the provider takes an equal request for a repetition of this one."""
    return order.life.phase().name not in {FAILED, VANISHED}


def place_into(body: Any, headers: list[tuple[str, str]], where: str, value: object) -> Any:
    """Return a body that holds a value at a path; one that is a header's joins these."""
    if where.startswith(HEADER):
        headers.append((where.removeprefix(HEADER), str(value)))
        return body
    return put(body, where, value)


def provider_of(written: Spec, file: Path | None = None) -> type[DeclaredProvider]:
    """Return the provider class of a declaration.

    Args:
        written: Its content as YAML gives it; the tap's own check has passed.
        file: Where it stands, for declarations with Python beside them.
    """
    spec: Spec = json.loads(json.dumps(written, default=str))  # YAML makes dates of `seen`
    methods: dict[str, Any] = {"name": spec["name"], "spec": spec, "told": DeclaredProvider.told, "file": file}
    for index, (handler, call) in enumerate(_calls(spec)):
        method, path = path_of(call)
        if method:
            methods[f"call_{index}"] = route(method, path)(_bound(handler))
    return type(f"Declared{spec['name'].title()}", (DeclaredProvider,), methods)


def _calls(spec: Spec) -> list[tuple[Callable[..., Any], Spec]]:
    """Return the handlers of a declaration, each with the call that it answers."""
    calls: list[tuple[Callable[..., Any], Spec]] = [
        (DeclaredProvider.create, spec["submit"]),
        (DeclaredProvider.show, spec.get("list", {})),
        (DeclaredProvider.remove, spec.get("delete", {})),
        *((DeclaredProvider.follow, step) for step in spec.get("then", ())),
    ]
    if path_of(spec["poll"]) != path_of(spec["submit"]) and not spec["poll"].get("list"):
        calls.append((DeclaredProvider.look, spec["poll"]))
    files = spec["files"]
    if "path" not in files:
        calls.append((DeclaredProvider.keyed, {"get": KEYED_PATH}))
        if path_of(files) != path_of(spec["poll"]):
            calls.append((DeclaredProvider.sign, files))
    elif path_of({"get": files["path"]}) != path_of(spec["poll"]):
        calls.append((DeclaredProvider.result, {"get": files["path"]}))
    if "oauth2" in spec.get("auth", {}):
        calls.append((DeclaredProvider.token, {"post": TOKEN_PATH}))
    return calls


def _bound(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of its own, since a route is a mark on a function."""

    def call(self: DeclaredProvider, request: Request, **path: str) -> Response:
        response: Response = handler(self, request, **path)
        return response

    return call


def path_of(call: Spec) -> tuple[str, str]:
    """Return method and path of a call, its holes named as routes name them."""
    found = next(((method.upper(), str(call[method])) for method in METHODS if method in call), ("", ""))
    return found[0], re.sub(r"\{(\w+):\w+\}", r"{\1}", found[1])


def _form(request: Request) -> dict[str, list[str]]:
    return parse_qs(request.body.decode(), keep_blank_values=True)
