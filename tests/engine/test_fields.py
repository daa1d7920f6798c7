"""What lines of a structured log say beside their text."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from tap_exports.engine.fields import of_message, of_request
from tap_exports.engine.jobs.outcome import describe
from tap_exports.engine.model import Job, Request, Status, Window

STREAM = "exelensia_export_invoices"
START = datetime(2024, 1, 1, tzinfo=timezone.utc)
WINDOW = Window(START, START + timedelta(days=30))


@pytest.mark.parametrize("window", [WINDOW, None])
@pytest.mark.parametrize("stream", [STREAM, f"{STREAM}@north-1"])
def test_what_an_error_describes_is_read_from_it(window: Window | None, stream: str) -> None:
    """As `describe` writes it: the same fields as those of the request."""
    told = f'{describe(stream, Job("0197-138", Status.FAILED, "f"), window)}: ended as "f": out of paper'
    assert of_message(told) == of_request(Request("exelensia", stream, {}, window), "0197-138")


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        (f"{STREAM}: job 0197-138 is left to the next run", {"stream": STREAM, "job": "0197-138"}),
        (f"{STREAM}: job 0197-138: a warning", {"stream": STREAM, "job": "0197-138"}),
        (f"{STREAM}: jobs that exist already could not be looked for", {"stream": STREAM}),
        (f"{STREAM}: a second job costs nothing at exelensia", {"stream": STREAM}),
        (f"{STREAM}, exelensia_exports: exelensia: 401: key setting was refused", {}),
        ("exelensia: GET /v1/exports: 500; attempt 1 of 6", {}),
        ("config: start_date 2024-01-01 is in the future", {}),
        ("waiting for 2 jobs: …138 processing 40 %, 3 min; 1 queued", {}),
    ],
)
def test_a_message_names_its_stream_at_its_beginning(message: str, fields: dict[str, str]) -> None:
    """One stream only: what is of several, of a provider or of the run has no such field."""
    assert of_message(message) == fields
