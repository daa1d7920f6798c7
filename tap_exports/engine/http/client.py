"""Requests to a provider's API: repeated only where that is safe, with the key only to its own origin."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tap_exports.engine.activity import Activity
from tap_exports.engine.clock import Clock
from tap_exports.engine.http.body import read_body
from tap_exports.engine.http.call import Call, address_of, checked_base, checked_headers, url_of
from tap_exports.engine.http.connections import BrokenReplyError, NotConnectedError
from tap_exports.engine.http.credentials import Credentials
from tap_exports.engine.http.guard.origins import host_of, origin_of, redirected
from tap_exports.engine.http.outage import Outage
from tap_exports.engine.http.pace import RateGate
from tap_exports.engine.http.quota import SPARING, used_up
from tap_exports.engine.http.refusals import Refusals
from tap_exports.engine.http.reply import Reply, plain_error
from tap_exports.engine.http.retry import Attempts, Fault
from tap_exports.engine.http.skew import ProviderClock
from tap_exports.engine.http.transport import HttpSettings, Transport
from tap_exports.engine.secrets import Redactor
from tap_exports.errors import (
    AuthError,
    ConfigError,
    LostReplyError,
    ProviderDownError,
    QuotaError,
    TapError,
    TryAgainError,
    UnreachableError,
    UnsafeUrlError,
)

LOGGER = logging.getLogger("tap-exports.http")
MAX_REDIRECTS = 5
ATTEMPTS_WHILE_DOWN = 2  # one fault may be a blip of another kind
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_UNAUTHORIZED = 401


class Client:
    """One provider's API; safe to share between threads.

    Args:
        provider: The provider's name, as in the settings.
        api_url: Origin and optional path prefix; the setting `<provider>.api_url`.
        headers: Sent with every request, the key among them, and only to that origin.
        settings: Timeouts, attempts, requests in flight.
        clock: Measures and waits.
        parse_error: Gives code and message of a reply with an error status.
        credential: The name of the key's setting, for messages.
        gate: Paces every request of this client.
        credentials: Headers that change while the run goes on, such as a token; None where `headers` hold the key.
        activity: Notes the retries.
        outage: What all requests to the provider know of its being down.
        transport: Connections that it shares with other accounts; None for connections of its own.

    Raises:
        ConfigError: `api_url` or a header cannot be used.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - one place where everything about an API comes together
        self,
        provider: str,
        api_url: str,
        headers: Mapping[str, str],
        settings: HttpSettings,
        clock: Clock,
        parse_error: Callable[[Reply], tuple[str, str]] = plain_error,
        credential: str = "api_key",
        gate: RateGate | None = None,
        credentials: Credentials | None = None,
        activity: Activity | None = None,
        outage: Outage | None = None,
        transport: Transport | None = None,
    ) -> None:
        """Check the origin's text; connects to nothing yet."""
        self._credentials, self._shown = credentials, dict[str, str]()
        self._provider = provider
        self._api_setting = f"`{provider}.api_url`"
        self._key_setting = f"`{provider}.{credential}`"
        self._settings = settings
        self._clock = clock
        self._activity = activity or Activity(clock)
        self._outage = outage or Outage(provider, clock)
        self.time = ProviderClock(provider, clock)
        self._gates = (gate,) if gate else ()
        setting = f"{provider}: {self._api_setting}"
        self._base = checked_base(api_url, setting, allow_private=settings.allow_private_hosts)
        self.address = address_of(self._base)
        self._headers = {"User-Agent": "tap-exports", "Accept": "application/json", "Accept-Encoding": "gzip"}
        self._headers |= checked_headers(headers, self._key_setting)
        self._redactor = Redactor()
        self._redactor.add_headers(self._headers)
        self._refusals = Refusals(provider, self._key_setting, parse_error, self._redactor)
        self._in_flight = threading.BoundedSemaphore(settings.max_concurrent_requests)
        self._transport = transport or Transport(settings)
        self._reached = False
        self._used_up: dict[str, tuple[float, str]] = {}  # by method: until when, and what to say
        self._down: AuthError | UnreachableError | None = None

    def get(
        self, path: str, params: Mapping[str, Any] | None = None, *, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Return the reply to a GET; see `send`."""
        return self.send("GET", path, params=params, headers=headers)

    def send(  # noqa: PLR0913 - the parts of a request
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | Sequence[Any] | bytes | None = None,
        idempotent: bool = True,
        headers: Mapping[str, str] | None = None,
        gate: RateGate | None = None,
        stands: Callable[[Reply], bool] = lambda _reply: False,
    ) -> Reply:
        """Return the successful reply to a request.

        Args:
            method: Such as `POST`.
            path: Begins with `/`; ids in it must be percent-encoded.
            params: The query: None is left out, booleans are `true` and `false`, lists repeat the name.
            body: JSON value, or bytes as they are.
            idempotent: Whether repeating it is harmless. A creating request is repeated only when it certainly was not
                processed: no connection came about, or the reply is 429.
            headers: More headers for this request.
            gate: Paces this request, beside the client's own gate.
            stands: Tells whether a reply that would be asked for again, such as 429, is the answer all the same.

        Raises:
            TryAgainError, BadContentError: No success, or no JSON, after `max_attempts` (ProviderDownError: sooner).
            QuotaError: 429, with a wait that no attempt would bear.
            LostReplyError: A request that is not idempotent may have taken effect.
            AuthError, GatewayError: 401 or 403 of the API itself; of a gateway or a proxy in its place.
            PaymentError, NotFoundError, RefusedError, ConfigError: 402; 404 or 410; any other 4xx; a host to avoid.
            UnsafeUrlError, LimitError: A redirect to another origin, or of anything but a GET; more than 64 MiB.
        """
        more = checked_headers(headers or {}, self._key_setting)
        if body is not None and not isinstance(body, bytes):
            body, more = json.dumps(body).encode(), {"Content-Type": "application/json", **more}
        gates = (*self._gates, gate) if gate else self._gates
        url = url_of(self._base, path, params or {})
        return self._unless_down(Call(method, url, self._headers | more, body, idempotent, gates, stands))

    def close(self) -> None:
        """Close the idle connections."""
        self._transport.close()

    def _unless_down(self, call: Call) -> Reply:
        """Send a request, unless the key was refused or the host never answered: that is asked once, not per stream.

        The same holds for requests of one method once a quota is used up: one of creations leaves polls alone.
        """
        if self._down is not None:
            raise type(self._down)(self._down.message)
        until, message = self._used_up.get(call.method, (0.0, ""))
        if self._clock.monotonic() < until:
            raise QuotaError(message)
        try:
            reply = self._authorized(call)
            reply = self._refusals.check(reply, call, self._clock.now())
        except AuthError as error:
            self._down = error if error.status == _UNAUTHORIZED else None
            raise
        except UnreachableError as error:
            self._down = None if self._reached else error
            raise
        self._reached = True
        return reply

    def _authorized(self, call: Call) -> Reply:
        """Send a request; once more with other credentials if there are any after a 401."""
        held = self._credentials.headers() if self._credentials else {}
        reply = self._repeated(call)
        if reply.status == _UNAUTHORIZED and self._credentials and self._credentials.renew(held):
            return self._repeated(call)
        return reply

    def _repeated(self, call: Call) -> Reply:
        """Attempt a request until it gets a reply that will not change by itself."""
        attempts, began = Attempts(self._settings, self._clock), self._clock.monotonic()
        while True:
            outcome = self._attempt(call)
            if isinstance(outcome, Reply) or outcome.throttled:
                self._outage.answered()
            if isinstance(outcome, Reply):
                return outcome
            if outcome.reply and call.idempotent and attempts.are_over(outcome):
                return outcome.reply
            self._bear(call, attempts, outcome, began)

    def _attempt(self, call: Call) -> Reply | Fault:
        try:
            reply = self._followed(call)
        except NotConnectedError as error:
            if error.permanent:
                raise ConfigError(
                    f"{self._provider}: {host_of(call.url)}: {error}: check {self._api_setting}"
                ) from error
            return Fault(str(error), unreachable=True)
        except BrokenReplyError as error:
            return Fault(str(error), ambiguous=True)
        if call.stands(reply):
            return reply
        return self._refusals.passing(reply, self._clock.now(), call) or reply

    def _bear(self, call: Call, attempts: Attempts, fault: Fault, began: float) -> None:
        """Wait for the next attempt, or raise what ends them."""
        where = f"{self._provider}: {call.label}"
        if fault.ambiguous and not call.idempotent:
            raise LostReplyError(f"{where}: {fault.text}; it is not known whether the request took effect")
        if not attempts.failed() or attempts.cannot_bear(fault.hint):
            raise self._exhausted(call, attempts.count, fault, began)
        if (down := self._outage.message) and attempts.count >= ATTEMPTS_WHILE_DOWN and not fault.throttled:
            raise ProviderDownError(down, fault.hint)
        seconds, tries = attempts.next_wait(fault.hint), self._settings.max_attempts
        self._activity.retried(self._provider, seconds, throttled=fault.throttled)
        self._outage.failed(f"{where}: {fault.text}; attempt {attempts.count} of {tries}, next in {seconds:.1f} s")
        if not attempts.wait(seconds):
            raise TryAgainError(f"{where}: {fault.text}; not tried again, the run is ending")

    def _exhausted(self, call: Call, count: int, fault: Fault, began: float) -> TapError:
        message, hint = self._last_words(call, count, fault), fault.hint or 0.0
        is_long = hint > self._settings.retry_after_cap_seconds
        if is_long and fault.throttled:
            message = f"{message}; {used_up(self._clock.now(), hint)}; {SPARING}"
            self._used_up[call.method] = (self._clock.monotonic() + hint, message)
            return QuotaError(message)
        if is_long:
            message = f"{message}; it asks to come back in {hint:.0f} s"
        self._outage.exhausted(began, message)
        return (UnreachableError if fault.unreachable else TryAgainError)(message, fault.hint)

    def _last_words(self, call: Call, count: int, fault: Fault) -> str:
        if fault.unreachable:
            what = f"{host_of(call.url)} cannot be reached after {count} attempts ({fault.text})"
            return f"{self._provider}: {what}: check {self._api_setting}"
        return f"{self._provider}: {call.label}: no success after {count} attempts: {fault.text}"

    def _followed(self, call: Call) -> Reply:
        """Send a request and follow redirects within the origin."""
        url = call.url
        for _ in range(MAX_REDIRECTS + 1):
            reply = self._once(call, url)
            if reply.status not in REDIRECTS:
                return reply
            url = self._next_url(call, url, reply)
        raise UnsafeUrlError(f"{self._provider}: {call.label}: more than {MAX_REDIRECTS} redirects")

    def _next_url(self, call: Call, url: str, reply: Reply) -> str:
        target = redirected(url, reply.headers.get("Location", ""))
        if call.method != "GET" or origin_of(target) != origin_of(url):
            where = f"{self._provider}: {call.label}: {reply.status}"
            advice = f"the key goes nowhere else; check {self._api_setting}"
            raise UnsafeUrlError(f"{where}: a redirect to {host_of(target)} was not followed, {advice}")
        return target

    def _once(self, call: Call, url: str) -> Reply:
        for gate in call.gates:
            gate.before()
        with self._in_flight:
            reply = self._exchange(call, url)
        for gate in call.gates:
            gate.after(reply)
        return reply

    def _current(self, credentials: Credentials) -> dict[str, str]:
        """Return the headers of the moment, which messages must not show."""
        headers = checked_headers(credentials.headers(), self._key_setting)
        if headers != self._shown:
            self._shown = headers
            self._redactor.add_headers(headers)
        return headers

    def _exchange(self, call: Call, url: str) -> Reply:
        source, headers, began = f"{self._provider}: {call.label}", call.headers, self._clock.monotonic()
        if self._credentials:
            headers = {**headers, **self._current(self._credentials)}
        try:
            answer = self._transport.open(call.method, url, headers, call.body, fresh=not call.idempotent)
        except UnsafeUrlError as error:
            raise ConfigError(f"{self._provider}: {self._api_setting}: {error}") from None
        try:
            self.time.note(answer.headers)
            body = read_body(answer, source, self._settings.reply_timeout_seconds, self._clock)
            self._activity.replied(self._provider, self._clock.monotonic() - began)
            return Reply(answer.status, answer.headers, body, source, self._redactor)
        finally:
            answer.close()
