"""Which URLs and addresses may be spoken to: the guard against requests into private networks (P8).

Terms: an *origin* is scheme, host and port, as in RFC 6454. An address is *public* when nothing but the open internet
can lie behind it. The rules on text hold before anything is resolved, so they hold for a proxy too.
"""

from __future__ import annotations

import re
import socket
import unicodedata
from urllib.parse import urldefrag, urljoin, urlsplit, urlunsplit

from tap_exports.engine.http.guard.addresses import is_public, literal
from tap_exports.errors import UnsafeUrlError

SockAddress = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]

DEFAULT_PORTS = {"http": 80, "https": 443}
_STRANGE = re.compile(r"[\\\s\x00-\x1f\x7f]")
_ZONE = re.compile(r"%25?[^%]*$")
# Names that no public name server answers: RFC 6761, 6762, 8375, 9476, ICANN's list of private names, and habits.
_PRIVATE_NAMES = re.compile(
    r"(?:^|\.)(?:localhost|localdomain|local|internal|intranet|private|corp|home|lan|home\.arpa|alt|onion)$|^[^.]*$"
)


def safe_url(url: str) -> str:
    """Return scheme, host, port and path of an URL: what a message may show.

    Args:
        url: Any text; what does not parse as an URL becomes `***`.
    """
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "***"
    return urlunsplit((parts.scheme, host, parts.path, "", "")) if parts.scheme and host else "***"


def host_of(url: str) -> str:
    """Return `host` or `host:port` of an URL, for messages."""
    return urlsplit(url).netloc.rpartition("@")[2]


def origin_of(url: str) -> tuple[str, str, int]:
    """Return scheme, lower-case host and port of an URL, the scheme's own port filled in.

    Raises:
        UnsafeUrlError: The URL has no host, or its port is not a number.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        raise UnsafeUrlError("an URL that cannot be parsed was refused") from None
    # Parsers disagree on where such a host ends, and the one that connects is not the one that compares.
    if _STRANGE.search(parts.netloc):
        raise UnsafeUrlError("an URL that cannot be parsed was refused")
    if not parts.hostname:
        raise UnsafeUrlError(f"an URL without a host was refused: {safe_url(url)}")
    return parts.scheme, parts.hostname, port


def redirected(url: str, location: str) -> str:
    """Return the absolute URL that a `Location` header names, without its fragment.

    Raises:
        UnsafeUrlError: There is no location, or it cannot be parsed.
    """
    try:
        target = urldefrag(urljoin(url, location)).url
    except ValueError:
        target = ""
    if not location or not target:
        raise UnsafeUrlError(f"{host_of(url)} redirects to nowhere")
    return target


def check_url(url: str, *, allow_private: bool) -> None:
    """Refuse an URL whose text alone shows that it may not be requested.

    Args:
        url: An absolute URL.
        allow_private: The setting `allow_private_hosts`: also allows plain `http`.

    Raises:
        UnsafeUrlError: Another scheme than https, credentials in the URL, no host, a private name, or an address that
            is private or written in a form that programs read differently.
    """
    scheme, host, _ = origin_of(url)
    if scheme not in DEFAULT_PORTS:
        raise UnsafeUrlError(f"{safe_url(url)}: the scheme `{scheme}` is refused, only https is followed")
    if scheme == "http" and not allow_private:
        raise UnsafeUrlError(f"{safe_url(url)}: plain http is refused; `allow_private_hosts: true` is needed to use it")
    if "@" in urlsplit(url).netloc:
        raise UnsafeUrlError(f"{safe_url(url)}: credentials inside an URL are refused")
    if not allow_private:
        _check_host(host)


def _check_host(host: str) -> None:
    """Refuse a host whose text names no public one, whoever resolves it."""
    plain = unicodedata.normalize("NFKC", host).replace("\u3002", ".").rstrip(".")
    address = literal(_ZONE.sub("", plain) if ":" in plain else plain)
    if address is None:
        if "%" in plain or _PRIVATE_NAMES.search(plain):
            raise UnsafeUrlError(f"{host} is not a public host; `allow_private_hosts: true` is needed to reach it")
    elif not is_public(address):
        raise UnsafeUrlError(_not_public(host, address))
    elif ":" not in plain and plain != address:
        raise UnsafeUrlError(f"{host} is an address in a form that programs read differently; write it as {address}")


def resolve(host: str, port: int, *, allow_private: bool) -> list[SockAddress]:
    """Return the addresses of a host, all of them checked: connect to these and resolve no second time.

    One private address among several refuses the host: an attacker's name server may mix them.

    Raises:
        UnsafeUrlError: An address is not public and `allow_private` is false.
        OSError: The name does not resolve.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise UnsafeUrlError(f"{host!a} is not a valid host name") from None
    for *_, address in found:
        if not allow_private and not is_public(str(address[0])):
            raise UnsafeUrlError(_not_public(host, str(address[0])))
    return [(family, address) for family, _, _, _, address in found]


def _not_public(host: str, address: str) -> str:
    shown = host if host == address else f"{host} ({address})"
    return f"{shown} is not a public address; `allow_private_hosts: true` is needed to reach it"
