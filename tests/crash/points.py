"""Where a run can be struck: enumerated from the requests and the lines of a recorded run."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

_ID = re.compile(r"[^/]{18,}")
WAYS = ("SIGKILL", "SIGTERM", "closed")
BEFORE, AFTER, INSIDE, LINE = "before", "after", "inside", "line"


@dataclass(frozen=True, slots=True)
class Place:
    """A point of a run.

    Attributes:
        kind: `before` or `after` the provider handles a request, `inside` its answer's body, or a `line` of stdout.
        what: The request (`api GET /v1/exports`) or the message (`STATE`, `RECORD stream`).
        nth: Which of them, from 1.
    """

    kind: str
    what: str
    nth: int


@dataclass(frozen=True, slots=True)
class Strike:
    """A point, and what happens to the tap there: `SIGKILL`, `SIGTERM` or its stdout is `closed`."""

    place: Place
    way: str

    def __str__(self) -> str:
        """Return what tells it from others in test ids and reports."""
        return f"{self.way} {self.place.kind} {self.place.what} #{self.place.nth}"


def signature(origin: str, method: str, path: str) -> str:
    """Return what a request is called; ids are left out, since jobs that start together get them in any order."""
    return f"{origin} {method} {_ID.sub('*', path)}"


def message_name(line: bytes) -> str:
    """Return what a line of stdout is called."""
    message = json.loads(line)
    return f"{message['type']} {message['stream']}" if message["type"] == "RECORD" else str(message["type"])


def places(requests: Sequence[dict[str, Any]], lines: Sequence[bytes]) -> list[Place]:
    """Return every point of a recorded run, each once.

    Args:
        requests: The sandbox's log.
        lines: What the tap wrote to stdout.
    """
    return [*_of_requests(requests), *_of_lines(lines)]


def _of_requests(requests: Sequence[dict[str, Any]]) -> Iterator[Place]:
    seen: Counter[str] = Counter()
    for entry in requests:
        what = signature(entry["origin"], entry["method"], entry["path"])
        seen[what] += 1
        yield Place(BEFORE, what, seen[what])
        yield Place(AFTER, what, seen[what])
        if entry["origin"] == "files":
            yield Place(INSIDE, what, seen[what])


def _of_lines(lines: Sequence[bytes]) -> Iterator[Place]:
    """Yield each STATE, and the middle of each batch of rows: one batch has one `time_extracted`."""
    seen: Counter[str] = Counter()
    for (name, _), batch in groupby(lines, key=_batch):
        size = len(list(batch))
        if name == "STATE":
            yield from (Place(LINE, name, seen[name] + n) for n in range(1, size + 1))
        elif name.startswith("RECORD"):
            yield Place(LINE, name, seen[name] + (size + 1) // 2)
        seen[name] += size


def _batch(line: bytes) -> tuple[str, str | None]:
    return message_name(line), json.loads(line).get("time_extracted")
