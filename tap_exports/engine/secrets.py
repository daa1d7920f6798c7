"""Keeps credentials and signed URLs out of everything that people read (P7).

Two nets: known secrets are replaced in every form in which they travel (plain, percent-encoded, base64, JSON-escaped),
and what looks like a signed query string or a credential header is cut even when nobody announced it.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
# Shorter values would blank out ordinary words; no provider issues keys that short.
SHORTEST_SECRET = 4
MOST_IN_PATTERN = 256

_ExcInfo = tuple[type[BaseException], BaseException, "TracebackType | None"]

_PLAIN_HEADERS = frozenset({"accept", "accept-encoding", "accept-language", "content-type", "user-agent"})
_WORD = re.compile(r"[^\s\"'<>]+")
_QUERY_OR_FRAGMENT = re.compile(r"[?#]")
_QUERY_OF_PATH = re.compile(r"\?(?=[^\s\"'<>?]*=)[^\s\"'<>]*")
_USER_OF_URL = re.compile(r"(://)[^\s/\"'<>@]+@")
_PARAMETER = re.compile(
    r"\b((?:x-(?:amz|goog)-(?:signature|credential|security-token)|(?:access_?|auth_?|id_?|refresh_?)?token|signature|sig"
    r"|api_?key|client_?secret|password)(?:=|%3d))(?:(?!%26)[^&\s\"'<>,;])+",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"\b((?:proxy-)?authorization|(?:[a-z]+-)?api-key|(?:set-)?cookie)([\"']?\s*[:=]\s*[\"']?)[^\r\n\"']+",
    re.IGNORECASE,
)
# C0, DEL, C1, line and paragraph separators, marks that reorder text, halves of surrogate pairs
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_SIGNED = re.compile(
    r"(?:[?&#;]|%(?:3f|26|23|3b))(?:x-(?:amz|goog|oss|cos|bz)-[a-z-]+|[a-z_-]*(?:signature|token|api_?key|credential)|sig|hmac|expires|policy"
    r"|key-pair-id|(?:aws|google|oss)accesskeyid)(?:=|%3d)",
    re.IGNORECASE,
)
# What all of the rules for records need to find anything, in lower case and without what stands around it: the text may
# be JSON, where a line break before a name is the letter of its escape.
_HEADER_WORDS = ("authorization", "api-key", "cookie")
_ASSIGNED = re.compile(
    r"(?:x-(?:amz|goog|oss|cos|bz)-[a-z-]+|token|signature|sig|key|secret|password|credential|hmac|expires|policy"
    r"|key-pair-id|accesskeyid)(?:=|%3d)"
)
_FOLDED = re.compile("[\u0130\u0131\u017f\u212a]")  # match `i`, `s` and `k` without regard to case
_NAMED = ((_USER_OF_URL, rf"\1{MASK}@"), (_PARAMETER, rf"\1{MASK}"), (_HEADER, rf"\1\2{MASK}"))
_RULES = ((_QUERY_OF_PATH, f"?{MASK}"), *_NAMED)


def carries_credentials(header: str) -> bool:
    """Return whether a header is one whose value is cut wherever it stands behind the header's name."""
    return bool(_HEADER.search(f"{header}: x"))


