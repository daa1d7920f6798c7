"""A client of a running sandbox, for its own tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests

from tap_exports.sandbox import Sandbox

HEADERS = {
    "exelensia": ("x-api-key", ""),
    "cension": ("authorization", ""),
    "packagex": ("px-api-key", ""),
    "cornect": ("authorization", "Bearer "),
    "closient": ("x-api-key", ""),
}


@dataclass(frozen=True, slots=True)
class Client:
    """One provider of a running sandbox, asked with the right key."""

    box: Sandbox
    name: str
    session: requests.Session

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:  # noqa: ANN401 - of requests
        return self.session.request(method, self.box.api_url(self.name) + path, timeout=10, **options)

    def get(self, path: str, **query: object) -> Any:  # noqa: ANN401 - JSON
        params = {name: str(value) for name, value in query.items()}
        response = self.ask("GET", path, params=params)
        response.raise_for_status()
        return response.json()


Clients = Callable[..., Client]
