"""`tap-exports doctor`: what is wrong with configuration, network, keys, quotas, disk and storage, and what to do."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

import click

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
    checks = [Check(MACHINE, "configuration", Verdict.OK, f"valid; providers: {', '.join(providers)}")]
    checks += [*packages(tap.config), *places(tap.config)]
    with ThreadPoolExecutor(min(len(providers), MOST_AT_ONCE) or 1) as pool:
        found = list(pool.map(lambda name: _provider(tap, name, facts=facts), providers))
    checks += [check for each, _ in found for check in each]
    return show(report(checks, {name: each for name, (_, each) in zip(providers, found, strict=True) if each}), form)


def _provider(tap: TapExports, name: str, *, facts: bool) -> tuple[list[Check], list[Fact]]:
    checks = list(network(name, tap.addresses[name]))
    if not any(check.verdict is Verdict.FAIL for check in checks):
        checks += account(tap, name)
    is_well = not any(check.verdict is Verdict.FAIL for check in checks)
    return checks, list(_facts(tap, name)) if facts and is_well else []


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
    return Report(data, tables, [note], not any(check.verdict is Verdict.FAIL for check in checks))


def _check_json(check: Check) -> dict[str, str]:
    return {
        "about": check.about,
        "check": check.name,
        "verdict": check.verdict.value,
        "detail": check.detail,
        "remedy": check.remedy,
    }
