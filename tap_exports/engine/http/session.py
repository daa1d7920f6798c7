"""A session of requests that only sends: proxies and CA bundles come from the environment, nothing else is added."""

from __future__ import annotations

from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypedDict
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.util import Retry

from tap_exports.errors import ConfigError

_ORIGINS_KEPT = 16
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

PoolClasses = Mapping[str, type[HTTPConnectionPool]]


class _Options(TypedDict):
    """What the environment says about an origin."""

    proxies: dict[str, str]
    verify: bool | str | None


class Session(requests.Session):
    """Sends a request once and as it is: no redirect, no cookie, no credential from a netrc file.

    Args:
        classes: The pools by scheme; their connections decide which addresses may be reached.
        connections: Idle connections kept per origin.
    """

    def __init__(self, classes: PoolClasses, connections: int) -> None:
        """Mount the pools; connects to nothing yet."""
        super().__init__()
        self._options: dict[str, _Options] = {}
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        adapter = _Adapter(classes, connections)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return None: callers follow by hand, and requests would read the whole body of every redirect."""

    def prepared(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> requests.PreparedRequest:
        """Return a request ready to be sent.

        Raises:
            ValueError: The URL cannot be parsed, or a header cannot be sent.
        """
        request = requests.PreparedRequest()
        request.prepare(method, url, headers, data=body)
        request.url = url.strip()  # its escapes as they came: a signature may cover them
        return request

    def exchange(self, request: requests.PreparedRequest, timeout: tuple[float, float]) -> requests.Response:
        """Return the head of a reply, its body unread.

        Args:
            request: From `prepared`.
            timeout: Seconds to connect, and seconds of silence.

        Raises:
            ConfigError: The proxy cannot be used.
            requests.RequestException: There was no reply.
            OSError: The CA bundle is missing.
        """
        options = self._from_environment(request.url or "")
        return self.send(request, timeout=timeout, allow_redirects=False, stream=True, cert=None, **options)

    def _from_environment(self, url: str) -> _Options:
        """Return proxies and CA bundle for an origin, looked up once: that costs as much as the rest of a request."""
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._options:
            found = self.merge_environment_settings(origin, {}, stream=True, verify=None, cert=None)
            # A proxy elsewhere cannot reach this machine's loopback; browsers and curl go there directly too.
            proxies = {} if parts.hostname in _LOOPBACK else dict(found["proxies"])
            self._options[origin] = {"proxies": proxies, "verify": found["verify"]}
        return self._options[origin]


class _Adapter(HTTPAdapter):
    """Installs the given pools, behind proxies too, and repeats nothing."""

    def __init__(self, classes: PoolClasses, connections: int) -> None:
        self._classes = dict(classes)
        super().__init__(_ORIGINS_KEPT, connections, Retry(total=False))

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
