"""All cases of a declaration, and their table."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path

from tap_exports.errors import ConfigError
from tap_exports.providers.declared.declaration import checked, read
from tap_exports.proving.matrix import Case, cases
from tap_exports.proving.reader import Reader
from tap_exports.proving.rig import play
from tap_exports.proving.verdict import FAILINGS, Verdict, judge

COLUMNS = ("case", *FAILINGS, "runs", "proof", "said")


def prove(file: Path, rows: int, at_once: int, form: str) -> int:
    """Play every case of a declaration and print a table.

    Args:
        file: The declaration.
        rows: Rows at the source.
        at_once: Cases at once.
        form: `text` or `json`.

    Returns:
        0 if all cases hold; 1 otherwise.

    Raises:
        ConfigError: The declaration has errors, or the tap fails without any fault.
    """
    verdicts = verdicts_of(file, rows, at_once)
    sys.stdout.write(_table(verdicts) if form == "text" else json.dumps([asdict(v) for v in verdicts]) + "\n")
    return int(not all(verdict.holds for verdict in verdicts))


def verdicts_of(file: Path, rows: int, at_once: int, reader: Reader | None = None) -> list[Verdict]:
    """Return the verdicts on all cases, the first one on the undisturbed run.

    Args:
        file: The declaration.
        rows: Rows at the source.
        at_once: Cases at once.
        reader: What reads them; default: this tap.

    Raises:
        ConfigError: The declaration has errors, or the reader fails without any fault.
    """
    declaration = checked(read(file))
    usual = play(file, Case("undisturbed"), rows, reader)
    if usual.held.codes[-1] != 0:
        raise ConfigError(f"{file.name}: the tap fails without any fault: {usual.held.words}")
    windowed = declaration.is_windowed
    todo = list(cases(declaration.spec, usual.held.lines[0], usual.first))
    with ThreadPoolExecutor(at_once) as pool:
        histories = list(pool.map(partial(play, file, rows=rows, reader=reader), todo))
    return [judge(each, usual.made if windowed else len(each.held.codes)) for each in [usual, *histories]]


def _table(verdicts: Sequence[Verdict]) -> str:
    lines = [[str(getattr(verdict, column)) for column in COLUMNS] for verdict in verdicts]
    sums = [str(sum(getattr(verdict, column) for verdict in verdicts)) for column in (*FAILINGS, "runs")]
    lines.append(["all", *sums, max((verdict.proof for verdict in verdicts), default=""), ""])
    widths = [max(map(len, column)) for column in zip(COLUMNS, *lines, strict=True)]
    rows = (
        "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (COLUMNS, *lines)
    )
    held = sum(verdict.holds for verdict in verdicts)
    return "\n".join([*rows, "", f"{held} of {len(verdicts)} cases hold", ""])
