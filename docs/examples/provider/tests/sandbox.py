"""The same API on loopback: what the tests run the tap against."""

from __future__ import annotations

import csv
import io
import zipfile
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import count
from typing import Any, BinaryIO, ClassVar

from tap_exports.sandbox.jobs import COMPLETED, FAILED, PROCESSING, QUEUED, Life
from tap_exports.sandbox.provider import Provider
from tap_exports.sandbox.web import Refusal, Request, Response, json_response, route

STATES = {QUEUED: "waiting", PROCESSING: "working", COMPLETED: "complete", FAILED: "error"}
FIRST = datetime(2024, 1, 1, tzinfo=timezone.utc)
COLUMNS = ("Date", "Email Address", "Sender", "Subject", "Status", "Tags", "Opens", "Clicks", "Bounce Detail")


@dataclass(frozen=True)
class Knobs:
    """How the API behaves."""

    rows: int = 200


@dataclass(frozen=True)
class Order:
    """A job: its bounds and its life."""

    first: str
    until: str
    life: Life


class Mandrill(Provider):
    """Exports of one account; errors come with status 500, as the real API has them."""

    name: ClassVar[str] = "mandrill"
    key: ClassVar[str] = "sandbox-mandrill-key"
    auth_header: ClassVar[str] = "authorization"
    knobs_type: ClassVar[type] = Knobs

    def seed(self) -> None:
        """Begin without jobs."""
        self.orders: dict[str, Order] = {}
        self.numbers = count(1)

    def recognised(self, request: Request) -> str | None:
        """Return what carries the key, None where it is wrong."""
        return "body" if request.body and request.json_object().get("key") == self.key else None

    def authenticate(self, request: Request) -> None:
        """Refuse another key.

        Raises:
            Refusal: 500, `Invalid_Key`.
        """
        if self.recognised(request) is None:
            raise Refusal(500, "Invalid API key", code="Invalid_Key")

    def envelope(self, refusal: Refusal) -> Response:
        """Return the error body."""
        body = {"status": "error", "code": -1, "name": refusal.code or "GeneralError", "message": refusal.message}
        return json_response(body, refusal.status)

    @route("POST", "/exports/activity")
    def activity(self, request: Request) -> Response:
        """Create a job."""
        body = request.json_object()
        number = f"job-{next(self.numbers):04d}"
        self.orders[number] = Order(body.get("date_from", ""), body["date_to"], self.job())
        return json_response(self.record(number))

    @route("POST", "/exports/info")
    def info(self, request: Request) -> Response:
        """Show a job.

        Raises:
            Refusal: 500, `Unknown_Export`.
        """
        number = request.json_object()["id"]
        if number not in self.orders:
            raise Refusal(500, "No export with that id", code="Unknown_Export")
        self.orders[number].life.observe()
        return json_response(self.record(number))

    @route("POST", "/exports/list")
    def listed(self, request: Request) -> Response:
        """Show all jobs."""
        del request
        return json_response([self.record(number) for number in self.orders])

    def record(self, number: str) -> dict[str, Any]:
        """Return a job as the API shows it."""
        order = self.orders[number]
        phase = order.life.phase()
        done = phase.name == COMPLETED
        return {
            "id": number,
            "type": "activity",
            "state": STATES.get(phase.name, phase.name),
            "created_at": f"{order.life.created:%Y-%m-%d %H:%M:%S}",
            "finished_at": f"{phase.since:%Y-%m-%d %H:%M:%S}" if phase.ended else None,
            "result_url": self.url(number, order) if done else None,
        }

    def url(self, number: str, order: Order) -> str:
        """Return the signed URL of a job's file."""
        path = f"/mandrill/{number}.zip"
        content = self.world.files.content(path, lambda file: self.write(file, order))
        content.make()
        self.world.files.publish(path, content, style="token", media_type="application/zip")
        return self.world.files.sign(path)[0]

    def write(self, file: BinaryIO, order: Order) -> None:
        """Write the zip; `date_to` excludes its second here."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        writer.writerows(row for row in self.rows() if order.first <= row["Date"] < order.until)
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(ACTIVITY, text.getvalue())

    def rows(self) -> list[dict[str, str]]:
        """Return all messages, one every three hours."""
        moments = (FIRST + n * timedelta(hours=3) for n in range(self.settings.rows))
        return [
            dict(
                zip(
                    COLUMNS, (f"{moment:%Y-%m-%d %H:%M:%S}", f"{n}@example.com", "us", f"No. {n}", "sent"), strict=False
                )
            )
            for n, moment in enumerate(moments)
        ]

    def grow(self) -> dict[str, Any]:
        """Add nothing."""
        return {}

    def spend(self) -> dict[str, int]:
        """Return how many jobs were made."""
        return {"jobs_created": len(self.orders)}

    def config(self) -> dict[str, Any]:
        """Return the tap's block, without key and address."""
        return {"exports": [{"name": "all", "primary_keys": ["Email Address"]}]}


ACTIVITY = "activity.csv"
