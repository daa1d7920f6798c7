"""The generated tables of docs/sandbox.md: options, faults, endpoints and knobs, read from the sandbox's own source."""

from __future__ import annotations

import argparse
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

import yaml

from tap_exports.sandbox.__main__ import command_line
from tap_exports.sandbox.control import Control
from tap_exports.sandbox.effects import CONTENT, INSTEAD, LISTS, REPLY, Effect
from tap_exports.sandbox.faults import ClockPlan
from tap_exports.sandbox.jobs import JobPlan
from tap_exports.sandbox.registry import PROVIDERS
from tools.markdown import Cells, table

_ATTRIBUTE = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


def options() -> str:
    """Return the options of `tap-exports-sandbox` as a table."""
    # argparse has no public list of its options, and its help text differs from one Python to the next.
    actions = command_line()._actions  # noqa: SLF001 - see above
    return table(("option", "meaning"), (_option_row(each) for each in actions if each.dest != "help"))


def _option_row(action: argparse.Action) -> Cells:
    value = action.metavar or action.dest.upper()
    more = f" [{value} …]" if action.nargs == "+" else ""
    text = (action.help or "").replace("%(default)s", f"`{action.default}`")
    return f"`{action.option_strings[0]} {value}{more}`", _sentence(text)


def faults(effects: Mapping[str, Effect[Any]]) -> str:
    """Return faults, and the keys that go with them, as a table with an example of each."""
    rows = ((name, example, text) for each in effects.items() for name, example, text in _keys(*each))
    return table(("key and example", "effect"), ((f"`{_flow({n: e})[1:-1]}`", text) for n, e, text in rows))


def _keys(name: str, effect: Effect[Any]) -> Iterator[tuple[str, object, str]]:
    yield name, effect.example, effect.meaning
    for option, (example, text) in effect.options.items():
        yield option, example, text


def _flow(value: object) -> str:
    return yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=1000, sort_keys=False).strip()


def faults_instead() -> str:
    """Return the faults that replace the provider's answer."""
    return faults(INSTEAD)


def faults_content() -> str:
    """Return the faults that change a file."""
    return faults(CONTENT)


def faults_lists() -> str:
    """Return what a fault does to a list."""
    return faults(LISTS)


def faults_reply() -> str:
    """Return the faults that change the answer on its way."""
    return faults(REPLY)


def job_plans() -> str:
    """Return the keys of a job's plan as a table."""
    return _attributes(JobPlan)


def clock_plans() -> str:
    """Return the keys of a clock's plan as a table."""
    return _attributes(ClockPlan)


def knobs() -> str:
    """Return a table of knobs per provider."""
    return "\n\n".join(f"### {kind.name}\n\n{_attributes(kind.knobs_type)}" for kind in PROVIDERS)


def _attributes(kind: type) -> str:
    told = {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(inspect.getdoc(kind) or "")}
    rows = ((f"`{each.name}`", f"`{json.dumps(each.default)}`", _sentence(told[each.name])) for each in fields(kind))
    return table(("name", "default", "meaning"), rows)


def growth() -> str:
    """Return what each provider adds when it grows, as a table."""
    return table(("provider", "what is added"), ((kind.name, _summary(kind.grow)) for kind in PROVIDERS))


def controls() -> str:
    """Return the control endpoints as a table."""
    return table(("request", "answer"), _endpoints(Control, ""))


def truths() -> str:
    """Return the truth endpoints of all providers as a table."""
    rows = (row for kind in PROVIDERS for row in _endpoints(kind, f"/_truth/{kind.name}", "TRUTH"))
    return table(("request", "answer"), rows)


def _endpoints(owner: type, prefix: str, only: str = "") -> Iterator[Cells]:
    for name, handler in vars(owner).items():
        method, pattern = getattr(handler, "sandbox_route", ("", ""))
        if method and only in {"", method}:
            verb = "GET" if method == "TRUTH" else method
            yield f"`{verb} {prefix}{pattern}`", _summary(getattr(owner, name))


def _summary(handler: object) -> str:
    return (inspect.getdoc(handler) or "").partition("\n")[0]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
