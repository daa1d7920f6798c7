"""Brings one file into the spool: a broken body goes on where it broke, an expired URL is renewed, no key is sent.

Complete means that the body came to its proper end (every announced byte, or the last chunk), not that the server hung
up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from tap_exports.engine.clock import Clock
from tap_exports.engine.download.part import Part
from tap_exports.engine.http.connections import BrokenReplyError, NotConnectedError
from tap_exports.engine.http.guard.origins import host_of, redirected
from tap_exports.engine.http.retry import Attempts, retry_after
from tap_exports.engine.http.transport import Answer, HttpSettings, Transport
from tap_exports.engine.model import LocalFile, RemoteFile
from tap_exports.engine.spool import Spool
from tap_exports.errors import BadContentError, RefusedError, StopError, TryAgainError, UnsafeUrlError, UrlExpiredError

LOGGER = logging.getLogger("tap-exports.download")
MAX_REDIRECTS = 5
MAX_RENEWALS = 3
_CHUNK_BYTES = 1024 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WHOLE, _PARTIAL, _RANGE_NOT_SATISFIABLE = 200, 206, 416
# 400 beside the four of the design: Google's store answers it, with the code ExpiredToken, once a signature is too old.
_EXPIRED = frozenset({400, 401, 403, 404, 410})
_PASSING = frozenset({408, 425, 429, *range(500, 600)})
_PAGES = frozenset({"text/html", "application/xhtml+xml", "text/xml", "application/xml"})


def download(
    remote: RemoteFile,
    renew: Callable[[], RemoteFile],
    transport: Transport,
    spool: Spool,
    settings: HttpSettings,
    clock: Clock,
) -> LocalFile:
    """Return a complete copy of a remote file.

    Args:
        remote: The file and its signed URL.
        renew: Asks the provider for a new URL of the same file.
        transport: One that carries no credential.
        spool: Takes the copy; the reader removes it.
        settings: `max_attempts` counts attempts without progress.
        clock: Measures and waits.

    Raises:
        TryAgainError: No progress in `max_attempts` attempts, or the file kept changing.
        StopError: The URL stayed refused after three new ones, or the disk is full.
        UnsafeUrlError: A hop leads to another scheme or a private address, or there are too many.
        BadContentError: A page came where a file is due.
        LimitError: The file is larger than the spool allows.
    """
    file = spool.create(remote.name)
    part = Part(file)
    try:
        _Transfer(remote, renew, transport, part, settings, clock).run()
    except BaseException:
        file.discard()
        raise
    return LocalFile(remote.name, file.path, file.size, file.sha256, part.etag)


class _Passing(Exception):  # noqa: N818 - a reply, not a defect
    """A status that will change by itself, and the seconds that the server asks to wait."""

    def __init__(self, status: int, hint: float | None) -> None:
        super().__init__(f"status {status}")
        self.hint = hint


class _Transfer:
    """The attempts at one file."""

    def __init__(
        self,
        remote: RemoteFile,
        renew: Callable[[], RemoteFile],
        transport: Transport,
        part: Part,
        settings: HttpSettings,
        clock: Clock,
    ) -> None:
        self._url = remote.url
        self._where = f"{host_of(remote.url)}: {remote.name}"
        self._renew = renew
        self._transport = transport
        self._part = part
        self._max_restarts = settings.max_attempts
        self._clock = clock
        self._attempts = Attempts(settings, clock)
        self._restarts = self._renewals = 0
        self._furthest = 0

    def run(self) -> None:
        """Attempt until the file is complete."""
        while not self._attempted():
            pass

    def _attempted(self) -> bool:
        """Attempt once and return whether the file is complete; a fault is dealt with for the next attempt."""
        try:
            self._attempt()
        except UrlExpiredError as error:
            self._expired(error)
        except (NotConnectedError, BrokenReplyError, _Passing) as error:
            self._bear(error)
        except StopError as error:
            raise type(error)(f"{self._where}: {error.message}") from error.__cause__
        else:
            return True
        return False

    def _attempt(self) -> None:
        part = self._part
        answer = self._opened()
        try:
            self._accept(answer)
            while piece := answer.read(_CHUNK_BYTES, decode=False):
                part.write(piece)
        finally:
            answer.close()
        if part.missing:
            raise BrokenReplyError("the body ended early")
        if part.overfull:
            self._start_over("more bytes came than were announced")
        part.close()

    def _opened(self) -> Answer:
        """Follow redirects by hand, so that every hop is checked."""
        url = self._url
        headers = {
            "User-Agent": "tap-exports",
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            **self._part.conditions(),
        }
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._transport.open("GET", url, headers)
            if answer.status not in _REDIRECTS:
                return answer
            answer.close()
            url = redirected(url, answer.headers.get("Location", ""))
        raise UnsafeUrlError(f"more than {MAX_REDIRECTS} redirects")

    def _accept(self, answer: Answer) -> None:
        """Prepare the part for a body, or raise what its status means."""
        status, headers = answer.status, answer.headers
        if status in {_WHOLE, _PARTIAL}:
            _refuse_page(headers.get("Content-Type", ""))
        if status == _WHOLE:
            self._begin(answer)
        elif status == _PARTIAL:
            if not (self._part.conditions() and self._part.continues(headers)):
                self._start_over("the range that came does not continue the file")
        elif status == _RANGE_NOT_SATISFIABLE:
            self._start_over("the server has no bytes beyond those that came")
        elif status in _EXPIRED:
            raise UrlExpiredError(str(status))
        elif status in _PASSING:
            raise _Passing(status, retry_after(headers, self._clock.now()))
        else:
            raise RefusedError(f"status {status}", status)

    def _begin(self, answer: Answer) -> None:
        if self._part.received:
            self._count_restart("the file changed, or its server resumes nothing")
        self._part.begin(answer.headers)
        if self._part.total is None and "Transfer-Encoding" not in answer.headers:
            LOGGER.warning("%s: the server announces no length, so a cut would not be seen", self._where)

    def _start_over(self, reason: str) -> None:
        self._part.reset()
        self._count_restart(reason)
        raise BrokenReplyError(reason)

    def _count_restart(self, reason: str) -> None:
        """Bound the restarts apart from the attempts: each may look like progress."""
        self._restarts += 1
        if self._restarts >= self._max_restarts:
            raise TryAgainError(f"{self._where}: started over {self._restarts} times: {reason}")

    def _progressed(self) -> bool:
        """Return whether more of the file is here than ever before."""
        progress = self._part.received > self._furthest
        self._furthest = max(self._furthest, self._part.received)
        return progress

    def _bear(self, error: NotConnectedError | BrokenReplyError | _Passing) -> None:
        """Wait for the next attempt, or raise what ends them."""
        if isinstance(error, NotConnectedError) and error.permanent:
            raise StopError(f"{self._where}: {error}") from error
        if self._progressed():
            self._attempts.restart()
            self._renewals = 0
        if not self._attempts.failed():
            raise TryAgainError(f"{self._where}: no progress in {self._attempts.count} attempts: {error}") from error
        self._wait(f"{error} after {self._part.received} bytes", error.hint if isinstance(error, _Passing) else None)

    def _expired(self, error: UrlExpiredError) -> None:
        """Get a new URL; from the second one in a row on, wait before."""
        if self._renewals == MAX_RENEWALS:
            raise StopError(f"{self._where}: the URL answered {error}, also after {MAX_RENEWALS} new ones")
        if self._renewals:
            self._wait(f"a new URL answered {error}", None)
        self._renewals += 1
        self._url = self._renew().url
        self._part.forget_dates()

    def _wait(self, reason: str, hint: float | None) -> None:
        seconds = self._attempts.next_wait(hint)
        LOGGER.warning("%s: %s; going on in %.1f s", self._where, reason, seconds)
        if not self._attempts.wait(seconds):
            raise TryAgainError(f"{self._where}: {reason}; not tried again, the run is ending")


def _refuse_page(content_type: str) -> None:
    media = content_type.partition(";")[0].strip().lower()
    if media in _PAGES:
        raise BadContentError(f"a page of type {media} came where a file is due")
