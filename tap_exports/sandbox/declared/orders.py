"""Jobs of a declared provider, written as the paths of the declaration look for them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tap_exports.sandbox.declared.backwards import Found, fill, put, shown
from tap_exports.sandbox.jobs import COMPLETED, FAILED, PROCESSING, QUEUED, Life

Spec = Mapping[str, Any]
HEADER, STATUS = "header:", ":status"
MEANINGS = {QUEUED: "pending", PROCESSING: "running", COMPLETED: "completed", FAILED: "failed"}


@dataclass(slots=True)
class Order:
    """A job: what filled the holes of its request, its rows and its life."""

    id: str
    asked: Found
    rows: list[dict[str, Any]]
    life: Life


class Delivers(Protocol):
    """What tells of the files of jobs."""

    @property
    def names(self) -> list[str]:
        """Return the names of the columns."""

    def parts(self, order: Order) -> int:
        """Return the number of parts."""

    def whole(self, order: Order) -> bytes:
        """Return all rows of a job as one file."""

    def url(self, order: Order, address: str, number: int = ...) -> str:
        """Return the URL of a file."""


class Errs(Protocol):
    """How wrong the provider's own figures are."""

    count_error: int
    digest_error: bool
    truncated: bool


class Orders:
    """Writes jobs.

    Args:
        spec: The declaration.
        delivery: Tells of their files.
        knobs: Say how wrong the figures are.
    """

    def __init__(self, spec: Spec, delivery: Delivers, knobs: Errs) -> None:
        """Keep the parts."""
        self._spec, self._delivery, self._knobs = spec, delivery, knobs

    def record(self, order: Order, address: str) -> tuple[Any, list[tuple[str, str]]]:
        """Return a job with the echo of its request, and the headers that tell of it."""
        body: Any = {}
        for place, template in self._spec.get("find", {}).items():
            body = put(body, place, fill(template, order.asked))
        headers: list[tuple[str, str]] = []
        for place, value in {**self._always(order), **self._completed(order, address)}.items():
            if not place or place == HEADER + STATUS:
                continue
            if place.startswith(HEADER):
                headers.append((place.removeprefix(HEADER), str(value)))
            else:
                body = put(body, place, value)
        return body, headers

    def word(self, order: Order) -> str:
        """Return the provider's word for where a job stands; a word of the fault plan stays as it is."""
        name = order.life.phase().name
        means = MEANINGS.get(name)
        if name == COMPLETED and not order.rows:
            means = "empty" if "empty" in self._spec["status"].values() else means
        words = (word for word, meaning in self._spec["status"].items() if meaning == means)
        fallback = "running" if means == "pending" else ""
        others = (word for word, meaning in self._spec["status"].items() if meaning == fallback)
        return next(words, next(others, name))

    def _always(self, order: Order) -> dict[str, Any]:
        job, phase = self._spec["job"], order.life.phase()
        return {
            job["id"]: order.id,
            job["status"]: self.word(order),
            job.get("created"): shown(order.life.created),
            job.get("reason"): phase.reason,
            job.get("poll_after"): 0,
            **{place: round(phase.share * 100) for place in job.get("progress", ())},
        }

    def _completed(self, order: Order, address: str) -> dict[str, Any]:
        """Return what a job shows once it is completed."""
        job, files, proof = self._spec["job"], self._spec["files"], self._spec.get("proof", {})
        if order.life.phase().name != COMPLETED:
            return {}
        found: dict[str, Any] = {proof.get("rows") or job.get("rows"): len(order.rows) + self._knobs.count_error}
        found |= dict.fromkeys(job.get("also", {}).values(), order.id)
        if "sha256" in proof:
            wrong = b"!" if self._knobs.digest_error else b""
            found[proof["sha256"]] = "sha256:" + hashlib.sha256(self._delivery.whole(order) + wrong).hexdigest()
        if "truncated" in proof:
            found[proof["truncated"]] = self._knobs.truncated
        if "count" in files.get("pages", {}):
            found[files["pages"]["count"]] = self._delivery.parts(order)
        if "columns_at" in files.get("rows", {}):
            found[files["rows"]["columns_at"]] = self._delivery.names
        if "url" in files and not {"get", "post", "put", "patch"} & files.keys():
            is_null = files.get("null_is_empty") and not order.rows
            found[files["url"]] = None if is_null else self._delivery.url(order, address)
        return found
