from __future__ import annotations

import socket

import pytest

from tap_exports.engine.http import safe_url
from tap_exports.engine.http.origins import check_url, host_of, is_public, origin_of, redirected, resolve
from tap_exports.errors import UnsafeUrlError

PRIVATE = [
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "127.0.0.1",
    "127.8.8.8",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "0.0.0.0",  # noqa: S104 - an address to be refused, nothing is bound
    "0.1.2.3",
    "192.0.2.1",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.1",
    "239.1.1.1",
    "233.252.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "ff0e::1",
    "fec0::1",
    "2001:db8::1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "::8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "2001:0:7f00:1::1",
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_address_is_recognised(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_address_is_recognised(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h.test/a/b?X-Amz-Signature=1#f", "https://h.test/a/b"),
        ("https://me:pw@h.test:8443/a", "https://h.test:8443/a"),
        ("https://h.test", "https://h.test"),
        ("not an url?token=1", "***"),
        ("https://[bad", "***"),
        ("", "***"),
    ],
)
def test_safe_url_keeps_scheme_host_and_path(url: str, shown: str) -> None:
    assert safe_url(url) == shown


def test_origin_fills_in_the_port_and_lowers_the_host() -> None:
    assert origin_of("https://H.Test/a") == origin_of("https://h.test:443/b") == ("https", "h.test", 443)
    assert origin_of("http://h.test") == ("http", "h.test", 80)
    assert host_of("https://me:pw@h.test:1/a") == "h.test:1"


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "http://localhost", "https://[::1]:8/"])
def test_private_hosts_may_be_allowed(url: str) -> None:
    check_url(url, allow_private=True)


@pytest.mark.parametrize(
    "url",
    [
        "file:///a",
        "ftp://h.test",
        "gopher://h.test",
        "//h.test",
        "https://u@h.test/",
        r"https://e.test\@h.test/",
        r"https://h\x/",
    ],
)
def test_some_urls_are_never_allowed(url: str) -> None:
    with pytest.raises(UnsafeUrlError):
        check_url(url, allow_private=True)


@pytest.mark.parametrize("url", ["https://127.0.0.1", "https://[::ffff:127.0.0.1]/", "https://[fe80::1%25eth0]/"])
def test_literal_private_address_is_refused(url: str) -> None:
    with pytest.raises(UnsafeUrlError, match="is not a public address"):
        check_url(url, allow_private=False)


@pytest.mark.parametrize("host", ["127.1", "0x7f.0.0.1", "2130706433", "localhost"])
def test_other_spellings_of_loopback_are_refused(host: str) -> None:
    """What the resolver understands is checked, not what the text looks like."""
    with pytest.raises(UnsafeUrlError, match="is not a public address"):
        resolve(host, 443, allow_private=False)


def test_one_private_address_among_public_ones_refuses_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(UnsafeUrlError, match=r"^h.test \(10.0.0.1\) is not a public address; `allow_private_hosts"):
        resolve("h.test", 443, allow_private=False)
    assert resolve("h.test", 443, allow_private=True) == [
        (socket.AF_INET, ("8.8.8.8", 443)),
        (socket.AF_INET, ("10.0.0.1", 443)),
    ]


def test_host_that_is_no_name_is_refused() -> None:
    with pytest.raises(UnsafeUrlError, match="is not a valid host name"):
        resolve("a" * 70 + ".test", 443, allow_private=False)


@pytest.mark.parametrize(
    ("location", "target"),
    [("/b?c=1#d", "https://h.test/b?c=1"), ("x", "https://h.test/a/x"), ("//o.test/y", "https://o.test/y")],
)
def test_redirect_is_resolved(location: str, target: str) -> None:
    assert redirected("https://h.test/a/b?secret", location) == target


@pytest.mark.parametrize("location", ["", "https://["])
def test_redirect_to_nowhere_is_refused(location: str) -> None:
    with pytest.raises(UnsafeUrlError, match=r"^h.test redirects to nowhere$"):
        redirected("https://h.test/a?secret", location)
