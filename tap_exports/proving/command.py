"""The command `tap-exports prove FILE`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path

from tap_exports.errors import ConfigError
from tap_exports.providers.declared.declaration import checked, read
from tap_exports.proving.matrix import Case, cases
from tap_exports.proving.rig import play
from tap_exports.proving.verdict import Verdict, judge

ROWS = 200
COLUMNS = ("case", "lost", "invented", "twice", "secrets", "runs", "proof", "said")


def prove(arguments: Sequence[str]) -> int:
    """Play every case and print a table.

    Args:
        arguments: Of the command line, after `prove`.

    Returns:
        0 if nothing was lost, invented, made twice or shown; 1 otherwise.

    Raises:
        ConfigError: The declaration has errors.
    """
    given = _parser().parse_args(arguments)
    declaration = checked(read(given.declaration))
    usual = play(given.declaration, Case("undisturbed"), given.rows)
    if usual.held.codes[-1] != 0:
        raise ConfigError(f"{given.declaration.name}: the tap fails without any fault: {usual.held.words}")
    windowed = declaration.is_windowed
    jobs = usual.made if windowed else 1
    todo = list(cases(declaration.spec, usual.held.lines[0], jobs))
    with ThreadPoolExecutor(given.jobs) as pool:
        histories = list(pool.map(partial(play, given.declaration, rows=given.rows), todo))
    verdicts = [judge(history, jobs if windowed else len(history.held.codes)) for history in [usual, *histories]]
    sys.stdout.write(_table(verdicts) if given.format == "text" else json.dumps([asdict(v) for v in verdicts]) + "\n")
    return int(not all(verdict.holds for verdict in verdicts))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tap-exports prove", description="Prove a declaration against its own sandbox."
    )
    parser.add_argument("declaration", type=Path, metavar="FILE", help="the declaration")
    parser.add_argument("--rows", type=int, default=ROWS, metavar="N", help="rows at the source (default: %(default)s)")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count(), metavar="N", help="cases at once (default: %(default)s)"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: %(default)s")
    return parser


def _table(verdicts: Sequence[Verdict]) -> str:
    lines = [[str(getattr(verdict, column)) for column in COLUMNS] for verdict in verdicts]
    widths = [max(map(len, column)) for column in zip(COLUMNS, *lines, strict=True)]
    rows = (
        "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (COLUMNS, *lines)
    )
    held = sum(verdict.holds for verdict in verdicts)
    return "\n".join([*rows, "", f"{held} of {len(verdicts)} cases hold", ""])
