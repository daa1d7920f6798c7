"""Every error of the tap, grouped by what happens next: try again, submit again, stop.

A message says what happened, where, and what to do. Messages are built from safe parts only: an URL appears without its
query string, a credential never.
"""

from __future__ import annotations

from collections.abc import Sequence


class TapError(Exception):
    """A failure with a message that a user can act on.

    Args:
        message: What happened, where, and what to do; one or two lines without secrets.
    """

    def __init__(self, message: str) -> None:
        """Keep the message."""
        super().__init__(message)
        self.message = message


# Try again -------------------------------------------------------------------------------------------------------


class TryAgainError(TapError):
    """A passing fault of an idempotent request: 429, 5xx, a timeout, a reset.

    Args:
        message: See `TapError`.
        retry_after: Seconds that the provider asked for, or None.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        """Keep the provider's own hint beside the message."""
        super().__init__(message)
        self.retry_after = retry_after


class UnreachableError(TryAgainError):
    """No connection to the provider came about in any attempt: the host or the network is wrong, not the request."""


class ProviderDownError(TryAgainError):
    """The provider answers nothing: a request has used all its attempts, and this one met a fault as well."""


class LostReplyError(TapError):
    """A creating request was sent and its outcome is not known: look for the job, never repeat it blindly."""


class UrlExpiredError(TapError):
    """A signed URL answered 401, 403, 404 or 410: ask the provider for a new one.

    Args:
        message: See `TapError`.
        is_gone: Whether it said that the file is not there.
    """

    def __init__(self, message: str, *, is_gone: bool = False) -> None:
        """Keep whether the file is gone."""
        super().__init__(message)
        self.is_gone = is_gone


# Submit again ----------------------------------------------------------------------------------------------------


class JobLostError(TapError):
    """The provider no longer knows a job (404, 410 or gone from its list): submit the same window again, once."""


class FileGoneError(JobLostError):
    """The job is there and no longer has a file that it had: to poll it again would not help."""


# Stop ------------------------------------------------------------------------------------------------------------


class StopError(TapError):
    """The stream cannot go on; its bookmark stays where it was."""


class ConfigError(StopError):
    """A setting is missing, misspelt or contradicts another."""


class StateError(StopError):
    """A STATE that cannot be read: malformed, or written by a newer version."""


class NewerStateError(StateError):
    """A STATE that a newer version wrote: nothing of it is changed or used."""


class LedgerError(StopError):
    """The durable ledger is another run's, or cannot be read or written: nothing may be created."""


class ExecutorError(StopError):
    """What should convert the files does not answer, has no worker, cannot do the work, or wrote it elsewhere."""


class AuthError(StopError):
    """401 or 403: the message names the key and the scope.

    Args:
        message: See `TapError`.
        status: 401 means that nothing at all can be done with the key.
    """

    def __init__(self, message: str, status: int = 401) -> None:
        """Keep the status."""
        super().__init__(message)
        self.status = status


class GatewayError(StopError):
    """What stands in front of the API, or a proxy on the way, answered in its place: the key was not judged."""


class NotFoundError(StopError):
    """404 or 410 for something that the configuration names."""


class BusyError(TapError):
    """The provider creates no job now, because too many run; nothing was created, and it may be asked again.

    Args:
        message: See `TapError`.
        wait: Seconds until then.
    """

    def __init__(self, message: str, wait: float) -> None:
        """Keep the wait."""
        super().__init__(message)
        self.wait = wait


class QuotaError(StopError):
    """A quota of the provider is used up for longer than a run waits; a later run goes on."""


class PaymentError(StopError):
    """402, or a cost above the configured cap; nothing was spent."""


class NotReadyError(StopError):
    """The provider says that a job is not completed yet (409 at Exelensia, 400 at Cornect)."""


class RefusedError(StopError):
    """Any other 4xx: the provider will not answer this request differently next time.

    Args:
        message: See `TapError`.
        status: The HTTP status.
        code: The provider's own error code, or an empty string.
        retry_after: Seconds that the provider asked for, or None.
    """

    def __init__(self, message: str, status: int = 0, code: str = "", retry_after: float | None = None) -> None:
        """Keep what a provider branches on."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after = retry_after


class UnsettledError(StopError):
    """A creation got no reply, and whether there is a job cannot be found out: the user says what to do."""


class JobFailedError(StopError):
    """The provider ended a job without a result; the window stays open."""


class TooLargeError(JobFailedError):
    """An export is too large for the provider: refused, timed out, or cut short by it; a smaller window may pass."""


class JobStalledError(StopError):
    """A job made no progress for `job_stall_timeout_seconds`, or its status is not a known one."""


class BadContentError(StopError):
    """The bytes are not what was asked for: an HTML page, a cut archive, a file without rows where rows are due."""


class EmptyFileError(BadContentError):
    """A file without a byte of text, where its format has at least a header or a bracket, or nothing proves it."""


class UrlRefusedError(BadContentError):
    """A signed URL stayed refused although it was renewed: its file cannot be had from this job."""


class MisreadError(BadContentError):
    """Text that is not written as the `csv` block of its export says; the message proposes one that would read it."""


class ColumnsError(BadContentError):
    """Columns that the configuration expects are not in the file.

    Args:
        message: What is missing, and where.
        missing: Their names.
    """

    def __init__(self, message: str, missing: Sequence[str] = ()) -> None:
        """Keep the names."""
        super().__init__(message)
        self.missing = tuple(missing)


class CountError(StopError):
    """The rows read differ from the provider's own count."""


class GuardError(StopError):
    """A guard of the configuration does not hold: columns, fewest rows, or age of an export."""


class TooFewRowsError(GuardError):
    """An export has fewer rows than `min_rows`; its rows were read to their end."""


class TooOldError(GuardError):
    """A job is older than `max_age_hours`, and only grows older; nothing of it was read."""


class RejectLimitError(StopError):
    """More rows were rejected than `rejects_max_count` and `rejects_max_ratio` allow."""


class UnsafeUrlError(StopError):
    """An URL that may not be followed: a private address, another scheme, too many redirects."""


class LimitError(StopError):
    """A limit of size, ratio or disk was reached (P8)."""


class NoRoomError(LimitError):
    """The spool has no room for a file ahead of its turn; it is downloaded when its reader comes."""


class RunEndingError(StopError):
    """The run was asked to end; a worker thread stops where it is."""


class Terminated(BaseException):
    """The run was asked to end; raised in the main thread at a safe point.

    Args:
        exit_code: 128 + the signal's number, as shells report it.
    """

    def __init__(self, exit_code: int) -> None:
        """Keep the exit code."""
        super().__init__(exit_code)
        self.exit_code = exit_code


def is_outcome_unknown(error: TapError) -> bool:
    """Return whether a creating request that failed may have taken effect.

    That is where no reply came, one that cannot be read, a redirect, or a status by which nothing is refused.
    """
    if isinstance(error, RefusedError):
        return error.status in _NO_REFUSALS or error.status // 100 == 3  # noqa: PLR2004 - redirects and the like
    return isinstance(error, (LostReplyError, BadContentError, LimitError, UnsafeUrlError))


_NO_REFUSALS = frozenset({408, 499})  # the server gave up waiting, or says that the client did
