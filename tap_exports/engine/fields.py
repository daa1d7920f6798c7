"""The fields that lines of a structured log have beside their text."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tap_exports.engine.model import Request

# As messages begin: `stream: …`, `stream: job id …`, and `stream window, job id: …` as `jobs.describe` writes it.
_BEGINS = re.compile(
    r"(?P<stream>[a-z0-9]+_[a-z0-9_]+(?:@[^\s:,]+)?)(?: (?P<window>\S+…\S+))?(?:, job (?P<job>[^\s:,]+))?:"
    r"(?: job (?P<later>[^\s:,]+)(?![^\s:,]))?"
)


def window_text(request: Request) -> str | None:
    """Return a request's window as text, None for a full export."""
    return str(request.window) if request.window else None


def of_request(request: Request, job_id: str | None = None, rows: int | None = None) -> Mapping[str, object]:
    """Return the fields of a line about what a stream asked for: its job and the rows of it where they are known."""
    return _known(stream=request.stream, job=job_id, window=window_text(request), rows=rows)


def of_message(message: str) -> Mapping[str, object]:
    """Return what the beginning of a message says of stream, job and window; nothing where it names no stream."""
    found = _BEGINS.match(message)
    if not found:
        return {}
    return _known(stream=found["stream"], job=found["job"] or found["later"], window=found["window"])


def _known(**fields: object) -> Mapping[str, object]:
    return {name: value for name, value in fields.items() if value is not None}
