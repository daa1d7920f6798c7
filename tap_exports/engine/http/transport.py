"""Sends one request over pooled connections; follows no redirect, repeats nothing, and knows no credential."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from urllib3 import BaseHTTPResponse, Timeout
from urllib3.exceptions import HTTPError, LocationValueError

from tap_exports.engine.http.connections import broken, pool_classes
from tap_exports.engine.http.floor import Floor
from tap_exports.engine.http.guard.names import ProxiedNames
from tap_exports.engine.http.guard.origins import check_url
from tap_exports.engine.http.session import Session
from tap_exports.errors import UnsafeUrlError


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """How requests are made; the names are those of the settings.

    Attributes:
        request_timeout_seconds: Longest silence of a server, per read, not for a whole body.
        reply_timeout_seconds: Longest time for a whole reply of an API.
        min_transfer_bytes_per_second: Floor of speed of any reply, over a span of `request_timeout_seconds`.
        verify_digests: Whether files are held against the digests that their servers give.
        unframed_files: `refuse` or `accept` a file whose end nothing proves.
        max_attempts: Attempts without progress before a stream stops.
        max_concurrent_requests: API requests in flight per provider.
        allow_private_hosts: Whether private addresses and plain http are allowed.
        retry_wait_max_seconds: Ceiling of the growing waits.
        retry_after_cap_seconds: Longest wait that a server may ask for.
        archive_max_mb: What a file may unpack to, in MiB.
        archive_max_ratio: The same, per packed byte.
    """

    request_timeout_seconds: float = 60
    reply_timeout_seconds: float = 900
    min_transfer_bytes_per_second: float = 100
    verify_digests: bool = True
    unframed_files: str = "refuse"
    max_attempts: int = 6
    max_concurrent_requests: int = 4
    allow_private_hosts: bool = False
    retry_wait_max_seconds: float = 60
    retry_after_cap_seconds: float = 300
    archive_max_mb: int = 4096
    archive_max_ratio: int = 200

    @property
    def floor(self) -> Floor:
        """Return the floor of speed."""
        return Floor(self.min_transfer_bytes_per_second, self.request_timeout_seconds)


class Answer:
    """The head of a reply, and its body to be read.

    Attributes:
        status: The HTTP status.
        headers: Names compare without case.
    """

    def __init__(self, response: BaseHTTPResponse) -> None:
        """Wrap a response of which nothing is read yet."""
        self._body = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    def read(self, size: int) -> bytes:
        """Return the next bytes of the body as they arrive, at most `size`; empty at its proper end.

        `Content-Encoding` is not undone; see `encoding.py`.

        Raises:
            BrokenReplyError: The body ended early, or nothing came for `request_timeout_seconds`.
        """
        try:
            return self._body.read1(size, decode_content=False)
        except (HTTPError, OSError, http.client.HTTPException) as error:
            raise broken(error) from error

    def close(self) -> None:
        """Give the connection up unless the whole body was read."""
        self._body.close()


class OpensUrls(Protocol):
    """Sends a request and returns the head of its reply."""

    def open(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, *, fresh: bool = False
    ) -> Answer:
        """Send one request; see `Transport.open`."""


class Transport:
    """Sends requests over pooled connections; safe to share between threads.

    Args:
        settings: Timeouts, pool size and whether private hosts are allowed.
        connections: Idle connections kept per origin, where that is more than one client has in flight.
    """

    def __init__(self, settings: HttpSettings, connections: int = 0) -> None:
        """Prepare the pools; connects to nothing yet."""
        self._settings = settings
        self._connections = max(connections, settings.max_concurrent_requests)
        seconds = settings.request_timeout_seconds
        self._timeout = Timeout(connect=seconds, read=seconds)  # connections bound the first one further
        self._classes = pool_classes(permitted=settings.allow_private_hosts, slowest=settings.floor)
        self._names = ProxiedNames(allow_private=settings.allow_private_hosts)
        self._kept = self._new_session()

    def open(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, *, fresh: bool = False
    ) -> Answer:
        """Send one request and return the head of its reply.

        Args:
            method: Such as `GET`.
            url: Absolute; checked again here, so that no caller can forget it.
            headers: All headers but `Host` and the length.
            body: The whole body, or None.
            fresh: Whether to connect anew: a kept connection may just be closing, which looks like a lost reply.

        Raises:
            UnsafeUrlError: The URL or an address of its host may not be used.
            ConfigError: The proxy or the CA bundle that the environment names cannot be used.
            NotConnectedError: Nothing was sent.
            BrokenReplyError: The reply is missing; whether the request took effect is not known.
        """
        check_url(url, allow_private=self._settings.allow_private_hosts)
        session = self._new_session() if fresh else self._kept
        try:
            return Answer(session.exchange(method, url, headers, body, self._timeout))
        except LocationValueError:
            raise UnsafeUrlError("an URL that cannot be parsed was refused") from None
        except (HTTPError, OSError, http.client.HTTPException) as error:
            raise broken(error) from error

    def close(self) -> None:
        """Close all idle connections."""
        self._kept.close()

    def _new_session(self) -> Session:
        return Session(self._classes, self._connections, self._names)
