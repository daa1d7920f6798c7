"""Replies of a declared API to jobs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone

from tap_exports.engine.clock import from_text
from tap_exports.engine.http import fields
from tap_exports.engine.model import Job, Row
from tap_exports.errors import BadContentError
from tap_exports.providers.declared.declaration import Declaration
from tap_exports.providers.declared.declaration.paths import pick
from tap_exports.providers.declared.declaration.templates import Values

FIRST_MILLISECONDS = 100_000_000_000  # what is greater counts milliseconds since 1970, not seconds
RECORD, EMPTY = "", "empty job"  # keys of `Job.data` that no hole can name


class Replies:
    """Finds the fields of a job where the declaration says that they stand.

    Args:
        declaration: The declaration.
    """

    def __init__(self, declaration: Declaration) -> None:
        """Keep it."""
        self._declaration, self._spec = declaration, declaration.spec

    def job(self, record: object, headers: Mapping[str, str], values: Values, known: str = "") -> Job:
        """Return the job that a record describes.

        Args:
            record: A JSON value.
            headers: Of the reply.
            values: Stay with the job, for later calls.
            known: Its id, where it is known already.

        Raises:
            BadContentError: It has no id.
        """
        spec, name = self._spec["job"], self._declaration.name
        job_id = known or fields.text(pick(record, spec["id"], headers))
        if not job_id or isinstance(record, list):
            raise BadContentError(f'{name}: no job at "{spec["id"]}" of the reply, got {fields.shown(record)}')
        word = str(pick(record, spec["status"], headers) or "")
        empty = word.casefold() in self._declaration.empty_words
        wait = fields.number(pick(record, spec["poll_after"], headers)) if "poll_after" in spec else None
        return Job(
            id=job_id,
            status=fields.status(self._declaration.statuses, word),
            raw_status=word,
            created_at=instant(pick(record, spec["created"], headers)) if "created" in spec else None,
            rows=0 if empty else self._count(record, headers),
            progress=tuple(str(pick(record, path, headers)) for path in spec.get("progress", ())),
            reason=fields.text(pick(record, spec["reason"], headers)) if "reason" in spec else None,
            poll_after=float(wait) if wait is not None else None,
            is_capped=self._is_truncated(record),
            data={
                **values,
                **{hole: pick(record, path, headers) for hole, path in spec.get("also", {}).items()},
                RECORD: record,
                **({EMPTY: True} if empty else {}),
            },
        )

    def also(self, job: Job) -> Row:
        """Return what the declaration's `also` found in a job."""
        return {name: job.data.get(name) for name in self._spec["job"].get("also", {})}

    def digest(self, job: Job) -> str | None:
        """Return the SHA-256 that the provider gives of a job's file, as hex digits, or None."""
        path = self._spec.get("proof", {}).get("sha256")
        text = str(pick(job.data.get(RECORD), path) or "") if path else ""
        found = re.fullmatch(r"(?:sha-?256[:=])?([0-9a-f]{64})", text.strip().lower())
        return found[1] if found else None

    def _count(self, record: object, headers: Mapping[str, str]) -> int | None:
        path = self._spec.get("proof", {}).get("rows") or self._spec["job"].get("rows")
        return fields.number(pick(record, path, headers)) if path else None

    def _is_truncated(self, record: object) -> bool:
        path = self._spec.get("proof", {}).get("truncated")
        return bool(path) and bool(fields.flag(pick(record, path)))


def instant(value: object) -> datetime | None:
    """Return an instant from text, or from seconds or milliseconds since 1970; None for anything else."""
    seconds = fields.number(value)
    try:
        if seconds is not None:
            return datetime.fromtimestamp(seconds / (1000 if seconds > FIRST_MILLISECONDS else 1), timezone.utc)
        return from_text(re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", str(value))) if value else None
    except (ValueError, OverflowError, OSError):
        return None
