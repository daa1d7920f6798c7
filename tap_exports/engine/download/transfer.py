"""Brings one file into the spool: a broken body goes on where it broke, an expired URL is renewed, no key is sent.

Complete means that the body came to its proper end: every announced byte, the last chunk, or, where the server only
hung up, a proof that nothing lies behind. Digests that the server gives have to fit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from tap_exports.engine.activity import Activity
from tap_exports.engine.clock import Clock
from tap_exports.engine.download.ends import End, find_end
from tap_exports.engine.download.fetch import (
    PARTIAL,
    RANGE_NOT_SATISFIABLE,
    WHOLE,
    PageError,
    PassingError,
    check_status,
    opened,
    refuse_page,
)
from tap_exports.engine.download.part import Part
from tap_exports.engine.http.connections import BrokenReplyError, NotConnectedError, SlowReplyError
from tap_exports.engine.http.guard.origins import host_of
from tap_exports.engine.http.quota import used_up
from tap_exports.engine.http.retry import Attempts
from tap_exports.engine.http.transport import Answer, HttpSettings, OpensUrls
from tap_exports.engine.model import LocalFile, RemoteFile
from tap_exports.engine.spool import Spool, SpoolFile
from tap_exports.engine.unpacked import ArchiveLimits
from tap_exports.errors import (
    BadContentError,
    FileGoneError,
    QuotaError,
    StopError,
    TryAgainError,
    UrlExpiredError,
    UrlRefusedError,
)

LOGGER = logging.getLogger("tap-exports.download")
MAX_RENEWALS = 3
_THROTTLED = 429
UNKNOWN_ENDS = 2  # reads of a body whose end cannot be proven, before the stream stops
_CHUNK_BYTES = 1024 * 1024


def download(  # noqa: PLR0913, PLR0917 - one place where everything about a download comes together
    remote: RemoteFile,
    renew: Callable[[], RemoteFile],
    transport: OpensUrls,
    spool: Spool,
    settings: HttpSettings,
    clock: Clock,
    activity: Activity | None = None,
) -> LocalFile:
    """Return a complete copy of a remote file.

    Args:
        remote: The file and its signed URL.
        renew: Asks the provider for a new URL of the same file.
        transport: One that sends no credential to a foreign origin.
        spool: Takes the copy; the reader removes it.
        settings: `max_attempts` counts attempts without progress.
        clock: Measures and waits.
        activity: Notes the attempts.

    Raises:
        TryAgainError: No progress in `max_attempts` attempts, or the file kept changing.
        FileGoneError: The file is not there (404, 410), also behind three new URLs.
        UrlRefusedError: The URL stayed refused after three new ones.
        StopError: The disk is full.
        UnsafeUrlError: A hop leads to another scheme or a private address, or there are too many.
        BadContentError: Pages came where a file is due, or the end of the file cannot be proven.
        LimitError: The file is larger than the spool allows, or unpacks to more than `archive_max_mb` and
            `archive_max_ratio` allow.
        NoRoomError: It is not waited for, and the spool has no room.
    """
    file = spool.create(remote.name, ahead=remote.ahead)
    limits = ArchiveLimits(settings.archive_max_mb, settings.archive_max_ratio)
    part = Part(file, verify=settings.verify_digests, limits=limits)
    try:
        _Transfer(remote, renew, transport, part, settings, clock, activity or Activity(clock)).run()
        return _finished(remote, file, part, limits)
    except BaseException:
        file.discard()
        raise


def _finished(remote: RemoteFile, file: SpoolFile, part: Part, limits: ArchiveLimits) -> LocalFile:
    """Return the copy, once it is held against the digest that the provider's API gives of the file.

    Raises:
        BadContentError: It has another one.
    """
    if remote.sha256 not in {None, file.sha256}:
        raise BadContentError(f"{remote.name}: its bytes do not have the SHA-256 that the provider gives")
    local = LocalFile(remote.name, file.path, file.size, file.sha256, part.etag, None, limits.max_mb, limits.max_ratio)
    summed = remote.sha256 is not None or part.verified
    found = replace(local, rows_at=remote.rows_at, columns=remote.columns)
    return replace(found, summed=summed, is_whole=part.is_whole)


class _Transfer:
    """The attempts at one file."""

    def __init__(  # noqa: PLR0913, PLR0917 - as `download`
        self,
        remote: RemoteFile,
        renew: Callable[[], RemoteFile],
        transport: OpensUrls,
        part: Part,
        settings: HttpSettings,
        clock: Clock,
        activity: Activity,
    ) -> None:
        self._url = remote.url
        self._where = f"{host_of(remote.url)}: {remote.name}"
        self._renew = renew
        self._transport = transport
        self._part = part
        self._settings = settings
        self._clock = clock
        self._activity = activity
        self._attempts = Attempts(settings, clock)
        self._restarts = self._renewals = self._unknown_ends = 0
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
        except PageError as error:
            self._bear_page(error)
        except (NotConnectedError, BrokenReplyError, PassingError) as error:
            self._bear(error)
        except StopError as error:
            raise type(error)(f"{self._where}: {error.message}") from error.__cause__
        else:
            return True
        return False

    def _attempt(self) -> None:
        answer = self._ask("GET", self._part.conditions())
        try:
            piece = self._accept(answer)
            while piece:
                self._part.write(piece)
                piece = answer.read(_CHUNK_BYTES)
        finally:
            answer.close()
        self._finish()

    def _ask(self, method: str, headers: Mapping[str, str]) -> Answer:
        return opened(self._transport, method, self._url, headers)

    def _accept(self, answer: Answer) -> bytes:
        """Prepare the part for a body and return its first bytes, or raise what the reply means."""
        check_status(answer, self._clock.now())
        if answer.status == RANGE_NOT_SATISFIABLE:
            self._start_over("the server has no bytes beyond those that came")
        refuse_page(answer.headers)
        if answer.status == PARTIAL and not (self._part.conditions() and self._part.continues(answer.headers)):
            self._start_over("the range that came does not continue the file")
        if answer.status == WHOLE:
            self._part.expect(answer.headers)
        piece = answer.read(_CHUNK_BYTES)
        if answer.status == WHOLE:
            refuse_page(answer.headers, piece)
            if self._part.received:
                self._count_restart("the file changed, or its server resumes nothing")
            self._part.begin(answer.headers)
        return piece

    def _finish(self) -> None:
        """Prove that the file is whole and finish it, or raise what is wrong with it."""
        part = self._part
        if part.missing:
            raise BrokenReplyError("the body ended early")
        if part.overfull:
            self._start_over("more bytes came than were announced")
        if not part.framed:
            self._prove_end()
        if algorithm := part.wrong_digest:
            self._start_over(f"the bytes do not have the {algorithm} that the server gives (`verify_digests`)")
        part.close()

    def _prove_end(self) -> None:
        """Return when a body that ended with its connection is known to be whole."""
        end = find_end(self._part, self._ask)
        if end is End.CUT:
            raise BrokenReplyError("the body ended early")
        if end is End.PROVEN:
            return
        self._unknown_ends += 1
        what = "the server announces no length and answers no question for the end, so a cut would not be seen"
        if self._settings.unframed_files == "accept":
            self._part.is_whole = False
            LOGGER.warning("%s: %s", self._where, what)
        elif self._unknown_ends == UNKNOWN_ENDS:
            raise BadContentError(f"{what}; `unframed_files: accept` reads it all the same")
        else:
            self._start_over(what)

    def _start_over(self, reason: str) -> None:
        self._part.reset()
        self._count_restart(reason)
        raise BrokenReplyError(reason)

    def _count_restart(self, reason: str) -> None:
        """Bound the restarts apart from the attempts: each may look like progress."""
        self._restarts += 1
        if self._restarts >= self._settings.max_attempts:
            raise TryAgainError(f"{self._where}: started over {self._restarts} times: {reason}")

    def _progressed(self, error: Exception) -> bool:
        """Return whether more of the file is here than ever before; what is below the floor of speed does not count."""
        gained = self._part.received - self._furthest
        self._furthest = max(self._furthest, self._part.received)
        return gained > (self._settings.floor.span_bytes if isinstance(error, SlowReplyError) else 0)

    def _bear(self, error: NotConnectedError | BrokenReplyError | PassingError) -> None:
        """Wait for the next attempt, or raise what ends them."""
        if isinstance(error, NotConnectedError) and error.permanent:
            raise StopError(f"{self._where}: {error}") from error
        if self._progressed(error):
            self._attempts.restart()
            self._renewals = 0
        if not self._attempts.failed():
            raise TryAgainError(f"{self._where}: no progress in {self._attempts.count} attempts: {error}") from error
        passing = error if isinstance(error, PassingError) else None
        throttled = passing is not None and passing.status == _THROTTLED
        self._wait(f"{error} after {self._part.received} bytes", passing.hint if passing else None, throttled=throttled)

    def _bear_page(self, error: PageError) -> None:
        """Wait and get a new URL: one page is a blip, several in a row are not."""
        if not self._attempts.failed():
            raise BadContentError(f"{self._where}: {error}, in {self._attempts.count} attempts") from None
        self._wait(str(error), None)
        self._url = self._renew().url

    def _expired(self, error: UrlExpiredError) -> None:
        """Get a new URL; from the second one in a row on, wait before."""
        if self._renewals == MAX_RENEWALS:
            msg = f"{self._where}: the URL answered {error}, also after {MAX_RENEWALS} new ones"
            raise FileGoneError(msg) if error.is_gone else UrlRefusedError(msg)
        if self._renewals:
            self._wait(f"a new URL answered {error}", None)
        self._renewals += 1
        self._url = self._renew().url

    def _wait(self, reason: str, hint: float | None, *, throttled: bool = False) -> None:
        if hint and self._attempts.cannot_bear(hint):
            kind = QuotaError if throttled else TryAgainError
            raise kind(f"{self._where}: {reason}; {used_up(self._clock.now(), hint)}")
        seconds = self._attempts.next_wait(hint)
        self._activity.retried(host_of(self._url), seconds, throttled=throttled)
        LOGGER.warning("%s: %s; going on in %.1f s", self._where, reason, seconds)
        if not self._attempts.wait(seconds):
            raise TryAgainError(f"{self._where}: {reason}; not tried again, the run is ending")
