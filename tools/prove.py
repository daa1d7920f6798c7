"""Proves the shipped declarations and writes what came of each into docs/declare.md.

python -m tools.prove              all of them
python -m tools.prove NAME …       these; the lines of the others stay as they are
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path

from tap_exports.providers.declared.streams import SHIPPED
from tap_exports.proving.command import verdicts_of
from tap_exports.proving.verdict import FAILINGS, Verdict
from tools.markdown import part, table, with_part

PAGE = Path(__file__).resolve().parents[1] / "docs" / "declare.md"
NAME = "proven"
ROWS = 200
AT_ONCE = 2 * (os.cpu_count() or 1)  # most cases wait most of the time
HEAD = (
    "name",
    "lines",
    "cases held",
    "lost",
    "invented",
    "changed",
    "jobs twice",
    "secrets",
    "stuck",
    "proof",
    "s",
    "load",
    "day",
)


def main(names: Sequence[str]) -> int:
    """Prove declarations one after the other; return 1 if one does not hold."""
    files = sorted(SHIPPED.glob("*.yaml"))
    text = PAGE.read_text(encoding="utf-8")
    lines = {line.split("`")[1]: line for line in part(text, NAME).splitlines() if line.startswith("| `")}
    whole = True
    for file in files:
        if not names or file.stem in names:
            load, began = os.getloadavg()[0], time.monotonic()
            verdicts = verdicts_of(file, ROWS, AT_ONCE)
            whole = whole and all(verdict.holds for verdict in verdicts)
            cells = _cells(file, verdicts, time.monotonic() - began, load)
            lines[file.stem] = table(HEAD, [cells]).splitlines()[-1]
            print(lines[file.stem], *_failed(verdicts), sep="\n  ", flush=True)
    body = "\n".join([table(HEAD, []), *(lines[file.stem] for file in files if file.stem in lines)])
    PAGE.write_text(with_part(PAGE.read_text(encoding="utf-8"), PAGE, NAME, body), encoding="utf-8")
    return int(not whole)


def _cells(file: Path, verdicts: Sequence[Verdict], seconds: float, load: float) -> Iterable[object]:
    yield f"`{file.stem}`"
    yield sum(not line.startswith("#") for line in file.read_text(encoding="utf-8").splitlines())
    yield f"{sum(verdict.holds for verdict in verdicts)} of {len(verdicts)}"
    for count in FAILINGS:
        yield sum(getattr(verdict, count) for verdict in verdicts)
    yield verdicts[0].proof
    yield f"{seconds:.0f}"
    yield f"{load:.1f}"
    yield datetime.now(timezone.utc).date().isoformat()


def _failed(verdicts: Iterable[Verdict]) -> list[str]:
    return [f"{verdict}" for verdict in verdicts if not verdict.holds]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
