"""`tap-exports doctor`: what is wrong with configuration, network, keys, quotas, disk and storage, and what to do."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

import click

from tap_exports.engine.model.accounts import shared_name
from tap_exports.errors import ConfigError
from tap_exports.operator.checks.accounts import account
from tap_exports.operator.checks.network import network
from tap_exports.operator.checks.packages import packages
from tap_exports.operator.checks.places import places
from tap_exports.operator.checks.result import MACHINE, Check, Verdict
from tap_exports.operator.facts.asking import Fact, Looks, answered
from tap_exports.operator.facts.sources import questions_of
from tap_exports.operator.loading import config_option, format_option, load, read_state, state_options, streams_of
from tap_exports.operator.render import show
from tap_exports.operator.report import Report, Table
from tap_exports.tap import TapExports

MOST_AT_ONCE = 16
PACKAGES = ("tap-exports", "singer-sdk", "pyarrow", "requests", "urllib3", "fsspec", "msgspec")


@click.command("doctor")
@config_option
@state_options
@format_option
@click.option("--facts/--no-facts", default=True, show_default=True, help="Ask what the documents leave open")
def command(
    config: tuple[str, ...],
    state: str | None,
    state_id: str | None,
    form: str | None,
    facts: bool,  # noqa: FBT001 - a flag
) -> int:
    """Check configuration, network, keys, quotas, disk and storage. Free read-only requests; a probe is removed again.

    The report names versions and what live replies show, without keys: it can be pasted into a bug report.
    """
    try:
        tap = load(config, read_state(state, state_id))
    except ConfigError as error:
        lines = [line for line in error.message.splitlines() if line]
        remedy = "docs/settings.md lists the settings"
        broken = [Check(MACHINE, "configuration", Verdict.FAIL, line, remedy) for line in lines]
        return show(report(broken, {}), form)
    providers = list(dict.fromkeys(name for name, _ in streams_of(tap)))  # the streams are made once, before threads
    checks = [Check(MACHINE, "configuration", Verdict.OK, f"valid; providers: {_named(providers)}")]
    checks += [*packages(tap.config), *places(tap.config)]
    with ThreadPoolExecutor(min(len(providers), MOST_AT_ONCE) or 1) as pool:
        found = _checked(tap, providers, pool)
        asked = _one_of_each(found) if facts else []
        answers = dict(zip(asked, pool.map(lambda name: list(_facts(tap, name)), asked), strict=True))
    checks += [check for each in found.values() for check in each]
    return show(report(checks, {name: each for name, each in answers.items() if each}), form)


def _named(providers: Sequence[str]) -> str:
    """Return the names of providers, with the number of their accounts."""
    counts = Counter(map(shared_name, providers))
    return ", ".join(f"{name} ({counts[name]} accounts)" if name not in providers else name for name in counts)


def _checked(tap: TapExports, providers: Sequence[str], pool: ThreadPoolExecutor) -> dict[str, list[Check]]:
    """Return what was found, by provider and account: the way to an address is the same for all of its accounts."""
    ways = list(dict.fromkeys((shared_name(name), tap.addresses[name]) for name in providers))
    found = dict(zip(ways, pool.map(lambda way: list(network(*way)), ways), strict=True))
    open_ways = [name for name in providers if not _has_failed(found[shared_name(name), tap.addresses[name]])]
    keys = dict(zip(open_ways, pool.map(lambda name: list(account(tap, name)), open_ways), strict=True))
    checks: dict[str, list[Check]] = {}
    for name in providers:
        of_address = found.pop((shared_name(name), tap.addresses[name]), [])
        checks[name] = [*of_address, *keys.get(name, ())]
    return checks


def _one_of_each(found: Mapping[str, Sequence[Check]]) -> list[str]:
    """Return one account of each provider, the first in which nothing is wrong: replies show the same to all."""
    chosen: dict[str, str] = {}
    for name, checks in found.items():
        if checks and not _has_failed(checks):
            chosen.setdefault(shared_name(name), name)
    return list(chosen.values())


def _has_failed(checks: Iterable[Check]) -> bool:
    return any(check.verdict is Verdict.FAIL for check in checks)


def _facts(tap: TapExports, name: str) -> Iterator[Fact]:
    stream = next((s for provider, s in reversed(list(streams_of(tap))) if provider == name), None)
    if stream and isinstance(stream.asked, Looks):
        yield from answered(stream.asked, questions_of(stream, tap.config))


def report(checks: Sequence[Check], facts: dict[str, list[Fact]]) -> Report:
    """Return the findings as a report."""
    versions = {name: version(name) for name in PACKAGES} | {"python": platform.python_version()}
    versions["system"] = f"{platform.system()} {platform.release()} {platform.machine()}"
    data = {
        "command": "doctor",
        "version": 1,
        "checks": [_check_json(check) for check in checks],
        "facts": [
            {"provider": name, "mark": fact.mark, "question": fact.question, "answer": fact.answer}
            for name, found in facts.items()
            for fact in found
        ],
        "versions": versions,
    }
    rows = [(c.about, c.name, c.verdict.value, c.detail, c.remedy) for c in checks]
    tables = [Table(("about", "check", "verdict", "found", "remedy"), rows, "Checks")]
    told = [(name, fact.mark, fact.question, fact.answer) for name, found in facts.items() for fact in found]
    columns = ("provider", "documents", "question", "seen")
    tables += [Table(columns, told, "What the documents leave open")] if told else []
    note = ", ".join(f"{name} {value}" for name, value in versions.items())
    return Report(data, tables, [note], not _has_failed(checks))


def _check_json(check: Check) -> dict[str, str]:
    return {
        "about": check.about,
        "check": check.name,
        "verdict": check.verdict.value,
        "detail": check.detail,
        "remedy": check.remedy,
    }
