"""`tap-exports init`: writes a configuration from what the provider lists by name; no id needs to be copied."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click

from tap_exports.engine.api import Offers
from tap_exports.engine.model import Offer
from tap_exports.errors import ConfigError, TapError
from tap_exports.operator import declaring, prompts
from tap_exports.operator.loading import streams_of
from tap_exports.operator.render import show
from tap_exports.operator.report import Report, Table
from tap_exports.settings import slug
from tap_exports.tap import PROVIDERS, TapExports

CHOICES = (*PROVIDERS, *declaring.shipped())
KEY_VARIABLE = "TAP_EXPORTS_KEY"
KEYS = {"cornect": "api_token"}  # all others: api_key
ALL = "all"
# What a block needs before anything is chosen; it is replaced by the choice.
UNCHOSEN = {"closient": {"organization_ids": ["unchosen"]}}
NUMBERED = {"cension": "export_id"}  # lists nothing: numbers are given, and read once to see that they exist


@click.command("init")
@click.option("--provider", type=click.Choice(CHOICES), help="Whose exports; asked for on a terminal")
@click.option("--key-env", default=KEY_VARIABLE, show_default=True, help="Variable with the key; else asked for")
@click.option("--api-url", help="Origin of the API, where it is not the provider's own")
@click.option("--allow-private-hosts", is_flag=True, help="Allow a private or loopback address as --api-url")
@click.option("--choose", multiple=True, metavar="NAME", help="What to export, by name, or all; else asked for")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="What a shipped declaration asks for")
@click.option("--start-date", help="Start of the first window; default: first day of this month")
@click.option("--list", "only_list", is_flag=True, help="Show what can be exported, and write nothing")
@click.option("--output", default="config.json", show_default=True, help="The configuration to write, mode 0600")
@click.option("--force", is_flag=True, help="Replace the file if it is there")
@click.option("--meltano", is_flag=True, help="Print the block for meltano.yml instead; the key stays in a variable")
@click.option("--format", "form", type=click.Choice(["text", "json"]), help="Of --list; default: text on a terminal")
def command(  # noqa: PLR0913, PLR0917 - the options
    provider: str | None,
    key_env: str,
    api_url: str | None,
    allow_private_hosts: bool,  # noqa: FBT001 - a flag
    choose: tuple[str, ...],
    given: tuple[str, ...],
    start_date: str | None,
    only_list: bool,  # noqa: FBT001 - a flag
    output: str,
    force: bool,  # noqa: FBT001 - a flag
    meltano: bool,  # noqa: FBT001 - a flag
    form: str | None,
) -> int:
    """Write a configuration: provider, key, and what to export, chosen from what the provider lists."""
    path = Path(output)
    if path.exists() and not (force or meltano or only_list):
        raise ConfigError(f"{path} is there already; --force replaces it, --output names another one")
    provider = provider or prompts.asked("provider", "--provider", click.Choice(CHOICES))
    shared = _shared(start_date, allow_private_hosts=allow_private_hosts)
    url = {"api_url": api_url} if api_url else {}
    if provider not in PROVIDERS:
        declaration = declaring.declaration_of(provider)
        if only_list:
            return show(declaring.listed(declaration, lambda name: declaring.variable(name, key_env)), form)
        block = {**declaring.answered(declaration, choose, given, key_env), **url}
        config = {**shared, "declared": [block]}
        check(config)
        return _handed_over(config, provider, path, force=force, meltano=meltano)
    if given:
        raise ConfigError(f"--set is for shipped declarations; {provider} is asked what it offers")
    key = os.environ.get(key_env) or prompts.asked("key", f"the variable {key_env}", hidden=True)
    block = {KEYS.get(provider, "api_key"): key, **url}
    offers = offered({**shared, provider: {**block, **UNCHOSEN.get(provider, {})}}, provider)
    if only_list:
        return show(listed(provider, offers), form)
    chosen = _chosen(provider, offers, choose)
    config = {**shared, provider: {**block, **block_of(provider, chosen)}}
    check(config)
    return _handed_over(config, provider, path, force=force, meltano=meltano)


def _shared(start_date: str | None, *, allow_private_hosts: bool) -> dict[str, Any]:
    """Return what stands beside the block."""
    start = start_date or f"{datetime.now(timezone.utc):%Y-%m}-01T00:00:00Z"
    return {"start_date": start, **({"allow_private_hosts": True} if allow_private_hosts else {})}


def _handed_over(config: Mapping[str, Any], provider: str, path: Path, *, force: bool, meltano: bool) -> int:
    """Print the block for Meltano, or write the file; return the exit code."""
    if meltano:
        sys.stdout.write(meltano_block(config, provider))
    else:
        write(path, config, replace=force)
        click.echo(f"{path} is written, mode 0600; next: tap-exports plan --config {path}", err=True)
    return 0


def offered(config: Mapping[str, Any], provider: str) -> list[Offer]:
    """Return what a provider lists for export; nothing where it lists nothing.

    Raises:
        TapError: It refuses the key, or does not answer.
    """
    for _, stream in streams_of(TapExports(config=dict(config), setup_mapper=False)):
        if isinstance(stream.asked, Offers):
            return list(stream.asked.offers())
    if provider not in NUMBERED:
        raise TapError(f"{provider} lists nothing that could be chosen")
    return []


def listed(provider: str, offers: Sequence[Offer]) -> Report:
    """Return what can be exported as a report."""
    found = [{"name": offer.name, "setting": f"{provider}.{offer.setting}", "entry": offer.entry} for offer in offers]
    rows = [(offer.name, f"{provider}.{offer.setting}", json.dumps(offer.entry)) for offer in offers]
    notes = [] if offers else [f"{provider} lists nothing: give the numbers of exports with --choose"]
    tables = [Table(("name", "setting", "entry"), rows)] if rows else []
    return Report({"command": "init", "version": 1, "provider": provider, "offers": found}, tables, notes)


def _chosen(provider: str, offers: Sequence[Offer], names: Sequence[str]) -> list[Offer]:
    """Return the offers that were named, on the command line or on the terminal.

    Raises:
        ConfigError: One is not offered.
    """
    if not names:
        for number, offer in enumerate(offers, 1):
            click.echo(f"{number:>4}  {offer.name}", err=True)
        answer = prompts.asked("what (numbers or names, by commas; or all)", "--choose")
        names = [name.strip() for name in answer.split(",")]
    if ALL in names and offers:
        return list(offers)
    return [_named(provider, offers, name) for name in dict.fromkeys(filter(None, names))]


def _named(provider: str, offers: Sequence[Offer], name: str) -> Offer:
    if (field := NUMBERED.get(provider)) and name.isdecimal():
        return Offer(name, "exports", {field: int(name)})
    if (found := next((offer for offer in offers if offer.name == name), None)) is not None:
        return found
    if name.isdecimal() and 0 < int(name) <= len(offers):
        return offers[int(name) - 1]
    raise ConfigError(f'{provider} does not offer "{name}"; --list shows what it does')


def block_of(provider: str, chosen: Sequence[Offer]) -> dict[str, Any]:
    """Return the lists of a provider's block; entries whose names would make one stream name keep their ids only.

    Raises:
        ConfigError: Nothing was chosen.
    """
    if not chosen:
        raise ConfigError(f"nothing of {provider} was chosen; --list shows what it offers")
    made: dict[str, list[Any]] = {}
    seen: set[str] = set()
    for offer in chosen:
        entry = offer.entry
        if isinstance(entry, Mapping) and "name" in entry and (not slug(entry["name"]) or slug(entry["name"]) in seen):
            entry = {key: value for key, value in entry.items() if key != "name"}
        seen.add(slug(offer.name))
        made.setdefault(offer.setting, []).append(entry)
    return made


def check(config: Mapping[str, Any]) -> None:
    """Ask for what was chosen once, by free requests.

    Raises:
        TapError: Something of it is not there; nothing was written.
    """
    for _, stream in streams_of(TapExports(config=dict(config), setup_mapper=False)):
        stream.check_connection()


def write(path: Path, config: Mapping[str, Any], *, replace: bool) -> None:
    """Write a configuration that only its owner can read.

    Raises:
        ConfigError: The file is there already, or cannot be written.
    """
    text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    try:
        if replace:
            path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}") from None


def meltano_block(config: Mapping[str, Any], provider: str) -> str:
    """Return the extractor for meltano.yml; the key is taken from a variable."""
    import yaml  # noqa: PLC0415 - only here

    key = KEYS.get(provider, "api_key")
    shared = {name: value for name, value in config.items() if name not in {provider, "declared"}}
    if provider in config:
        own = {f"{provider}.{name}": value for name, value in config[provider].items()}
        own[f"{provider}.{key}"] = f"${provider.upper()}_{key.upper()}"
    else:
        (block,) = config["declared"]
        held = {name: f"${provider.upper()}_{name.upper()}" for name in block.get("credentials", {})}
        own = {"declared": [{**block, "credentials": held}]}
    extractor = {"name": f"tap-exports-{provider}", "inherit_from": "tap-exports", "config": {**shared, **own}}
    made: str = yaml.safe_dump({"plugins": {"extractors": [extractor]}}, sort_keys=False, allow_unicode=True)
    return made
