from __future__ import annotations

import os
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from tap_exports.engine.http import BrokenReplyError, Client, HttpSettings, NotConnectedError, Transport
from tap_exports.errors import ConfigError, UnsafeUrlError
from tests.engine.fakes import FakeClock
from tests.engine.servers import Handler, Server, Step, hang, reply

OPEN = HttpSettings(allow_private_hosts=True, request_timeout_seconds=5)
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
CA_VARIABLES = ("requests_ca_bundle", "curl_ca_bundle", "ssl_cert_file", "ssl_cert_dir")


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[ExitStack]:
    for name in (*PROXY_VARIABLES, *CA_VARIABLES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with ExitStack() as opened:
        yield opened


def start(stack: ExitStack, *steps: Step, tls: ssl.SSLContext | None = None) -> Server:
    return stack.enter_context(Server(list(steps), tls))


def transport(stack: ExitStack, settings: HttpSettings = OPEN) -> Transport:
    return stack.enter_context(closing(Transport(settings)))


def fetch(opened: Transport, url: str, **headers: str) -> bytes:
    answer = opened.open("GET", url, headers)
    with closing(answer):
        return b"".join(iter(lambda: answer.read(7), b""))


def trusted(authority: trustme.CA, folder: Path) -> None:
    """Write an authority as a file and into a folder as OpenSSL wants it; and another one."""
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(folder / "other.pem"))
    for name in ("hashed", "empty"):
        (folder / name).mkdir()
    authority.cert_pem.write_to_path(str(folder / "hashed" / "ca.pem"))
    subprocess.run(["openssl", "rehash", str(folder / "hashed")], check=True)  # noqa: S607 - a fixed command


