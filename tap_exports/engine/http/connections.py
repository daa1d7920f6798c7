"""Connections to checked addresses, and what can go wrong on them.

Every connection resolves its host once, checks all addresses and connects to one of them (P8: no second resolution,
which a name server could answer differently). Behind a configured proxy the proxy resolves: the name is checked before
(`guard/names.py`).
"""

from __future__ import annotations

import http.client
import io
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, cast

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    DecodeError,
    HTTPError,
    IncompleteRead,
    NameResolutionError,
    ReadTimeoutError,
    SSLError,
)

from tap_exports.engine.http.floor import Floor, FlooredReader, TooSlowError
from tap_exports.engine.http.guard.origins import SockAddress, resolve
from tap_exports.engine.http.targets import Headers

BUFFER_BYTES = 1 << 16
CONNECT_TIMEOUT_SECONDS = 30.0
_TUNNEL = re.compile(r"Tunnel connection failed: (\d+ ?.*)")
_REASONS = {
    (socket.gaierror, NameResolutionError): "the host name does not resolve",
    (ConnectTimeoutError, ReadTimeoutError, TimeoutError): "no answer in time",
    (DecodeError,): "the body cannot be decompressed",
    (IncompleteRead, http.client.IncompleteRead): "the body ended early",
}


class NotConnectedError(Exception):
    """No connection came about, so nothing was sent; the text says why, without any URL.

    Attributes:
        permanent: Whether another attempt can only end the same way (a certificate that is not trusted, a bad bundle).
    """

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        """Keep the reason."""
        super().__init__(reason)
        self.permanent = permanent


class BrokenReplyError(Exception):
    """The request was sent, and the reply is missing or not complete; the text says why, without any URL."""


class SlowReplyError(BrokenReplyError):
    """The reply came, but below the floor of speed."""


class _Socket(socket.socket):
    """A socket that asks the system only for another timeout than it has; urllib3 sets it twice a request."""

    def settimeout(self, value: float | None) -> None:
        if value != self.gettimeout():
            super().settimeout(value)


class _Response(http.client.HTTPResponse):
    """A response that takes a page with its head in one read, and is broken off below the floor of speed."""

    floor: ClassVar[Floor]

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:  # noqa: ANN401 - handed on as they come
        super().__init__(sock, *args, **options)
        self.fp = io.BufferedReader(FlooredReader(self.fp.detach(), self.floor), BUFFER_BYTES)


class _Checked:
    """What connections have in common: they go to checked addresses, and a failure to connect is told apart."""

    allow_private: ClassVar[bool]
    timeout: Any
    proxy: Any

    def connect(self) -> None:
        self.timeout = min(self.timeout or CONNECT_TIMEOUT_SECONDS, CONNECT_TIMEOUT_SECONDS)
        with _nothing_sent():
            super().connect()  # type: ignore[misc] # of the connection beside this class

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **options: Any) -> None:  # noqa: ANN401 - handed on as they come
        target = headers.target if isinstance(headers, Headers) else url
        super().request(method, target, body, headers, **options)  # type: ignore[misc] # of the connection beside this class

    def _new_conn(self) -> socket.socket:
        if self.proxy:
            return super()._new_conn()  # type: ignore[misc, no-any-return] # of the connection beside this class
        return _dial(cast("HTTPConnection", self), allow_private=self.allow_private)


def pool_classes(*, permitted: bool, slowest: Floor) -> dict[str, type[HTTPConnectionPool]]:
    """Return urllib3's pools for `http` and `https` with checked connections.

    Args:
        permitted: Whether private addresses may be reached.
        slowest: The floor of speed for every reply.
    """

    class Response(_Response):
        floor = slowest

    class Http(_Checked, HTTPConnection):
        allow_private = permitted
        response_class = Response

    class Https(_Checked, HTTPSConnection):
        allow_private = permitted
        response_class = Response

    class HttpPool(HTTPConnectionPool):
        ConnectionCls = Http

    class HttpsPool(HTTPSConnectionPool):
        ConnectionCls = Https

    return {"http": HttpPool, "https": HttpsPool}


def _dial(connection: HTTPConnection, *, allow_private: bool) -> socket.socket:
    """Connect to the first checked address that answers."""
    failure: OSError = OSError("the host has no address")
    for address in resolve(connection.host.strip("[]"), connection.port, allow_private=allow_private):
        try:
            return _connect(address, connection)
        except OSError as error:  # noqa: PERF203 - the next address is tried only because this one failed
            failure = error
    raise failure


def _connect(address: SockAddress, connection: HTTPConnection) -> socket.socket:
    sock = _Socket(address[0], socket.SOCK_STREAM)
    try:
        for option in connection.socket_options or ():
            sock.setsockopt(*option)
        sock.settimeout(connection.timeout)
        sock.connect(address[1])
    except BaseException:
        sock.close()
        raise
    return sock


@contextmanager
def _nothing_sent() -> Iterator[None]:
    """Mark failures of the connection phase, TLS included: urllib3 reports some of them like failures after sending."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise NotConnectedError(f"its certificate is not trusted: {error.verify_message}", permanent=True) from error
    except SSLError as error:  # urllib3 has it for what it cannot load; failures on the wire are ssl.SSLError
        raise NotConnectedError("the CA bundle that the environment names cannot be read", permanent=True) from error
    except (HTTPError, OSError, http.client.HTTPException) as error:
        status = next(filter(None, (_TUNNEL.match(str(cause)) for cause in _causes(error))), None)
        if status:
            what = f"the proxy refused the way there ({status[1]}): check HTTPS_PROXY"
            raise NotConnectedError(what, permanent=status[1].startswith("4")) from error
        raise NotConnectedError(reason(error)) from error


def broken(error: BaseException) -> BrokenReplyError:
    """Return the error for a request that was sent and whose reply failed."""
    slow = next((cause for cause in _causes(error) if isinstance(cause, TooSlowError)), None)
    return SlowReplyError(str(slow)) if slow else BrokenReplyError(reason(error))


def reason(error: BaseException) -> str:
    """Return why a request failed, in a few words that cannot hold an URL."""
    causes = list(_causes(error))
    for kinds, words in _REASONS.items():
        if any(isinstance(cause, kinds) for cause in causes):
            return words
    named = next((cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror), None)
    return named.lower() if named else f"the connection broke ({type(causes[-1]).__name__})"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it wraps: requests and urllib3 hand the original on as an argument."""
    yield error
    for item in error.args:
        if isinstance(item, BaseException):
            yield from _causes(item)
