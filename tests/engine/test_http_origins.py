from __future__ import annotations

import ipaddress
import socket

import pytest

from tap_exports.engine.http import safe_url
from tap_exports.engine.http.guard.addresses import is_public, literal
from tap_exports.engine.http.guard.origins import check_url, host_of, origin_of, redirected, resolve
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
    "192.0.0.1",
    "192.0.0.8",
    "192.0.0.9",
    "192.0.0.171",
    "192.88.99.1",
    "100::1",
    "100:0:0:1::1",
    "2001:2::1",
    "2001:10::1",
    "2001:1::1",
    "3fff::1",
    "3fff:fff::1",
    "3ffe::1",
    "5f00::1",
    "::ffff:0:7f00:1",
    "64:ff9b::a00:1",
]
PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "93.184.215.14",
    "192.0.1.1",
    "192.31.196.1",
    "192.88.98.1",
    "2606:4700:4700::1111",
    "2001:4860:4860::8888",
    "2620:4f:8000::1",
    "3ffd::1",
    "64:ff9b::808:808",
]


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


FORMS = {
    "2130706433": "127.0.0.1",
    "127.1": "127.0.0.1",
    "127.0.1": "127.0.0.1",
    "0x7f.1": "127.0.0.1",
    "0X7F.0.0.0x1": "127.0.0.1",
    "0x7f000001": "127.0.0.1",
    "017700000001": "127.0.0.1",
    "0177.0.0.01": "127.0.0.1",
    "10.0x10.1": "10.16.0.1",
    "0xa9fea9fe": "169.254.169.254",
    "127.0.0.1.": "127.0.0.1",
    "[::ffff:127.0.0.1]": "::ffff:7f00:1",
    "[::ffff:7f00:1]": "::ffff:7f00:1",
    "[0:0:0:0:0:ffff:a9fe:a9fe]": "::ffff:a9fe:a9fe",
}


@pytest.mark.parametrize("host", FORMS)
def test_private_address_is_refused_in_every_form_that_resolvers_take(host: str) -> None:
    """The text alone decides, since behind a proxy nobody here resolves."""
    with pytest.raises(UnsafeUrlError, match="is not a public address"):
        check_url(f"https://{host}/a", allow_private=False)
    check_url(f"https://{host}/a", allow_private=True)
    assert str(ipaddress.ip_address(literal(host.strip("[]")) or "")) == str(ipaddress.ip_address(FORMS[host]))


@pytest.mark.parametrize("host", ["\uff11\uff12\uff17.0.0.1", "127\u30020\u30020\u30021", "\u2488\u2488"])
def test_digits_of_other_scripts_are_digits(host: str) -> None:
    """What a resolver may fold to ASCII is folded before it is checked."""
    with pytest.raises(UnsafeUrlError):
        check_url(f"https://{host}/a", allow_private=False)


@pytest.mark.parametrize("host", ["8.8.2056", "010.8.8.8", "0x8080808", "134744072"])
def test_public_address_is_taken_in_its_plain_form_only(host: str) -> None:
    """Programs differ in what `010` means, so that the proxy might read another address than we do."""
    with pytest.raises(UnsafeUrlError, match=r"in a form that programs read differently; write it as \d+\.\d+\.8\.8$"):
        check_url(f"https://{host}/a", allow_private=False)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST.",
        "x.localhost",
        "db",
        "metadata.google.internal",
        "nas.local",
        "wiki.corp",
        "a.home.arpa",
        "127.0.0.1%2eh.test",
        "127.0.0.1.nip.internal",
    ],
)
def test_private_name_is_refused_by_its_text(host: str) -> None:
    """A proxy may resolve it where this machine does not."""
    with pytest.raises(UnsafeUrlError, match="is not a public host; `allow_private_hosts: true` is needed"):
        check_url(f"https://{host}/a", allow_private=False)
    check_url(f"https://{host}/a", allow_private=True)


@pytest.mark.parametrize(
    "host", ["h.test", "8.8.8.8", "1.2.3.4.5", "256.1.1.1.h.test", "0x.h.test", "xn--bcher-kva.test"]
)
def test_public_name_passes(host: str) -> None:
    check_url(f"https://{host}/a", allow_private=False)


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
