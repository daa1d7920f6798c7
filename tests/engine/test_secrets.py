from __future__ import annotations

import base64
import json
import logging
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from tap_exports.engine.http import HttpSettings, Transport
from tap_exports.engine.secrets import Redactor, install
from tests.engine.servers import Server, reply

KEY = 'k+y/5=ä"\\ 7'


@pytest.fixture
def redactor() -> Redactor:
    made = Redactor()
    made.add(KEY)
    return made


@pytest.fixture
def installed(redactor: Redactor) -> Iterator[Redactor]:
    undo = install(redactor)
    yield redactor
    undo()


def fail(message: str, cause: Exception | None) -> None:
    raise ValueError(message) from cause


class Lines(logging.Handler):
    """Collects formatted records, tracebacks included."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += self.format(record) + "\n"


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler, root = Lines(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


class TestForms:
    @pytest.mark.parametrize(
        "form",
        [
            KEY,
            quote(KEY),
            quote(KEY, safe=""),
            quote_plus(KEY),
            quote(KEY, safe="").lower().replace("k", "k"),
            json.dumps(KEY)[1:-1],
            json.dumps(KEY, ensure_ascii=False)[1:-1],
            repr(KEY)[1:-1],
        ],
    )
    def test_known_secret_is_replaced_in_every_form(self, redactor: Redactor, form: str) -> None:
        assert redactor.clean(f"before {form}, after") == "before ***, after"

    @pytest.mark.parametrize("before", ["", "u", "us", "use", "user:"])
    @pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
    def test_base64_is_replaced_at_every_alignment(self, before: str, encode: type) -> None:
        """Basic authentication hides the key behind a user name."""
        secret = "api-key-123456789+/?>"
        made = Redactor()
        made.add(secret)
        text = encode((before + secret + ":more").encode()).decode()
        cleaned = made.clean(text)
        assert "***" in cleaned
        shown = max(cleaned.split("***"), key=len)
        assert len(shown) < len(text) - len(secret)

    def test_longer_secret_goes_before_its_own_beginning(self) -> None:
        made = Redactor()
        made.add("secret")
        made.add("secret-and-more")
        assert made.clean("secret-and-more secret") == "*** ***"

    @pytest.mark.parametrize("secret", ["", "abc"])
    def test_short_secret_is_ignored(self, secret: str) -> None:
        made = Redactor()
        made.add(secret)
        assert made.clean("abc abcd") == "abc abcd"

    def test_headers_are_secrets_but_for_negotiation(self) -> None:
        made = Redactor()
        made.add_headers({"Accept": "application/json", "Authorization": "Bearer t0ken-1", "x-api-key": "a key!"})
        assert made.clean("application/json Bearer t0ken-1 t0ken-1 a key!") == "application/json *** *** ***"


class TestRules:
    @pytest.mark.parametrize(
        ("text", "cleaned"),
        [
            ("GET https://h.test/a/b.csv?X-Amz-Signature=1&b=2 200", "GET https://h.test/a/b.csv?*** 200"),
            ("see <https://h.test/a?b>", "see <https://h.test/a?***>"),
            ("https://h.test/a#token=1", "https://h.test/a?***"),
            ("https://me:pw@h.test/a", "https://***@h.test/a"),
            ('https://h.test:443 "GET /a/b?token=x HTTP/1.1" 200', 'https://h.test:443 "GET /a/b?*** HTTP/1.1" 200'),
            ("with url: /a?sig=1 (Caused by", "with url: /a?*** (Caused by"),
            (r'{"url": "https:\/\/h.test\/a?sig=1\u0026x=2"}', r'{"url": "https:\/\/h.test\/a?***"}'),
            (
                "https%3A%2F%2Fh.test%2Fa%3FX-Amz-Signature%3Dabc%26b",
                "https%3A%2F%2Fh.test%2Fa%3FX-Amz-Signature%3D***%26b",
            ),
            ("X-Amz-Credential=AKIA/2026 x-goog-signature=ab", "X-Amz-Credential=*** x-goog-signature=***"),
            ("token=abc&x=1", "token=***&x=1"),
            ("access_token=abc, sig=d;password=e", "access_token=***, sig=***;password=***"),
            ("Authorization: Bearer abc\nHost: h", "Authorization: ***\nHost: h"),
            ("{'Authorization': 'abc', 'Host': 'h'}", "{'Authorization': '***', 'Host': 'h'}"),
            ("Proxy-Authorization: Basic eA==", "Proxy-Authorization: ***"),
            ("x-api-key: abc", "x-api-key: ***"),
            ("PX-API-KEY=abc", "PX-API-KEY=***"),
            ("Set-Cookie: a=b; c=d", "Set-Cookie: ***"),
        ],
    )
    def test_what_looks_signed_is_cut_unannounced(self, text: str, cleaned: str) -> None:
        assert Redactor().clean(text) == cleaned

    @pytest.mark.parametrize(
        "text",
        [
            "exelensia: GET /v1/exports: 404 Not Found: no such export",
            "1,204,993 rows in 12.1 s (99,586 rows/s)",
            "what? nothing",
            "https://h.test/a/b.csv",
            'job 0197: status "archived" is not in STATUSES',
            "tokens: 5, signature missing",
            "key setting `cension.api_key` was refused",
        ],
    )
    def test_ordinary_text_stays(self, text: str) -> None:
        assert Redactor().clean(text) == text

    @pytest.mark.parametrize(
        "text", ["a" * 200_000, "/" * 200_000, "?" * 200_000, "a-" * 100_000, "://" * 70_000, "%26" * 70_000]
    )
    def test_long_text_takes_no_long_time(self, redactor: Redactor, text: str) -> None:
        started = time.process_time()
        redactor.clean(text)
        assert time.process_time() - started < 2


SIGNED = {
    "https://h.test/a.pdf?X-Amz-Signature=ab&X-Amz-Expires=9": "https://h.test/a.pdf?***",
    "see https://h.test/a?v=1&sig=ab now": "see https://h.test/a?*** now",
    "https://h.test/a?Expires=9&Key-Pair-Id=k": "https://h.test/a?***",
    "https://h.test/a?access_token=ab#top": "https://h.test/a?***",
    "/download?token=ab": "/download?***",
    f"the key {KEY}": "the key ***",
    "https://u:p4ss@h.test/a": "https://***@h.test/a",
    "failed with api_key=ab, retry": "failed with api_key=***, retry",
    "Authorization: Bearer ab": "Authorization: ***",
    "https://b.blob.test/a?sv=2024&se=2026&sig=ab": "https://b.blob.test/a?***",
    "https://g.test/a?X-Goog-Credential=c&X-Goog-Signature=ab": "https://g.test/a?***",
    "https://h.test/r?to=https%3A%2F%2Fs.test%2Fa%3FSignature%3Dab": "https://h.test/r?***",
    "tab\there, bell\x07, escape \x1b[31m": "tab\there, bell\x07, escape \x1b[31m",
    "https://h.test/search?page=2&q=signature": "https://h.test/search?page=2&q=signature",
    "a = b?\r\n\u2028\u202e": "a = b?\r\n\u2028\u202e",
}


class TestRecords:
    @pytest.mark.parametrize("text", SIGNED)
    def test_signatures_and_keys_are_cut_and_nothing_else(self, redactor: Redactor, text: str) -> None:
        """At any depth; an URL without a signature keeps its query, and text its control characters."""
        record = {"a": text, "n": 1, "deep": [{"url": text, text: 0}, None, True]}
        shown = SIGNED[text]
        assert redactor.cut_signed(record) == {"a": shown, "n": 1, "deep": [{"url": shown, shown: 0}, None, True]}

    @pytest.mark.parametrize("before", ["", "\n", "\t", "\x01", '"', "\\", "é"])
    @pytest.mark.parametrize("text", [text for text, shown in SIGNED.items() if text != shown])
    def test_what_would_be_cut_is_suspected_as_json_too(self, redactor: Redactor, text: str, before: str) -> None:
        """An escape before a name is a letter: what is looked at is the JSON of a whole page."""
        assert redactor.suspects(before + text)
        assert redactor.suspects(json.dumps([{"a": before + text}], ensure_ascii=False))
        assert redactor.suspects(json.dumps([{before + text: 1}], ensure_ascii=False))

    @pytest.mark.parametrize("text", [text for text, shown in SIGNED.items() if text == shown])
    def test_ordinary_text_is_not_suspected(self, redactor: Redactor, text: str) -> None:
        assert not redactor.suspects(json.dumps([{"a": text, "b": 'a "quoted" id: 7; 90 %, x=1'}]))

    def test_characters_that_pass_for_letters_are_suspected(self, redactor: Redactor) -> None:
        """Patterns without regard to case take them for the letter."""
        beyond = "".join(map(chr, range(128, 0x10000)))
        passing = re.findall("[a-z]", beyond, re.IGNORECASE)
        assert len(passing) >= 4
        assert [each for each in passing if not redactor.suspects(f"a {each} b")] == []

    @pytest.mark.parametrize("secret", ["plain0key", "with space", 'a"b"c', "a\\b\\c", "tab\tend", "ümläut"])
    def test_a_secret_is_suspected_in_each_of_its_forms(self, secret: str) -> None:
        redactor = Redactor()
        redactor.add(secret)
        for form in (secret, quote(secret), quote_plus(secret), json.dumps(secret), repr(secret)):
            assert redactor.suspects(json.dumps({"a": f"x{form}y"}, ensure_ascii=False)), form
        assert redactor.suspects(base64.b64encode(f"user:{secret}".encode()).decode())


class TestLogging:
    def test_message_and_arguments_are_cleaned(self, installed: Redactor, lines: Lines) -> None:
        logging.getLogger("x").warning("got %s and %d", KEY, 5)
        assert lines.text == "got *** and 5\n"

    def test_record_without_a_secret_keeps_its_arguments(self, installed: Redactor) -> None:
        """The SDK reads metric points out of them."""
        point = object()
        record = logging.getLogRecordFactory()("x", logging.INFO, "f", 1, "METRIC: %s", (point,), None)
        assert record.args == (point,)

    def test_traceback_is_cleaned_for_every_formatter(self, installed: Redactor, lines: Lines) -> None:
        try:
            fail(f"bad {KEY}", KeyError(f"https://h.test/?sig={KEY}"))
        except ValueError:
            logging.getLogger("x").exception("failed")
        assert lines.text.startswith("failed\nKeyError: 'https://h.test/?***'\n")
        assert "ValueError: bad ***" in lines.text

    def test_traceback_without_a_secret_stays_an_exception(self, installed: Redactor) -> None:
        with pytest.raises(ValueError, match="plain") as caught:
            fail("plain", None)
        info = (caught.type, caught.value, caught.tb)
        record = logging.getLogRecordFactory()("x", logging.INFO, "f", 1, "m", (), info)
        assert record.exc_info is info

    @pytest.mark.parametrize(
        "character", ["\n", "\r", "\t", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\u202e", "\u2066"]
    )
    def test_text_cannot_forge_a_line(self, installed: Redactor, lines: Lines, character: str) -> None:
        """Every control character, and what reorders text, is an escape: in a message and in an exception's."""
        forged = f"a{character}2026-01-01 00:00:00,000 | ERROR    | forged"
        logging.getLogger("x").warning("got %s", forged)
        try:
            fail(forged, ValueError(forged))
        except ValueError:
            logging.getLogger("x").exception("failed")
        shown = [line for line in lines.text.split("\n") if "forged" in line and "fail(forged" not in line]
        assert [line.split("a", 1)[0] for line in shown] == ["got ", "V", "V"]
        assert character == "\n" or character not in lines.text

    def test_stack_is_cleaned(self, installed: Redactor) -> None:
        record = logging.getLogRecordFactory()("x", 20, "f", 1, "m", (), None, "fn", f"Stack: {KEY}")
        assert record.stack_info == "Stack: ***"

    @pytest.mark.parametrize("arguments", [(1, 2), ()])
    def test_call_with_wrong_arguments_breaks_nothing(self, redactor: Redactor, arguments: tuple[int, ...]) -> None:
        record = logging.LogRecord("x", 20, "f", 1, f"%s %s %s {KEY}", arguments, None)
        redactor.clean_record(record)
        assert KEY not in str(record.msg)

    def test_debug_lines_of_the_http_library_are_clean(self, installed: Redactor, lines: Lines) -> None:
        """urllib3 logs targets of requests; ours are written past it, byte for byte: no path and no query is logged."""
        with Server([reply(200, b"x")]) as server, closing(Transport(HttpSettings(allow_private_hosts=True))) as opened:
            opened.open("GET", f"{server.url}/a?X-Amz-Signature=hush", {}).close()
        assert "GET / HTTP/1.1" in lines.text
        assert "hush" not in lines.text

    def test_undo_restores_factory_and_hooks(self, redactor: Redactor) -> None:
        before = (logging.getLogRecordFactory(), sys.excepthook, threading.excepthook)
        undo = install(redactor)
        assert (logging.getLogRecordFactory(), sys.excepthook, threading.excepthook) != before
        undo()
        assert (logging.getLogRecordFactory(), sys.excepthook, threading.excepthook) == before

    def test_uncaught_exceptions_are_cleaned(self) -> None:
        script = """
import threading
from tap_exports.engine.secrets import Redactor, install
redactor = Redactor()
redactor.add("top" + "secret")
install(redactor)
def fail():
    raise ValueError("in a thread: top" + "secret")
thread = threading.Thread(target=fail)
thread.start()
thread.join()
raise ValueError("at the end: top" + "secret")
"""
        root = Path(__file__).parents[2]
        run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=root)
        assert "ValueError: in a thread: ***\n" in run.stderr
        assert run.stderr.endswith("ValueError: at the end: ***\n")
        assert ("topsecret" in run.stderr, run.returncode) == (False, 1)