class Names:
    """A name server that answers each question with the next address."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
        self.asked: list[str] = []
        self.dialled: list[tuple[str, int]] = []
        self._addresses = list(addresses)
        self._connect = socket.socket.connect
        monkeypatch.setattr(socket, "getaddrinfo", self.lookup)

        def connect(sock: socket.socket, address: tuple[str, int]) -> None:
            self.dial(sock, address)

        monkeypatch.setattr(socket.socket, "connect", connect)

    def lookup(self, host: str, port: int, *_: int, **__: int) -> list[Any]:
        address = self._addresses[min(len(self.asked), len(self._addresses) - 1)]
        self.asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    def dial(self, sock: socket.socket, address: tuple[str, int]) -> None:
        self.dialled.append(address)
        if not address[0].startswith("127."):
            raise ConnectionRefusedError(111, "Connection refused")
        self._connect(sock, address)


class TestBodies:
    def test_body_of_known_length(self, stack: ExitStack) -> None:
        server = start(stack, reply(200, b"0123456789"))
        assert fetch(transport(stack), server.url) == b"0123456789"

    def test_chunked_body(self, stack: ExitStack) -> None:
        def chunks(handler: Handler) -> None:
            handler.head(200, {"Transfer-Encoding": "chunked"})
            handler.wfile.write(b"3\r\nabc\r\n9\r\ndefghijkl\r\n0\r\n\r\n")

        server = start(stack, chunks)
        opened = transport(stack)
        assert [fetch(opened, server.url), fetch(opened, server.url)] == [b"abcdefghijkl"] * 2
        assert server.connections == 1

    @pytest.mark.parametrize("sent", [b"", b"3\r\nab", b"3\r\nabc\r\n", b"3\r\nabc\r\nzz\r\n"])
    def test_chunked_body_without_its_end_is_broken(self, stack: ExitStack, sent: bytes) -> None:
        def chunks(handler: Handler) -> None:
            handler.head(200, {"Transfer-Encoding": "chunked"})
            handler.wfile.write(sent)
            handler.close_connection = True

        server = start(stack, chunks)
        with pytest.raises(BrokenReplyError):
            fetch(transport(stack), server.url)

    def test_bytes_that_came_before_a_break_are_given(self, stack: ExitStack) -> None:
        """What arrived counts as progress, however little it is."""

        def stall(handler: Handler) -> None:
            handler.head(200, {"Content-Length": "10"})
            handler.wfile.write(b"abc")
            hang(handler)

        server = start(stack, stall)
        answer = transport(stack, HttpSettings(allow_private_hosts=True, request_timeout_seconds=0.2)).open(
            "GET", server.url, {}
        )
        with closing(answer):
            assert answer.read(100) == b"abc"
            with pytest.raises(BrokenReplyError, match=r"^no answer in time$"):
                answer.read(100)

    @pytest.mark.parametrize(
        "sent", [b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n", b"HTTP/1.1"]
    )
    def test_what_is_not_http_is_broken(self, stack: ExitStack, sent: bytes) -> None:
        def garbage(handler: Handler) -> None:
            handler.wfile.write(sent)
            handler.close_connection = True

        server = start(stack, garbage)
        with pytest.raises(BrokenReplyError):
            fetch(transport(stack), server.url)


class TestNothingAdded:
    """What requests does for its users beyond sending, and an API's key or a signed URL must not meet."""

    def test_netrc_adds_no_credential(self, stack: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        server = start(stack, reply(200))
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password pw\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        opened = transport(stack)
        fetch(opened, server.url)
        fetch(opened, server.url, Authorization="key")
        assert [seen.headers["Authorization"] for seen in server.seen] == [None, "key"]

    def test_cookies_are_not_kept(self, stack: ExitStack) -> None:
        server = start(stack, reply(200, Set_Cookie="a=b; Path=/"))
        opened = transport(stack)
        fetch(opened, server.url)
        fetch(opened, server.url)
        assert [seen.headers["Cookie"] for seen in server.seen] == [None, None]

    def test_only_the_given_headers_are_sent(self, stack: ExitStack) -> None:
        server = start(stack, reply(200))
        fetch(transport(stack), server.url, Accept="text/csv", **{"User-Agent": "x", "Accept-Encoding": "identity"})
        assert sorted(server.seen[0].headers) == ["Accept", "Accept-Encoding", "Host", "User-Agent"]

    def test_redirect_is_neither_followed_nor_read(self, stack: ExitStack) -> None:
        """Its target is the caller's to check, and its body may have no end."""

        def endless(handler: Handler) -> None:
            handler.head(302, {"Location": "http://[", "Content-Length": str(2**40)})
            handler.server.released.wait(10)

        server = start(stack, endless)
        with closing(transport(stack).open("GET", server.url, {})) as answer:
            assert (answer.status, answer.headers["Location"]) == (302, "http://[")
        assert len(server.seen) == 1

    @pytest.mark.parametrize(
        "target",
        [
            "/a%7Eb%2D?sig=%2B%7E",
            "/a%2fb?sig=a%2fb%3d",
            "/100%?a=50%&b=%zz",
            "//a//b?x",
            "/a/../b/./c",
            "/a?",
            "/a?x=a+b&&y=[1]|{2}^`\"<>\\;,'*",
            "/~a/b;c=d?e=f?g",
        ],
    )
    @pytest.mark.parametrize("way", ["direct", "proxy"])
    def test_url_is_sent_as_it_came(
        self, stack: ExitStack, monkeypatch: pytest.MonkeyPatch, target: str, way: str
    ) -> None:
        """A signature may cover every character of it."""
        lines: list[str] = []  # the handler's own path has lost a second slash

        def noted(handler: Handler) -> None:
            lines.append(handler.requestline)
            reply(200)(handler)

        server = start(stack, noted)
        if way == "proxy":
            monkeypatch.setenv("http_proxy", server.url)
        origin = server.url if way == "direct" else "http://files.test"
        fetch(transport(stack), f"{origin}{target}#fragment")
        assert lines == [f"GET {origin if way == 'proxy' else ''}{target} HTTP/1.1"]

    @pytest.mark.parametrize(
        ("target", "sent"), [("/ü b?q=ü", "/%C3%BC%20b?q=%C3%BC"), ("?q=1", "/?q=1"), ("/a\tb\n", "/ab"), ("", "/")]
    )
    def test_url_that_no_request_line_can_carry_is_escaped(self, stack: ExitStack, target: str, sent: str) -> None:
        server = start(stack, reply(200))
        fetch(transport(stack), server.url + target)
        assert server.seen[0].path == sent

    def test_body_is_sent_as_it_is(self, stack: ExitStack) -> None:
        server = start(stack, reply(200))
        opened = transport(stack)
        for body in (b"raw", b"", None):
            opened.open("POST", server.url, {}, body).close()
        sent = [(seen.body, seen.headers["Content-Length"], seen.headers["Content-Type"]) for seen in server.seen]
        assert sent == [(b"raw", "3", None), (b"", "0", None), (b"", "0", None)]


class TestAddresses:
    def test_host_is_resolved_once_and_that_address_is_dialled(
        self, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = start(stack, reply(200, b"ok"))
        names = Names(monkeypatch, "127.0.0.1", "127.9.9.9")
        assert fetch(transport(stack), f"http://files.test:{server.server_port}/a") == b"ok"
        assert (names.asked, names.dialled) == (["files.test"], [("127.0.0.1", server.server_port)])
        assert server.seen[0].headers["Host"] == f"files.test:{server.server_port}"

    def test_second_answer_of_a_name_server_changes_nothing(
        self, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """DNS rebinding: first a public address for the check, then a private one for the connection."""
        server = start(stack, reply(200, b"ok"))
        names = Names(monkeypatch, "93.184.215.14", "127.0.0.1")
        opened = transport(stack, HttpSettings())
        url = f"https://files.test:{server.server_port}/a"
        with pytest.raises(NotConnectedError, match=r"^connection refused$"):
            opened.open("GET", url, {})
        assert (names.asked, names.dialled) == (["files.test"], [("93.184.215.14", server.server_port)])
        with pytest.raises(UnsafeUrlError, match=r"^files.test \(127.0.0.1\) is not a public address"):
            opened.open("GET", url, {})
        assert server.connections == 0

    @pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted as Linux shows them")
    def test_idle_connections_of_many_origins_are_let_go(
        self, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Files may lie on any number of hosts, and each idle connection holds a socket."""
        server = start(stack, reply(200, b"x"))
        Names(monkeypatch, "127.0.0.1")
        opened = transport(stack)
        before = len(list(Path("/proc/self/fd").iterdir()))
        for number in range(200):
            assert fetch(opened, server.url.replace("127.0.0.1", f"host{number}.test")) == b"x"
        assert len(list(Path("/proc/self/fd").iterdir())) - before < 100

    def test_connecting_is_bounded_and_a_kept_connection_keeps_its_timeout(
        self, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each change of it is a call into the system; urllib3 asks for two a request."""
        asked: list[float | None] = []
        change = socket.socket.settimeout

        def noted(sock: socket.socket, value: float | None) -> None:
            if type(sock) is not socket.socket:
                asked.append(value)
            change(sock, value)

        monkeypatch.setattr(socket.socket, "settimeout", noted)
        server = start(stack, reply(200, b"a"), reply(200, b"b"))
        opened = transport(stack, replace(OPEN, request_timeout_seconds=60))
        assert [fetch(opened, server.url), fetch(opened, server.url)] == [b"a", b"b"]
        assert asked == [30, 60]

    def test_next_address_is_tried(self, stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
        server = start(stack, reply(200, b"ok"))
        names = Names(monkeypatch, "127.0.0.1")
        first = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", server.server_port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, **_: first + names.lookup(host, port))
        assert fetch(transport(stack), f"http://files.test:{server.server_port}/a") == b"ok"
        assert [address for address, _ in names.dialled] == ["192.0.2.1", "127.0.0.1"]

    def test_url_that_cannot_be_parsed_is_refused(self, stack: ExitStack) -> None:
        with pytest.raises(UnsafeUrlError, match=r"^an URL that cannot be parsed was refused$"):
            transport(stack).open("GET", "https://h%zz/?secret", {})

    def test_url_is_checked_again_here(self, stack: ExitStack) -> None:
        with pytest.raises(UnsafeUrlError):
            transport(stack, HttpSettings()).open("GET", "http://h.test/", {})


class TestTls:
    @pytest.fixture
    def authority(self) -> trustme.CA:
        return trustme.CA()

    def serve(self, stack: ExitStack, authority: trustme.CA, *names: str) -> Server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*names).configure_cert(context)
        self.asked_for: list[str | None] = []
        context.sni_callback = lambda _, name, __: self.asked_for.append(name)
        return start(stack, reply(200, b"ok"), tls=context)

    def trust(self, authority: trustme.CA, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folder / "ca.pem"))

    def test_certificate_and_sni_are_those_of_the_name(
        self, stack: ExitStack, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Connecting to a checked address must not weaken TLS."""
        server = self.serve(stack, authority, "files.test")
        self.trust(authority, tmp_path, monkeypatch)
        Names(monkeypatch, "127.0.0.1")
        assert fetch(transport(stack), f"https://files.test:{server.server_port}/a") == b"ok"
        assert self.asked_for == ["files.test"]

    def test_certificate_of_another_name_is_refused_for_good(
        self, stack: ExitStack, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = self.serve(stack, authority, "other.test")
        self.trust(authority, tmp_path, monkeypatch)
        Names(monkeypatch, "127.0.0.1")
        with pytest.raises(NotConnectedError, match="certificate is not trusted: Hostname mismatch") as caught:
            transport(stack).open("GET", f"https://files.test:{server.server_port}/a", {})
        assert caught.value.permanent

    def test_unknown_authority_is_a_config_error(
        self, stack: ExitStack, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = self.serve(stack, authority, "files.test")
        Names(monkeypatch, "127.0.0.1")
        clock = FakeClock()
        url = f"https://files.test:{server.server_port}"
        client = stack.enter_context(closing(Client("cension", url, {}, OPEN, clock)))
        with pytest.raises(
            ConfigError, match=r"^cension: files.test:\d+: its certificate is not trusted: .*check `cen"
        ):
            client.send("POST", "/a", idempotent=False)
        assert (clock.sleeps, server.seen) == ([], [])

    def test_handshake_that_breaks_sent_nothing(self, stack: ExitStack) -> None:
        server = start(stack, reply(200))
        with pytest.raises(NotConnectedError) as caught:
            transport(stack).open("GET", f"https://127.0.0.1:{server.server_port}", {})
        assert not caught.value.permanent

    @pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"])
    def test_bundle_that_is_missing_is_a_config_error(
        self, stack: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        server = start(stack, reply(200))
        monkeypatch.setenv(name, str(tmp_path / "missing"))
        with pytest.raises(ConfigError, match=r"missing: check REQUESTS_CA_BUNDLE, .*, SSL_CERT_FILE, SSL_CERT_DIR$"):
            transport(stack).open("GET", f"https://127.0.0.1:{server.server_port}", {})
        assert server.connections == 0

    def test_bundle_that_cannot_be_read_is_refused_for_good(
        self, stack: ExitStack, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = self.serve(stack, authority, "127.0.0.1")
        (tmp_path / "ca.pem").write_text("no certificates")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
        with pytest.raises(NotConnectedError, match=r"^the CA bundle .* cannot be read$") as caught:
            transport(stack).open("GET", f"https://127.0.0.1:{server.server_port}", {})
        assert caught.value.permanent

    @pytest.mark.parametrize(
        "given", [{"SSL_CERT_FILE": "ca.pem"}, {"SSL_CERT_DIR": "hashed"}, {"SSL_CERT_DIR": "no:hashed"}]
    )
    @pytest.mark.parametrize("others", [{}, {"SSL_CERT_FILE": "other.pem", "SSL_CERT_DIR": "empty"}])
    def test_authorities_come_from_the_variables_of_openssl_too(
        self,
        stack: ExitStack,
        authority: trustme.CA,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        given: dict[str, str],
        others: dict[str, str],
    ) -> None:
        """Machines with authorities of their own set these, as curl, Go, and Python itself read them."""
        server = self.serve(stack, authority, "127.0.0.1")
        trusted(authority, tmp_path)
        for name, paths in {**others, **given}.items():
            monkeypatch.setenv(name, os.pathsep.join(str(tmp_path / path) for path in paths.split(":")))
        assert fetch(transport(stack), f"https://127.0.0.1:{server.server_port}") == b"ok"

    def test_variables_of_requests_win(
        self, stack: ExitStack, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = self.serve(stack, authority, "127.0.0.1")
        trusted(authority, tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "other.pem"))
        with pytest.raises(NotConnectedError, match="certificate is not trusted"):
            transport(stack).open("GET", f"https://127.0.0.1:{server.server_port}", {})

    def test_bundle_may_be_a_directory(
        self, stack: ExitStack, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An empty one trusts nobody; it must not switch the check off."""
        server = self.serve(stack, authority, "127.0.0.1")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
        with pytest.raises(NotConnectedError, match="certificate is not trusted") as caught:
            transport(stack).open("GET", f"https://127.0.0.1:{server.server_port}", {})
        assert caught.value.permanent
        assert server.seen == []


class TestProxies:
    def test_http_goes_through_the_proxy_with_its_credentials(
        self, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        proxy = start(stack, reply(200, b"via"))
        monkeypatch.setenv("http_proxy", f"http://me:pw@127.0.0.1:{proxy.server_port}")
        assert fetch(transport(stack), "http://files.test/a") == b"via"
        assert (proxy.seen[0].path, proxy.seen[0].headers["Proxy-Authorization"]) == (
            "http://files.test/a",
            "Basic bWU6cHc=",
        )

    def test_https_that_the_proxy_refuses_sent_nothing(self, stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
        proxy = start(stack, reply(407), reply(503))
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.server_port}")
        for status, permanent in (("407 Proxy Authentication Required", True), ("503 Service Unavailable", False)):
            with pytest.raises(NotConnectedError) as caught:
                transport(stack, HttpSettings()).open("GET", "https://files.test/a", {})
            assert str(caught.value) == f"the proxy refused the way there ({status}): check HTTPS_PROXY"
            assert caught.value.permanent is permanent

    @pytest.mark.parametrize(
        "host", ["169.254.169.254", "2130706433", "0x7f.1", "017700000001", "[::ffff:127.0.0.1]", "db", "x.internal"]
    )
    def test_private_host_is_refused_before_the_proxy(
        self, stack: ExitStack, monkeypatch: pytest.MonkeyPatch, host: str
    ) -> None:
        proxy = start(stack, reply(200))
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.server_port}")
        with pytest.raises(UnsafeUrlError):
            transport(stack, HttpSettings()).open("GET", f"https://{host}/latest", {})
        assert proxy.connections == 0

    @pytest.mark.parametrize("fresh", [False, True])
    def test_name_that_leads_into_a_private_network_is_refused_before_the_proxy(
        self, stack: ExitStack, monkeypatch: pytest.MonkeyPatch, *, fresh: bool
    ) -> None:
        proxy = start(stack, reply(200))
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.server_port}")
        names = Names(monkeypatch, "10.0.0.7")
        with pytest.raises(UnsafeUrlError, match=r"^wiki.test \(10.0.0.7\) is not a public address"):
            transport(stack, HttpSettings()).open("GET", "https://wiki.test/", {}, fresh=fresh)
        assert (names.asked, proxy.connections) == (["wiki.test"], 0)

    def test_name_that_only_the_proxy_resolves_goes_there_and_is_asked_for_once(
        self, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        proxy = start(stack, reply(503))
        asked: list[str] = []

        def unknown(host: str, *rest: object, **options: object) -> Any:  # noqa: ANN401 - of `getaddrinfo`
            asked.append(host)
            if host == "127.0.0.1":
                return resolved(host, *rest, **options)
            raise socket.gaierror

        resolved: Any = socket.getaddrinfo
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.server_port}")
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        opened = transport(stack, HttpSettings())
        for fresh in (False, True):
            with pytest.raises(NotConnectedError):
                opened.open("GET", "https://files.test/a", {}, fresh=fresh)
        assert ([name for name in asked if name == "files.test"], proxy.connections) == (["files.test"], 2)

    def test_loopback_and_exceptions_go_directly(self, stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
        proxy, server = start(stack, reply(200, b"via")), start(stack, reply(200, b"direct"))
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_port}")
        monkeypatch.setenv("no_proxy", "files.test")
        opened = transport(stack)
        assert fetch(opened, server.url) == b"direct"
        Names(monkeypatch, "127.0.0.1")
        assert fetch(opened, f"http://files.test:{server.server_port}") == b"direct"
        assert fetch(opened, "http://other.test") == b"via"

    def test_proxy_of_another_kind_is_a_config_error(self, stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1")
        with pytest.raises(ConfigError, match=r"^a proxy of scheme `socks5` is not supported"):
            transport(stack).open("GET", "https://files.test/a", {})

    def test_proxy_that_cannot_be_parsed_is_a_config_error(
        self, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("https_proxy", "http://me:pw@h%zz:1")
        with pytest.raises(ConfigError, match=r"^the URL of the proxy that the environment names cannot be parsed$"):
            transport(stack).open("GET", "https://files.test/a", {})

    def test_https_tunnels_through_the_proxy_and_trusts_only_the_host(
        self, stack: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("files.test").configure_cert(context)

        def tunnel(handler: Handler) -> None:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            with context.wrap_socket(handler.connection, server_side=True) as inside:
                inside.recv(65536)
                inside.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            handler.close_connection = True

        proxy = start(stack, tunnel)
        monkeypatch.setenv("https_proxy", f"http://me:pw@127.0.0.1:{proxy.server_port}")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
        opened = transport(stack, HttpSettings())
        assert fetch(opened, "https://files.test/a?sig=1", Authorization="key") == b"ok"
        with pytest.raises(NotConnectedError, match="certificate is not trusted: Hostname mismatch"):
            opened.open("GET", "https://other.test/a", {})
        asked = [(seen.method, seen.path, seen.headers["Proxy-Authorization"]) for seen in proxy.seen]
        assert asked == [
            ("CONNECT", "files.test:443", "Basic bWU6cHc="),
            ("CONNECT", "other.test:443", "Basic bWU6cHc="),
        ]
        assert proxy.seen[0].headers["Authorization"] is None
