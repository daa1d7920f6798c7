"""One request to an API, checked before it is sent: its URL stays below the API's own, its headers cannot be split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from tap_exports.engine.http.guard.origins import DEFAULT_PORTS, check_url, origin_of
from tap_exports.engine.http.pace import RateGate
from tap_exports.engine.http.reply import Reply
from tap_exports.errors import ConfigError, UnsafeUrlError


@dataclass(frozen=True, slots=True)
class Call:
    """A request that may be attempted several times.

    Attributes:
        method: Such as `GET`.
        url: Absolute.
        headers: All of them, the key among them.
        body: The whole body, or None.
        idempotent: Whether repeating it is harmless.
        gates: What paces it.
        stands: Tells of a reply that would be asked for again whether it is the answer all the same.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)
    idempotent: bool
    gates: tuple[RateGate, ...]
    stands: Callable[[Reply], bool] = lambda _reply: False

    @property
    def label(self) -> str:
        """Return method and path, for messages."""
        return f"{self.method} {urlsplit(self.url).path or '/'}"


def checked_base(api_url: str, setting: str, *, allow_private: bool) -> str:
    """Return origin and path prefix of an API without a final slash.

    Raises:
        ConfigError: The URL may not be used; the message names its setting.
    """
    try:
        check_url(api_url, allow_private=allow_private)
    except UnsafeUrlError as error:
        raise ConfigError(f"{setting}: {error}") from None
    if {"?", "#"} & set(api_url):
        raise ConfigError(f"{setting} takes an origin and a path, no query")
    return api_url.rstrip("/")


def address_of(base: str) -> str:
    """Return a base from `checked_base` in one form: host in lower case, no port that its scheme implies, no user."""
    scheme, host, port = origin_of(base)
    shown = f"[{host}]" if ":" in host else host
    own = DEFAULT_PORTS.get(scheme) == port
    return f"{scheme}://{shown}{'' if own else f':{port}'}{urlsplit(base).path}"


def checked_headers(headers: Mapping[str, str], setting: str) -> dict[str, str]:
    """Return headers whose values fit on one line, without the blanks around them, which are no part of a value.

    Raises:
        ConfigError: One does not; the standard library's own message would show the key.
    """
    for value in headers.values():
        if not (value.isascii() and value.isprintable()):
            raise ConfigError(f"{setting} holds a line break or another character that a header cannot carry")
    return {name: value.strip() for name, value in headers.items()}


def url_of(base: str, path: str, params: Mapping[str, Any]) -> str:
    """Return the URL of a path below an API's base.

    Args:
        base: From `checked_base`.
        path: Begins with `/`; ids in it are percent-encoded.
        params: None is left out, booleans are `true` and `false`, a list repeats its name.

    Raises:
        UnsafeUrlError: The path would lead elsewhere: an id from outside holds `..`, `?` or the like.
    """
    segments = path.split("/")
    strange = {".", ".."} & set(segments) or {"?", "#", "\\"} & set(path) or not path.isprintable()
    if segments[0] or strange:
        raise UnsafeUrlError(f"{path!r} is not a plain path")
    query = urlencode([(name, _text(value)) for name, value in params.items() if value is not None], doseq=True)
    return f"{base}{path}?{query}" if query else base + path


def _text(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value
