"""DNS, proxy and TLS between this machine and a provider."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies, select_proxy

from tap_exports.operator.checks.result import Check, Verdict

SECONDS = 10
SOON = timedelta(days=14)
PORTS = {"http": 80, "https": 443}


def network(provider: str, url: str) -> Iterator[Check]:
    """Yield what stands between this machine and an origin; connects, and sends no request.

    Args:
        provider: Whose origin it is.
        url: Its URL, as configured.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or PORTS.get(parts.scheme, 443)
    proxy = select_proxy(url, get_environ_proxies(url))
    if proxy:
        detail = f"requests go through {urlsplit(proxy).hostname}:{urlsplit(proxy).port}"
        yield Check(provider, "proxy", Verdict.OK, detail, "set NO_PROXY if they must not")
        return
    yield Check(provider, "proxy", Verdict.OK, "none: HTTP_PROXY and HTTPS_PROXY do not apply")
    resolved = _resolved(provider, host, port)
    yield resolved
    if resolved.verdict is Verdict.OK:
        yield _tls(provider, host, port) if parts.scheme == "https" else _plain(provider, host, port)


def _resolved(provider: str, host: str, port: int) -> Check:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        remedy = f"check {provider}.api_url and this machine's resolver; behind a proxy set HTTPS_PROXY"
        return Check(provider, "DNS", Verdict.FAIL, f"{host} has no address: {error.strerror or error}", remedy)
    addresses = sorted({str(entry[4][0]) for entry in found})
    return Check(provider, "DNS", Verdict.OK, f"{host} is {', '.join(addresses)}")


def _plain(provider: str, host: str, port: int) -> Check:
    try:
        socket.create_connection((host, port), SECONDS).close()
    except OSError as error:
        return _unreachable(provider, "TCP", host, port, error)
    remedy = "use https unless this is a sandbox"
    return Check(provider, "TLS", Verdict.WARN, f"{host}:{port} is plain http: the key travels unprotected", remedy)


def _tls(provider: str, host: str, port: int) -> Check:
    try:
        raw = socket.create_connection((host, port), SECONDS)
        with raw, _context().wrap_socket(raw, server_hostname=host) as wrapped:
            version, peer = wrapped.version(), wrapped.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        remedy = "name your authority's certificates in SSL_CERT_FILE or REQUESTS_CA_BUNDLE"
        return Check(provider, "TLS", Verdict.FAIL, f"{host}: {error.verify_message}", remedy)
    except OSError as error:
        return _unreachable(provider, "TLS", host, port, error)
    until = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(peer["notAfter"])), timezone.utc)
    detail = f"{version}, certificate valid until {until:%Y-%m-%d}"
    if until - datetime.now(timezone.utc) < SOON:
        return Check(provider, "TLS", Verdict.WARN, detail, "tell the provider that its certificate ends soon")
    return Check(provider, "TLS", Verdict.OK, detail)


def _context() -> ssl.SSLContext:
    """Return a context that trusts what requests are made with."""
    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
    own = next((os.environ[name] for name in names if os.environ.get(name)), DEFAULT_CA_BUNDLE_PATH)
    is_folder = Path(own).is_dir()
    return ssl.create_default_context(cafile=None if is_folder else own, capath=own if is_folder else None)


def _unreachable(provider: str, name: str, host: str, port: int, error: OSError) -> Check:
    remedy = f"open {host}:{port} in the firewall, or set HTTPS_PROXY; check {provider}.api_url"
    return Check(provider, name, Verdict.FAIL, f"{host}:{port}: {error.strerror or error}", remedy)
