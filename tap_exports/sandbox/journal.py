"""The log of requests, for assertions."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import Any

from tap_exports.sandbox.web import Request, Response


@dataclass(slots=True)
class Entry:
    """One request; `status` stays None until it is answered, and when the connection was dropped instead."""

    n: int
    request: Request
    auth: str | None
    fault: str | None = None
    status: int | None = None
    sent: int = 0

    def answered(self, response: Response) -> Response:
        """Note the status of the answer, unless it is dropped; return the answer."""
        self.status = None if response.wire.drop else response.status
        return response

    def sent_bytes(self, size: int) -> None:
        """Note how many bytes of the body go out."""
        self.sent = size

    def to_dict(self) -> dict[str, Any]:
        """Return what `GET /_requests` shows: header names only, never a key."""
        request = self.request
        return {
            "n": self.n,
            "origin": request.origin,
            "provider": request.provider,
            "method": request.method,
            "path": request.path,
            "query": dict(request.query),
            "status": self.status,
            "headers": sorted(request.headers),
            "auth": self.auth,
            "range": request.headers.get("range"),
            "if_range": request.headers.get("if-range"),
            "body_json": _parsed(request.body),
            "body_bytes_sent": self.sent,
            "fault": self.fault,
        }


class Journal:
    """All requests in the order of their arrival; control requests are not among them."""

    def __init__(self) -> None:
        """Start empty."""
        self._entries: list[Entry] = []
        self._number = 0
        self._lock = threading.Lock()

    def open(self, request: Request, auth: str | None) -> Entry:
        """Add a request that has just arrived."""
        with self._lock:
            self._number += 1
            entry = Entry(self._number, request, auth)
            self._entries.append(entry)
        return entry

    def entries(self) -> list[dict[str, Any]]:
        """Return the log."""
        with self._lock:
            return [entry.to_dict() for entry in self._entries]

    def clear(self) -> None:
        """Forget the log; numbers go on."""
        with self._lock:
            self._entries.clear()


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None
