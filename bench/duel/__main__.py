"""`python -m bench.duel` plays every case at every side, `python -m bench.duel report` writes docs/duel.md."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from bench.duel.page import write_page
from bench.duel.sides import DECLARATION, SIDES
from tap_exports.proving.command import verdicts_of

RESULTS = Path(__file__).resolve().parents[2] / ".bench" / "duel.json"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.duel", description=__doc__)
    parser.add_argument("task", nargs="?", choices=("run", "report"), default="run")
    parser.add_argument("--only", default=",".join(SIDES), help="sides to play, by comma; the others stay as they were")
    parser.add_argument("--rows", type=int, default=200, help="rows at the source (default: 200)")
    parser.add_argument("--at-once", type=int, default=2, help="cases at once (default: 2)")
    return parser.parse_args()


def play(given: argparse.Namespace) -> None:
    """Play the sides, and keep what came of each."""
    for name in given.only.split(","):
        side = SIDES[name]
        print(name, flush=True)
        verdicts = verdicts_of(DECLARATION, given.rows, given.at_once, side.make(side.python))
        kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
        kept[name] = {
            "package": f"{side.package} {side.version()}",
            "at": datetime.now(timezone.utc).date().isoformat(),
            "rows": given.rows,
            "verdicts": [asdict(verdict) for verdict in verdicts],
        }
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(kept, indent=1), encoding="utf-8")


if __name__ == "__main__":
    asked = arguments()
    if asked.task == "run":
        play(asked)
    write_page(json.loads(RESULTS.read_text(encoding="utf-8")))
