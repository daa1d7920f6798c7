"""`tap-exports check`: whether a declaration has errors, and which of its statements the live API bears out."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import click

from tap_exports.errors import ConfigError
from tap_exports.operator.declarations.asked import Seen, WatchedTap, ask
from tap_exports.operator.declarations.borne_out import Bearing
from tap_exports.operator.declarations.samples import record
from tap_exports.operator.declarations.statement import Statement
from tap_exports.operator.declarations.written import failed, summary
from tap_exports.operator.loading import config_option, format_option, load
from tap_exports.operator.render import show
from tap_exports.operator.report import Report, Table
from tap_exports.providers.declared.declaration import Declaration, checked
from tap_exports.providers.declared.declaration.format import FORMAT
from tap_exports.providers.declared.streams import DeclaredRows, source_of
from tap_exports.tap import TapExports

Block = Mapping[str, Any]


@click.command("check")
@click.argument("declaration", required=False)
@config_option
@click.option("--job", metavar="ID", help="The job to look at; default: a completed one of the list")
@click.option("--record", "folder", metavar="DIR", help="Write the replies into this new folder, keys removed")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of declarations, for editors; check nothing")
@format_option
def command(
    declaration: str | None,
    config: tuple[str, ...],
    job: str | None,
    folder: str | None,
    schema: bool,  # noqa: FBT001 - a flag
    form: str | None,
) -> int:
    """Check a DECLARATION: a file, or the name of a shipped one.

    Without --config nothing is sent. With it the live API is asked by GET, with the key of the block that names the
    declaration: the list of jobs, one job, the beginning of its first file. Nothing is created.
    """
    if schema:
        sys.stdout.write(json.dumps(FORMAT, indent=2) + "\n")
        return 0
    if not declaration:
        raise click.UsageError("name a declaration")
    if (job or folder) and not config:
        raise ConfigError("--job and --record: give --config too")
    try:
        found = checked(source_of({"file": declaration}, declaration))
    except ConfigError as error:
        return show(report(list(failed(error.message)), []), form)
    statements = list(summary(found))
    if not config:
        return show(report(statements, ["nothing was sent; --config asks the live API too"]), form)
    live, notes = asked(found, declaration, config, job, folder)
    return show(report([*statements, *live], notes), form)


def asked(
    declaration: Declaration, file: str, config: tuple[str, ...], job: str | None, folder: str | None
) -> tuple[list[Statement], list[str]]:
    """Ask the live API; return the statements and what was written.

    Raises:
        ConfigError: The configuration has no block for the declaration, or it cannot be used.
    """
    tap = load(config)
    block = block_for(tap.config.get("declared") or (), declaration, file)
    seen = Seen()
    watched = WatchedTap(config={**_shared(tap), "declared": [block]}, setup_mapper=False)
    watched.seen = seen
    stream = cast("DeclaredRows", next(iter(watched.discover_streams())))
    ask(stream, watched.watched, seen, job)
    columns = [*(stream.entry.get("primary_keys") or ()), *(stream.entry.get("expect_columns") or ())]
    statements = list(
        Bearing(stream.declaration, seen, list(dict.fromkeys(columns)), block.get("api_url")).statements()
    )
    written = record(seen.exchanges, Path(folder), TapExports.redactor) if folder else []
    notes = [f"{len(seen.exchanges)} requests, all GET; nothing was created"]
    notes += [f"{path} is written; read it before you send it to anybody" for path in written]
    return statements, notes


def _shared(tap: TapExports) -> dict[str, Any]:
    """Return the settings without the providers'."""
    known: Mapping[str, Any] = cast("Mapping[str, Any]", TapExports.config_jsonschema["properties"])
    blocks = {name for name in tap.config if known.get(name, {}).get("properties")} - {"batch_config"}
    return {name: value for name, value in tap.config.items() if name not in blocks}


def block_for(blocks: Sequence[Block], declaration: Declaration, file: str) -> dict[str, Any]:
    """Return the block that names a declaration or holds it, with its first export or the declaration's example.

    Raises:
        ConfigError: There is none.
    """

    def names(block: Block) -> bool:
        if block.get("api") == declaration.spec:
            return True
        written = str(block.get("file") or "")
        return written == file or (bool(written) and Path(written).resolve() == Path(file).resolve())

    found = next(filter(names, blocks), None)
    if found is None:
        raise ConfigError(f"config: no block of `declared` has the file {file}: add one with its credentials")
    example = declaration.spec.get("example", {})
    exports = found.get("exports") or [{"name": "example", "params": example.get("params", {})}]
    return {name: value for name, value in found.items() if name != "api"} | {"file": file, "exports": exports[:1]}


def report(statements: Sequence[Statement], notes: Sequence[str]) -> Report:
    """Return the statements as a report."""
    data = {"command": "check", "version": 1, "statements": list(map(_json, statements))}
    rows = [(each.where, each.words, each.verdict.value, each.detail) for each in statements]
    tables = [Table(("at", "statement", "verdict", "detail"), rows)]
    return Report(data, tables, notes, all(each.verdict.is_well for each in statements))


def _json(statement: Statement) -> dict[str, str]:
    return {
        "where": statement.where,
        "statement": statement.words,
        "verdict": statement.verdict.value,
        "detail": statement.detail,
    }
