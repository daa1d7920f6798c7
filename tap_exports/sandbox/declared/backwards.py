"""Templates and paths read backwards: what filled the holes of a request, and a reply that holds values at paths."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from tap_exports.sandbox.clock import iso_ms
from tap_exports.sandbox.web import Refusal

HOLE = re.compile(r"\{\{|\{([A-Za-z_]\w*)(?::(\w+))?\}")
_STEP = re.compile(r"([^.\[\]]+)(?![^.\[]*\])|\[(-1|\d*|\*)\]")
Found = dict[str, str]
PARTS = ("year", "month", "day")  # forms of a part of a date
FIRST_MILLISECONDS = 100_000_000_000  # what is greater counts milliseconds since 1970, not seconds


def read_back(template: object, sent: object, found: Found, where: str = "body") -> None:
    """Collect what the holes of a template hold in what was sent.

    Args:
        template: A JSON value with holes.
        sent: The value that should have come from it.
        found: By the holes' names; filled here.
        where: For the refusal.

    Raises:
        Refusal: 400, something was sent that the template does not send.
    """
    if isinstance(template, Mapping):
        _read_object(template, sent, found, where)
    elif isinstance(template, list):
        if not isinstance(sent, list) or len(sent) > len(template):
            raise Refusal(400, f"{where}: a list of at most {len(template)} is due")
        for index, (inner, item) in enumerate(zip(template, sent, strict=False)):
            read_back(inner, item, found, f"{where}[{index}]")
    elif isinstance(template, str) and _is_open(template):
        _read_text(template, sent, found, where)
    elif _text(template).replace("{{", "{") != _text(sent):
        raise Refusal(400, f"{where}: {template!r} is due")


def _read_object(template: Mapping[str, Any], sent: object, found: Found, where: str) -> None:
    if not isinstance(sent, Mapping):
        raise Refusal(400, f"{where}: an object is due")
    if extra := sorted(sent.keys() - template.keys()):
        raise Refusal(400, f"{where}: unknown field {extra[0]}")
    for key, inner in template.items():
        if key in sent:
            read_back(inner, sent[key], found, f"{where}.{key}")
        elif not _is_open(inner):
            raise Refusal(400, f"{where}: {key} is missing")


def _read_text(template: str, sent: object, found: Found, where: str) -> None:
    names = [(hole[1], hole[2]) for hole in HOLE.finditer(template) if hole[1] is not None]
    if len(names) == 1 and HOLE.sub("", template) == "":
        name, form = names[0]
        found[f"{name}:{form}" if form in PARTS else name] = sent if isinstance(sent, str) else _text(sent)
        return
    pattern, position = "", 0
    for hole in HOLE.finditer(template):
        pattern += re.escape(template[position : hole.start()]) + (r"\{" if hole[1] is None else "(.+?)")
        position = hole.end()
    match = re.fullmatch(pattern + re.escape(template[position:]), str(sent), re.DOTALL)
    if match is None:
        raise Refusal(400, f"{where}: {sent!r} is not of the form {template!r}")
    for (name, _), value in zip(names, match.groups(), strict=True):
        if found.setdefault(name, value) != value and name not in {"start", "end", "until"}:
            raise Refusal(400, f"{where}: two values for {name}")


def compose(found: Found) -> None:
    """Put dates together whose parts were read back."""
    for name in ("start", "end", "until"):
        if f"{name}:year" in found:
            year, month, day = (int(found.pop(f"{name}:{part}", "1")) for part in PARTS)
            found[name] = f"{year:04}-{month:02}-{day:02}"


def holes(template: object) -> Iterator[tuple[str, str | None]]:
    """Yield name and form of each hole."""
    if isinstance(template, Mapping):
        template = list(template.values())
    if isinstance(template, (list, tuple)):
        for inner in template:
            yield from holes(inner)
    elif isinstance(template, str):
        yield from ((hole[1], hole[2]) for hole in HOLE.finditer(template) if hole[1] is not None)


def _is_open(template: object) -> bool:
    """Return whether a template holds a hole."""
    return next(holes(template), None) is not None


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def put(body: Any, path: str, value: object) -> Any:
    """Return a JSON value that holds another one where a path looks for it.

    Args:
        body: What was put so far, None at first.
        path: Empty for the value itself.
        value: At a list such as `errors[].message` each item of it stands in an element.
    """
    steps = [(name, index) for name, index in _STEP.findall(re.sub(r"\.(\d+)(?=[.\[]|$)", r"[\1]", path))]
    return _put(body, steps, value)


def _put(body: Any, steps: list[tuple[str, str]], value: object) -> Any:
    if not steps:
        return value
    (name, index), rest = steps[0], steps[1:]
    if name == "*":  # every value of an object
        values = value if isinstance(value, list) else [value]
        return {f"key{n}": _put(None, rest, item) for n, item in enumerate(values)}
    if name:
        body = body if isinstance(body, dict) else {}
        body[name] = _put(body.get(name), rest, value)
        return body
    if index and index != "*":
        body = body if isinstance(body, list) else []
        place = max(0, len(body) - 1) if index == "-1" else int(index)
        body += [None] * (place + 1 - len(body))
        body[place] = _put(body[place], rest, value)
        return body
    return [_put(None, rest, item) for item in (value if isinstance(value, list) else [value])]


def instant(text: str | None, *, last: bool = False) -> datetime | None:
    """Return the instant that a hole was filled with, in any form; of a bare date its first or last millisecond."""
    if text is None or text == "":
        return None
    if text.isdecimal():
        return datetime.fromtimestamp(int(text) / (1000 if int(text) > FIRST_MILLISECONDS else 1), timezone.utc)
    if len(text) == len("2026-01-31"):
        text += "T23:59:59.999+00:00" if last else "T00:00:00+00:00"
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def fill(template: object, found: Mapping[str, str]) -> Any:
    """Return a template filled with what was read back, as an echo of the request."""
    if isinstance(template, Mapping):
        return {key: fill(inner, found) for key, inner in template.items()}
    if not isinstance(template, str):
        return template
    return HOLE.sub(lambda hole: "{" if hole[1] is None else str(found.get(hole[1], "")), template)


def shown(moment: datetime) -> str:
    """Return an instant as the sandbox writes it."""
    return iso_ms(moment)