class Redactor:
    """Replaces secrets in text; safe to share between threads."""

    def __init__(self) -> None:
        """Start with the rules alone."""
        self._forms: set[str] = set()
        self._known: re.Pattern[str] | None = None
        self._needles: tuple[str, ...] = ()
        self._by_head: dict[str, tuple[str, ...]] = {}  # the longest first
        self._lock = threading.Lock()

    def add(self, secret: str) -> None:
        """Announce a secret, such as an API key; empty and very short ones are ignored."""
        if len(secret) < SHORTEST_SECRET:
            return
        with self._lock:
            for form in _forms(secret) - self._forms:
                self._forms.add(form)
                head = form[:SHORTEST_SECRET]
                alike = (*self._by_head.get(head, ()), form)
                self._by_head[head] = tuple(sorted(alike, key=lambda each: (-len(each), each)))
            self._known, self._needles = None, ()
            if len(self._forms) <= MOST_IN_PATTERN:
                self._known = _pattern(self._forms)
                quoted = (json.dumps(form, ensure_ascii=False)[1:-1] for form in self._forms)
                self._needles = _shortest({*self._forms, *quoted})

    def add_headers(self, headers: Mapping[str, str]) -> None:
        """Announce the values of all headers but plain negotiation, with and without a scheme such as `Bearer`."""
        for name, value in headers.items():
            if name.lower() not in _PLAIN_HEADERS:
                self.add(value)
                self.add(value.rpartition(" ")[2])

    def clean(self, text: str) -> str:
        """Return text for people: without secrets, control characters but tab and line feed as escapes."""
        return _CONTROL.sub(lambda found: found[0] if found[0] in "\t\n" else _escape(found), self.cut(text))

    def cut(self, text: str) -> str:
        """Return text with known secrets as `***`, query strings as `?***`, and credential headers blanked."""
        if "?" not in text and "#" not in text and not self.suspects(text):
            return text
        text = self._without_known(text)
        text = _WORD.sub(_cut_query, text)
        for pattern, replacement in _RULES:
            text = pattern.sub(replacement, text)
        return text

    def _without_known(self, text: str) -> str:
        """Return text with known secrets as `***`, from left to right, at each place the longest one.

        Of many, those that begin as the text does are looked up: what a pattern costs grows with their number.
        """
        if self._known:
            return self._known.sub(MASK, text)
        heads, pieces, kept = self._by_head, list[str](), 0
        for place, head in _heads(text) if heads else ():
            if place >= kept and head in heads:
                found = next((form for form in heads[head] if text.startswith(form, place)), None)
                if found:
                    pieces += (text[kept:place], MASK)
                    kept = place + len(found)
        return "".join((*pieces, text[kept:])) if pieces else text

    def cut_signed(self, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        """Return a record's value without secrets: known ones as `***`, of signed URLs the query, at any depth.

        So are values that their names tell to be credentials, and the nested names themselves are cleaned. All else
        stays as it came; an URL without a signature keeps its query, and text its control characters.
        """
        if isinstance(value, str):
            if not self.suspects(value):
                return value
            text = self._without_known(value)
            text = _WORD.sub(_cut_signature, text) if "=" in text or "%3" in text else text
            for pattern, replacement in _NAMED:
                text = pattern.sub(replacement, text)
            return text
        if isinstance(value, Mapping):
            return {self.cut_signed(name): self.cut_signed(each) for name, each in value.items()}
        return [self.cut_signed(each) for each in value] if isinstance(value, list) else value

    def suspects(self, text: str) -> bool:
        """Return whether `cut_signed` may change text, or a value or name in the JSON that it is.

        True says little, False is certain; it costs a hundredth of what `cut_signed` does.
        """
        if self._forms and self._known is None:  # of many secrets, looking is no cheaper than cutting
            return True
        if any(needle in text for needle in self._needles) or _USER_OF_URL.search(text):
            return True
        if not text.isascii() and _FOLDED.search(text):
            return True
        lowered = text.lower()
        if ("=" in text or "%3d" in lowered) and _ASSIGNED.search(lowered):
            return True
        return any(word in lowered for word in _HEADER_WORDS)

    def clean_record(self, record: logging.LogRecord) -> logging.LogRecord:
        """Clean message, traceback and stack of a log record; without a secret in it, it stays as it was."""
        text = _message_of(record)
        cleaned = printable(self.cut(text))
        if cleaned != text:
            record.msg, record.args = cleaned, ()
        self._clean_exception(record)
        record.stack_info = self.clean(record.stack_info) if record.stack_info else record.stack_info
        return record

    def _clean_exception(self, record: logging.LogRecord) -> None:
        """Leave only the cleaned text of a traceback with a secret: a formatter would print `exc_info` as it is."""
        if not record.exc_info or record.exc_info[0] is None:
            return
        text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        cleaned = self.clean(_one_line_each(text, record.exc_info[1]))
        if cleaned != text:
            record.exc_text, record.exc_info = cleaned, None


def printable(text: str) -> str:
    """Return text on one line: every control character, and what reorders text, is shown as an escape.

    A provider's text must neither forge a line of the log nor steer the terminal that shows it.
    """
    return _CONTROL.sub(_escape, text)


def json_line(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return a value as one line of JSON in which each character that `printable` would show as an escape is one."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def install(redactor: Redactor) -> Callable[[], None]:
    """Clean every log record of the process where it is made, and every traceback of an uncaught exception.

    The record factory is the one place that all loggers and handlers share, whenever they are set up.

    Returns:
        A function that undoes the installation.
    """
    make = logging.getLogRecordFactory()
    hook, thread_hook = sys.excepthook, threading.excepthook

    def clean_record(*args: object, **kwargs: object) -> logging.LogRecord:
        return redactor.clean_record(make(*args, **kwargs))

    def clean_hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        _print_clean(redactor, (kind, error, trace))

    def clean_thread_hook(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and args.exc_type is not SystemExit:
            _print_clean(redactor, (args.exc_type, args.exc_value, args.exc_traceback))

    def undo() -> None:
        logging.setLogRecordFactory(make)
        sys.excepthook, threading.excepthook = hook, thread_hook

    logging.setLogRecordFactory(clean_record)
    sys.excepthook, threading.excepthook = clean_hook, clean_thread_hook
    return undo


def _cut_query(word: re.Match[str]) -> str:
    """Return a word without the query of an URL in it; one expression for all would take quadratic time."""
    before, scheme_end, rest = word[0].partition("://")
    kept = _QUERY_OR_FRAGMENT.split(rest, maxsplit=1)[0] if scheme_end else rest
    return word[0] if kept == rest else f"{before}{scheme_end}{kept}?{MASK}"


def _cut_signature(word: re.Match[str]) -> str:
    if not _SIGNED.search(word[0]):
        return word[0]
    return f"{_QUERY_OR_FRAGMENT.split(word[0], maxsplit=1)[0]}?{MASK}"


def _print_clean(redactor: Redactor, info: _ExcInfo) -> None:
    sys.stderr.write(redactor.clean(_one_line_each("".join(traceback.format_exception(*info)), info[1])))


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def _pattern(forms: set[str]) -> re.Pattern[str]:
    """Return a pattern that finds the longest form at each place."""
    return re.compile("|".join(map(re.escape, sorted(forms, key=lambda form: (-len(form), form)))))


def _heads(text: str) -> Iterator[tuple[int, str]]:
    """Yield each place of a text, and the characters from there by which secrets are looked up."""
    for place in range(len(text) - SHORTEST_SECRET + 1):
        yield place, text[place : place + SHORTEST_SECRET]


def _one_line_each(text: str, error: BaseException | None) -> str:
    """Return a traceback in which no message of an exception has a line end that could pass for the end of a line."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        for said in (_text_of(error), *getattr(error, "__notes__", ())):
            text = text.replace(said, printable(said)) if said else text
        error = error.__cause__ or error.__context__
    return text


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - any `__str__` may fail here
        return ""


def _message_of(record: logging.LogRecord) -> str:
    """Return the message; a call with wrong arguments must not end the run, as `logging` itself sees to."""
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - any `__str__` may fail here
        return f"{record.msg} {record.args}"


def _forms(secret: str) -> set[str]:
    """Return the forms in which a secret travels; each is long enough not to appear by chance."""
    encoded = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    lower = {re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), form) for form in encoded}
    escaped = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]}
    forms = {secret} | encoded | lower | escaped | _base64_forms(secret.encode())
    return {form for form in forms if len(form) >= SHORTEST_SECRET}


def _shortest(forms: set[str]) -> tuple[str, ...]:
    """Return the forms that hold no other one: without them in a text, none is."""
    return tuple(form for form in sorted(forms, key=len) if not any(o in form for o in forms if o != form))


def _base64_forms(secret: bytes) -> set[str]:
    """Return what is constant in the base64 text of anything that holds the secret, at each alignment."""
    forms = set()
    for offset in range(3):
        text = base64.b64encode(b"\0" * offset + secret)
        whole = text[-(-offset * 8 // 6) : (offset + len(secret)) * 8 // 6].decode()
        forms |= {whole, whole.replace("+", "-").replace("/", "_"), quote(whole, safe="")}
    return forms
