"""The files origin: generated files behind signed URLs, with ranges and entity tags."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from tap_exports.sandbox.signing import Signer
from tap_exports.sandbox.web import Part, Refusal, Request, Response

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
KEY_HEADERS = ("authorization", "x-api-key", "px-api-key")


class Content:
    """Bytes that are written to the spool once, in this thread or beside it."""

    def __init__(self, path: Path, write: Callable[[BinaryIO], None]) -> None:
        """Remember how to write the file; nothing is written yet."""
        self.path = path
        self._write = write
        self._lock = threading.Lock()
        self._etag = ""

    def start(self) -> None:
        """Write the file in a thread of its own."""
        threading.Thread(target=self.make, daemon=True).start()

    def make(self) -> None:
        """Write the file unless that was done before."""
        with self._lock:
            if not self._etag:
                with self.path.open("wb") as file:
                    self._write(file)
                self._etag = _digest(self.path)

    def ready(self) -> bool:
        """Return whether the file is complete."""
        return bool(self._etag)

    @property
    def etag(self) -> str:
        """The strong entity tag, quoted."""
        return f'"{self._etag}"'


@dataclass(frozen=True, slots=True)
class _Entry:
    content: Content
    style: str
    media_type: str
    gone: Callable[[], bool]


class FileStore:
    """All files of a sandbox, by path on the files origin."""

    def __init__(self, spool: Path, signer: Signer) -> None:
        """Keep the files in the directory `spool`."""
        self.origin = ""
        self._spool = spool
        self._signer = signer
        self._entries: dict[str, _Entry] = {}
        self._contents: dict[Hashable, Content] = {}
        self._lock = threading.Lock()

    def content(self, key: Hashable, write: Callable[[BinaryIO], None]) -> Content:
        """Return the content known as `key`, new when there is none: equal exports are generated once."""
        with self._lock:
            if key not in self._contents:
                self._contents[key] = Content(self._spool / str(len(self._contents)), write)
            return self._contents[key]

    def publish(
        self,
        path: str,
        content: Content,
        *,
        style: str,
        media_type: str,
        gone: Callable[[], bool] = lambda: False,
    ) -> None:
        """Serve `content` at `path` to those who hold a URL signed in `style`, until it is `gone`."""
        self._entries[path] = _Entry(content, style, media_type, gone)

    def remove(self, path: str) -> None:
        """Serve this path no longer."""
        self._entries.pop(path, None)

    def sign(self, path: str) -> tuple[str, datetime]:
        """Return a signed URL of a published path and the moment when it stops working."""
        query, expires = self._signer.query(path, self._entries[path].style)
        return f"{self.origin}{path}?{query}", expires

    def respond(self, request: Request) -> Response:
        """Answer a request on the files origin; refusals are S3's XML."""
        try:
            return self._serve(request)
        except Refusal as refusal:
            return xml_error(refusal)

    def _serve(self, request: Request) -> Response:
        if request.method not in {"GET", "HEAD"}:
            raise Refusal(405, "The specified method is not allowed against this resource.", code="MethodNotAllowed")
        if any(name in request.headers for name in KEY_HEADERS):
            raise Refusal(400, "Only one auth mechanism allowed", code="InvalidArgument")
        self._signer.check(request.path, dict(request.query))
        if request.path not in self._entries or self._entries[request.path].gone():
            raise Refusal(404, "The specified key does not exist.", code="NoSuchKey")
        return _ranged(self._entries[request.path], request)


def _ranged(entry: _Entry, request: Request) -> Response:
    entry.content.make()
    body, etag = _body(entry.content, request)
    headers = (("Content-Type", entry.media_type), ("ETag", etag), ("Accept-Ranges", "bytes"))
    span = _span(request, etag, len(body))
    if span is None:
        return Response(200, body, headers)
    start, end = span
    if start >= len(body) or end < start:
        return Response(416, b"", (*headers, ("Content-Range", f"bytes */{len(body)}")))
    content_range = ("Content-Range", f"bytes {start}-{end}/{len(body)}")
    return Response(206, _slice(body, start, end + 1 - start), (*headers, content_range))


def _body(content: Content, request: Request) -> tuple[bytes | Part, str]:
    if not request.content and not request.etag_salt:
        return Part(content.path, 0, content.path.stat().st_size), content.etag
    data = content.path.read_bytes()
    for distort in request.content:
        data = distort(data)
    return data, f'"{hashlib.sha256(data + request.etag_salt.encode()).hexdigest()[:32]}"'


def _span(request: Request, etag: str, size: int) -> tuple[int, int] | None:
    match = _RANGE.fullmatch(request.headers.get("range", ""))
    if match is None or match.groups() == ("", "") or request.headers.get("if-range", etag) != etag:
        return None
    first, last = match.groups()
    if not first:
        return max(0, size - int(last)), size - 1
    return int(first), min(int(last), size - 1) if last else size - 1


def _slice(body: bytes | Part, start: int, length: int) -> bytes | Part:
    return Part(body.path, start, length) if isinstance(body, Part) else body[start : start + length]


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:32]


def xml_error(refusal: Refusal) -> Response:
    """Return a refusal in the envelope of S3."""
    text = f"<Error><Code>{refusal.code}</Code><Message>{refusal.message}</Message></Error>"
    body = b'<?xml version="1.0" encoding="UTF-8"?>\n' + text.encode()
    return Response(refusal.status, body, (("Content-Type", "application/xml"),))
