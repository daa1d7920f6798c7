"""What a listed job shows of its request, read backwards: the window that it covers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from tap_exports.engine.clock import MILLISECOND
from tap_exports.engine.model import Window
from tap_exports.engine.windows import EPOCH
from tap_exports.providers.declared.declaration import WINDOW_HOLES, verb_of
from tap_exports.providers.declared.declaration.paths import pick
from tap_exports.providers.declared.declaration.templates import HOLE, holes
from tap_exports.providers.declared.exchange.replies import instant

UNITS = {"second": timedelta(seconds=1), "day": timedelta(days=1)}
Spec = Mapping[str, Any]


def shows_all(spec: Spec) -> bool:
    """Return whether a job in the list shows all that its request asks for, so that an equal echo is an equal job.

    It shows the request's fingerprint, or each value of the request, constants too.
    """
    return bool(spec.get("find")) and "created" in spec["job"] and not left_out(spec)


def left_out(spec: Spec) -> list[str]:
    """Return what a request asks for and `find` does not compare: holes of its path, values that it sends."""
    find, submit = spec.get("find", {}), spec["submit"]
    shown = {name for name, _ in holes(find)}
    if "mark" in shown:
        return []
    compared = list(_leaves(find))
    asked = [leaf for key in ("params", "json", "form", "headers") for leaf in _leaves(submit.get(key))]
    in_path = sorted({name for name, _ in holes(verb_of(submit)[1])} - shown)
    return [*(f"{{{name}}}" for name in in_path), *(str(leaf) for leaf in asked if leaf not in compared)]


def _leaves(template: object) -> Iterator[object]:
    """Yield the values of a template that hold no others."""
    if isinstance(template, Mapping):
        template = list(template.values())
    if isinstance(template, list):
        for inner in template:
            yield from _leaves(inner)
    elif template is not None:
        yield template


def windows(spec: Spec, record: object) -> Iterator[Window]:
    """Yield the windows for which a job may have been created, by what `find` compares; the caller compares them.

    Args:
        spec: The declaration.
        record: The job in the list.
    """
    shown: dict[str, datetime] = {}
    for path, template in spec["find"].items():
        if isinstance(template, str) and WINDOW_HOLES & {name for name, _ in holes(template)}:
            shown |= _instants(template, pick(record, path))
    unit = UNITS.get(spec["window"].get("by", ""), MILLISECOND)
    starts = [shown["start"], shown["start"] - MILLISECOND] if "start" in shown else [None]
    end = _end(shown, unit)
    yield from (Window(start, end) for start in starts if end and (start is None or start <= end))


def _end(shown: Mapping[str, datetime], unit: timedelta) -> datetime | None:
    """Return the end of a window by its last or its next instant, None where neither is shown."""
    if "until" in shown:
        return shown["until"] - MILLISECOND
    end = shown.get("end")
    if end is None or not is_aligned(end, unit):
        return end
    return end + unit - MILLISECOND  # a date, or a text without fractions: the tap asks for whole units


def is_aligned(moment: datetime, unit: timedelta) -> bool:
    """Return whether an instant begins a whole unit, in UTC."""
    return not (moment - EPOCH) % unit


def _instants(template: str, value: object) -> dict[str, datetime]:
    """Return the instants that fill the holes of a text, by name; none where the text is another."""
    pattern, position, names = "", 0, []
    for hole in HOLE.finditer(template):
        pattern += re.escape(template[position : hole.start()]) + (r"\{" if hole[1] is None else "(.+?)")
        position = hole.end()
        names += [hole[1]] if hole[1] is not None else []
    found = re.fullmatch(pattern + re.escape(template[position:]), "" if value is None else str(value))
    read = zip(names, map(instant, found.groups()), strict=True) if found else ()
    return {name: moment for name, moment in read if name in WINDOW_HOLES and moment is not None}
