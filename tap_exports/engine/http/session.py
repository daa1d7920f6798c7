"""Pooled connections to origins: proxies and CA bundles come from the environment, nothing else is added.

What requests finds in the environment and what it makes of it, its pools, are used; a request itself goes straight to
urllib3's pool: no redirect, no cookie, no credential from a netrc file, and half the processor time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3 import BaseHTTPResponse
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import LocationValueError
from urllib3.util import Retry, Timeout

from tap_exports.engine.http.guard.names import ProxiedNames
from tap_exports.engine.http.targets import Headers, split_target
from tap_exports.errors import ConfigError, UnsafeUrlError

_ORIGINS_KEPT = 16
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_NEVER = Retry(total=False)
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")

PoolClasses = Mapping[str, type[HTTPConnectionPool]]


@dataclass(frozen=True, slots=True)
class Route:
    """How an origin is reached.

    Attributes:
        pool: Its connections, those of a proxy where the environment names one.
        whole: Whether a request names the whole URL, as a proxy of plain http wants it, and not the path.
    """

    pool: HTTPConnectionPool
    whole: bool


class Session:
    """Sends a request once and as it is; safe to share between threads.

    Args:
        classes: The pools by scheme; their connections decide which addresses may be reached.
        connections: Idle connections kept per origin.
        names: Checks what goes to a proxy.
    """

    def __init__(self, classes: PoolClasses, connections: int, names: ProxiedNames) -> None:
        """Prepare the pools; connects to nothing yet."""
        self._names = names
        self._environment = requests.Session()
        self._adapter = _Adapter(classes, connections)
        self._routes: dict[str, Route] = {}

    def exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: Timeout
    ) -> BaseHTTPResponse:
        """Return the head of a reply, its body unread.

        Args:
            method: Such as `GET`.
            url: Absolute; its escapes go out as they came: a signature may cover them.
            headers: All headers but `Host` and the length.
            body: The whole body, or None.
            timeout: Seconds to connect, and seconds of silence.

        Raises:
            UnsafeUrlError: The URL cannot be parsed, or its name leads into a private network behind a proxy.
            ConfigError: The proxy or the CA bundle that the environment names cannot be used.
            OSError: There was no reply.
            urllib3.exceptions.HTTPError: There was no reply.
        """
        origin, target = split_target(url)
        route = self._route(origin)
        return route.pool.urlopen(
            method,
            f"{origin}/" if route.whole else "/",
            body,
            Headers(headers, origin + target if route.whole else target),
            retries=_NEVER,
            redirect=False,
            assert_same_host=False,
            timeout=timeout,
            preload_content=False,
            decode_content=False,
        )

    def close(self) -> None:
        """Close all idle connections."""
        self._adapter.close()
        self._environment.close()

    def _route(self, origin: str) -> Route:
        """Return how an origin is reached, found out once: that costs more than a request."""
        route = self._routes.get(origin)
        if route is None:
            try:
                request = requests.Request("GET", origin).prepare()
            except ValueError:
                raise UnsafeUrlError("an URL that cannot be parsed was refused") from None
            if len(self._routes) >= _ORIGINS_KEPT:  # files may lie on many hosts; a pool that is let go closes itself
                self._routes.clear()
            route = self._routes[origin] = self._found(request)
        return route

    def _found(self, request: requests.PreparedRequest) -> Route:
        origin = request.url or ""
        found = self._environment.merge_environment_settings(origin, {}, stream=True, verify=None, cert=None)
        # A proxy elsewhere cannot reach this machine's loopback; browsers and curl go there directly too.
        proxies = {} if urlsplit(origin).hostname in _LOOPBACK else dict(found["proxies"])
        if select_proxy(origin, proxies):
            self._names.check(origin)
        try:
            pool: Any = self._trusting(request, found["verify"], proxies)
        except (requests.exceptions.InvalidURL, LocationValueError):  # the origin itself was parsed before
            raise ConfigError("the URL of the proxy that the environment names cannot be parsed") from None
        except OSError as error:
            raise ConfigError(f"{error}: check {', '.join(_CA_VARIABLES)}") from None
        return Route(pool, whole=not self._adapter.request_url(request, proxies).startswith("/"))

    def _trusting(self, request: requests.PreparedRequest, found: object, proxies: dict[str, str]) -> Any:  # noqa: ANN401 - a pool of any kind
        """Return the pool of an origin with the authorities that the environment names, certifi's otherwise.

        Args:
            request: To the origin.
            found: The path that requests found in its own variables; OpenSSL's serve where it found none.
            proxies: By scheme.
        """
        folders = "" if isinstance(found, str) else os.environ.get("SSL_CERT_DIR", "")
        file = found if isinstance(found, str) else os.environ.get("SSL_CERT_FILE")
        given = file or next(filter(os.path.isdir, folders.split(os.pathsep)), folders) or True
        pool: Any = self._adapter.get_connection_with_tls_context(request, given, proxies=proxies)
        self._adapter.cert_verify(pool, request.url, given, None)  # type: ignore[no-untyped-call] # has no types
        if folders:
            pool.ca_cert_dir = folders
        return pool


class _Adapter(HTTPAdapter):
    """Installs the given pools, behind proxies too."""

    def __init__(self, classes: PoolClasses, connections: int) -> None:
        self._classes = dict(classes)
        super().__init__(_ORIGINS_KEPT, connections, _NEVER)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - handed on as they come
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = self._classes

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:  # noqa: ANN401 - the type is requests' own
        scheme = urlsplit(proxy).scheme.lower()
        if scheme not in self._classes:
            raise ConfigError(f"a proxy of scheme `{scheme}` is not supported: use an http or https proxy")
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = self._classes
        return manager
