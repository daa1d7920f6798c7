"""Files of a model: cut, gone, rewritten between two requests, or something else than what is due."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Sequence

from tests.simulation.jobs import Account, Job, owner_of
from tests.simulation.world import Call, Json, Reply

CHANGES = ("is cut, then changes", "is cut, then changes under a weak tag", "is cut, then changes without a tag")
Contents = Callable[[int], bytes]  # of an edition of the file, counted from 1


def sent(account: Account, job: Job, contents: Contents, call: Call, media: str) -> Reply:
    """Return the file of a job, or what the history says that comes instead."""
    world = account.world
    job.readers.add(owner_of(world.ran.number))
    trouble = world.trouble("download", world.count("download"))
    kind = str(trouble.value) if trouble else ""
    if kind:
        world.tell(f"the download of {job.id} {kind}")
    if instead := _instead(kind, job, media):
        return instead
    reply = _part(contents(job.edition), call, media, _tag(job, kind, contents(job.edition)), kind)
    if kind in CHANGES:
        job.edition += 1
    return reply


def csv_of(fields: Sequence[str], rows: Sequence[Json], edition: int = 1) -> bytes:
    """Return rows as CSV; another edition of a file has them in another order."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(fields)
    writer.writerows([row[name] for name in fields] for row in (rows if edition % 2 else rows[::-1]))
    return text.getvalue().encode()


def json_of(rows: Sequence[Json], edition: int = 1) -> bytes:
    """Return rows as JSON; another edition of a file has them in another order."""
    return json.dumps(list(rows if edition % 2 else rows[::-1])).encode()


def _instead(kind: str, job: Job, media: str) -> Reply | None:
    """Return what comes instead of the file."""
    if kind == "is gone":
        return Reply(404, {"message": "gone"})
    if kind in {"is a page", "is one line of error"}:
        job.is_spoilt = True
        page = (b"<html>busy</html>", "text/html") if kind == "is a page" else (b"error, try again\n", media)
        return Reply(200, page[0], {"Content-Type": page[1]})
    return None


def _tag(job: Job, kind: str, body: bytes) -> Json:
    """Return the validator of a file: strong, weak, or only a time."""
    if kind.endswith("weak tag"):
        return {"ETag": f'W/"{job.id}"'}
    if kind.endswith("without a tag"):
        return {"Last-Modified": "Mon, 01 Jun 2026 00:00:00 GMT"}
    return {"ETag": f'"{hashlib.sha256(body).hexdigest()[:16]}"'}


def _part(body: bytes, call: Call, media: str, tag: Json, kind: str) -> Reply:
    """Return the file, or from some byte on what is left of it where it is still the same."""
    same = call.headers.get("If-Range") in {None, *tag.values()}
    start = int(call.headers["Range"].removeprefix("bytes=").rstrip("-")) if "Range" in call.headers and same else 0
    rest = body[start:]
    headers = {**tag, "Content-Type": media}
    if start:
        headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
    return Reply(206 if start else 200, rest, headers, len(rest) // 2 if kind.startswith("is cut") else None)
