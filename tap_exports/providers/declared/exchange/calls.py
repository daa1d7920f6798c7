"""Sends the calls that a declaration describes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from requests.structures import CaseInsensitiveDict

from tap_exports.engine.http import Client, Reply
from tap_exports.errors import RefusedError
from tap_exports.providers.declared.declaration import Declaration, verb_of
from tap_exports.providers.declared.declaration.paths import pick
from tap_exports.providers.declared.declaration.templates import Values, fill, fill_path

Signs = Callable[[str, str, Mapping[str, Any], bytes], Mapping[str, str]]
STATUS = ":status"  # the status of a reply among its headers, named as HTTP/2 names it


class Calls:
    """Fills the templates of calls and sends them.

    Args:
        client: Sends requests with the credentials.
        declaration: The declaration.
        base: Origin and prefix of the API.
        variables: What the configuration says for holes of paths.
        query: Parameters that authorize every query.
        body: Fields that authorize every JSON body.
    """

    def __init__(
        self,
        client: Client,
        declaration: Declaration,
        base: str,
        variables: Values,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep the parts."""
        self.client, self.declaration, self.variables = client, declaration, variables
        self.base = base.rstrip("/")
        self._query, self._body = query or {}, body or {}
        self.sign: Signs | None = None

    @property
    def name(self) -> str:
        """Return the declaration's name."""
        return self.declaration.name

    def send(
        self,
        call: Mapping[str, Any],
        values: Values,
        *,
        idempotent: bool = True,
        stands: Callable[[Reply], bool] = lambda _reply: False,
    ) -> Reply:
        """Send a call; see `Client.send`.

        Raises:
            RefusedError: Also for errors within a reply of status 200.
        """
        method, template = verb_of(call)
        path, params = self.path(template, values), self.query(call, values)
        headers = {name: str(value) for name, value in fill(call.get("headers", {}), values).items()}
        body: Any = fill(call["json"], values) if "json" in call else None
        if isinstance(body, dict):
            body |= self._body
        if "form" in call:
            body = urlencode(fill(call["form"], values), doseq=True).encode()
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        if self.sign:
            headers |= self.sign(method.upper(), path, params, body)
        reply = self.client.send(
            method.upper(), path, params=params, body=body, headers=headers, idempotent=idempotent, stands=stands
        )
        if said := self._errors(reply):
            raise RefusedError(f"{reply.source}: {reply.status}: {said}", reply.status)
        return reply

    def query(self, call: Mapping[str, Any], values: Values) -> dict[str, Any]:
        """Return the query of a call, credentials included."""
        return {**self._query, **fill(call.get("params", {}), values)}

    def path(self, template: str, values: Values) -> str:
        """Return a path with its holes filled.

        Raises:
            RefusedError: A value is missing, or is `.` or `..`.
        """
        try:
            path = fill_path(template, values)
        except KeyError as missing:
            raise RefusedError(
                f"{self.name}: {template}: {missing} is not known; set it in `params` or `variables`"
            ) from None
        if {".", ".."} & set(path.split("/")):
            raise RefusedError(f"{self.name}: {template}: filled, it leads to another path: {path}")
        return path

    def _errors(self, reply: Reply) -> str:
        """Return the errors that a reply of status 200 holds, or an empty text."""
        if not (places := self.declaration.spec.get("errors_at")) or reply.is_empty:
            return ""
        found = [pick(reply.json(), place, reply.headers) for place in places]
        texts = [text for each in found for text in (each if isinstance(each, list) else [each]) if text]
        return "; ".join(map(str, texts))


def headers_of(reply: Reply) -> Mapping[str, str]:
    """Return the headers of a reply as paths see them, its status among them."""
    return CaseInsensitiveDict({**reply.headers, STATUS: str(reply.status)})
