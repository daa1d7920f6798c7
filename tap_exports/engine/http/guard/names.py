"""Names that a proxy will resolve: resolved and checked here first, where this machine can."""

from __future__ import annotations

import contextlib
import threading

from tap_exports.engine.http.guard.origins import origin_of, resolve


class ProxiedNames:
    """Checks each origin once: a machine that leaves names to its proxy may wait long for a name server.

    Args:
        allow_private: The setting `allow_private_hosts`; true checks nothing.
    """

    def __init__(self, *, allow_private: bool) -> None:
        """Know of no origin yet."""
        self._allow_private = allow_private
        self._checked: set[str] = set()
        self._lock = threading.Lock()

    def check(self, origin: str) -> None:
        """Refuse an origin whose name leads into a private network; one that does not resolve here is the proxy's.

        Raises:
            UnsafeUrlError: An address of the name is not public.
        """
        with self._lock:
            if self._allow_private or origin in self._checked:
                return
        _, host, port = origin_of(origin)
        with contextlib.suppress(OSError):
            resolve(host, port, allow_private=False)
        with self._lock:
            self._checked.add(origin)
