"""The live API, asked by free calls that read: a list, a job, the URLs of its files, the first bytes of one."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar, cast

from tap_exports.engine.http import Client, Reply, fields
from tap_exports.engine.http.connections import BrokenReplyError, NotConnectedError
from tap_exports.engine.model import Job, RemoteFile, Row, Status
from tap_exports.errors import StopError, TapError
from tap_exports.providers.declared.declaration import Declaration, verb_of
from tap_exports.providers.declared.declaration.paths import pick
from tap_exports.providers.declared.streams import DeclaredRows
from tap_exports.tap import TapExports

T = TypeVar("T")

FIRST_BYTES = 64 * 1024
_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_ZIP_HEAD = 30


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request without its credentials, and the reply to it.

    Attributes:
        call: The key of the declaration that it belongs to.
        path: Below `base_url`.
        params: The query.
        reply: The reply.
    """

    call: str
    path: str
    params: Mapping[str, Any]
    reply: Reply


@dataclass(slots=True)
class Seen:
    """What was asked and seen.

    Attributes:
        exchanges: In order.
        refusals: What was refused, by the key of the declaration.
        skipped: Why a call was not made, by the key of the declaration.
        files: Those of a completed job.
        head: The first bytes of the first file, unpacked; None where none was read.
    """

    exchanges: list[Exchange] = field(default_factory=list)
    refusals: dict[str, TapError] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    files: list[RemoteFile] = field(default_factory=list)
    head: bytes | None = None

    def replies(self, call: str) -> list[Reply]:
        """Return the replies to a call of the declaration."""
        return [each.reply for each in self.exchanges if each.call == call]


class Watched:
    """A client that notes what it is answered, and sends nothing but GET.

    Args:
        client: Sends the requests.
        seen: Takes the notes.
    """

    def __init__(self, client: Client, seen: Seen) -> None:
        """Keep the parts."""
        self._client, self._seen, self.call = client, seen, ""
        self.time, self.address = client.time, client.address

    def send(self, method: str, path: str, **options: Any) -> Reply:  # noqa: ANN401 - of `Client.send`
        """Send a GET; see `Client.send`.

        Raises:
            StopError: It is another request.
        """
        if method != "GET":
            raise StopError(f"{method} {path}: only GET is sent")
        reply = self._client.send(method, path, **options)
        self._seen.exchanges.append(Exchange(self.call, path, options.get("params") or {}, reply))
        return reply


class WatchedTap(TapExports):
    """The tap, whose clients are watched but for those that request tokens."""

    seen: Seen
    watched: Watched

    def client(self, provider: str, block: Mapping[str, Any], api_url: str, **options: Any) -> Client:  # noqa: ANN401 - as there
        """Return the client of a provider, watched."""
        client = super().client(provider, block, api_url, **options)
        if "credentials" not in options:
            return client
        self.watched = Watched(client, self.seen)
        return cast("Client", self.watched)


def ask(stream: DeclaredRows, watched: Watched, seen: Seen, job: str | None) -> None:
    """Ask what can be asked freely: the list, a job of it or the one that was named, and its files.

    Args:
        stream: An export of the declaration.
        watched: The client of its api.
        seen: Takes what is seen.
        job: The id of a job, or None for one of the list.
    """
    declaration, params = stream.declaration, dict(stream.params())
    if _may(declaration, "list", seen):
        _attempt(watched, seen, "list", stream.api.check)
    chosen = Job(job, Status.PENDING, data=params) if job else best(declaration, seen, params)
    if chosen is None:
        seen.skipped["poll"] = seen.skipped["files"] = "there is no job to look at: name one with --job"
        return
    polled = None
    if declaration.spec["poll"].get("list") or _may(declaration, "poll", seen):
        polled = _attempt(watched, seen, "poll", partial(stream.api.poll, chosen))
    current = polled or chosen
    if stream.lifecycle.statuses.applied(current).status is not Status.COMPLETED:
        seen.skipped["files"] = f"the job {current.id} is not completed"
    elif _may(declaration, "files", seen):
        files: Sequence[RemoteFile] | None = _attempt(watched, seen, "files", partial(stream.api.open, current))
        seen.files = list(files or ())[:1]
        if seen.files:
            _attempt(watched, seen, "file", partial(_first_bytes, stream, seen))


def records_of(declaration: Declaration, seen: Seen) -> list[Row]:
    """Return the jobs of the list, as they came."""
    found = [pick(reply.json(), declaration.spec["list"]["items"], reply.headers) for reply in seen.replies("list")]
    return [dict(item) for items in found if isinstance(items, list) for item in items if isinstance(item, Mapping)]


def best(declaration: Declaration, seen: Seen, params: Mapping[str, Any]) -> Job | None:
    """Return a completed job of the list, else any, else None."""
    spec = declaration.spec["job"]
    jobs = []
    for record in records_of(declaration, seen):
        also = {name: pick(record, path) for name, path in spec.get("also", {}).items()}
        status = fields.status(declaration.statuses, str(pick(record, spec["status"]) or ""))
        if job_id := fields.text(pick(record, spec["id"])):
            jobs.append(Job(job_id, status, data={**params, **also}))
    return next((job for job in jobs if job.status is Status.COMPLETED), next(iter(jobs), None))


def _may(declaration: Declaration, key: str, seen: Seen) -> bool:
    """Return whether a call may be made; say why not."""
    call = declaration.spec.get(key)
    if call is None:
        seen.skipped[key] = "the declaration has none"
    elif (method := verb_of(call)[0]) not in {"get", ""}:
        seen.skipped[key] = f"it is a {method.upper()}, and only GET is sent"
    return key not in seen.skipped


def _attempt(watched: Watched, seen: Seen, call: str, action: Callable[[], T]) -> T | None:
    """Return what an action returns; None where it is refused, which is noted."""
    watched.call = call
    try:
        return action()
    except TapError as error:
        seen.refusals[call] = error
        return None


def _first_bytes(stream: DeclaredRows, seen: Seen) -> None:
    """Read the beginning of a file.

    Raises:
        TapError: The URL may not be opened, or the reply has an error status.
    """
    ranged = {"Range": f"bytes=0-{FIRST_BYTES - 1}"}
    try:
        answer = stream.file_transport.open("GET", seen.files[0].url, ranged)
        head = b""
        try:
            while len(head) < FIRST_BYTES and (part := answer.read(FIRST_BYTES)):
                head += part
        finally:
            answer.close()
    except (BrokenReplyError, NotConnectedError) as error:
        raise StopError(f"the file cannot be read: {error}") from error
    if answer.status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
        raise StopError(f"the file's URL was answered with {answer.status}")
    seen.head = unpacked(head)


def unpacked(head: bytes) -> bytes:
    """Return the beginning of what a gzip file or the first file of a zip holds; else the bytes as they are."""
    raw, window = head, 0
    if head.startswith(_GZIP):
        window = zlib.MAX_WBITS | 16
    elif head.startswith(_ZIP) and len(head) > _ZIP_HEAD:
        names = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
        raw, window = head[_ZIP_HEAD + names :], -zlib.MAX_WBITS if head[8] else 0
    if not window:
        return raw[:FIRST_BYTES]
    try:
        return zlib.decompressobj(window).decompress(raw, FIRST_BYTES)
    except zlib.error:
        return b""
