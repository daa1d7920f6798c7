"""`python -m bench` measures, `python -m bench report` writes docs/performance.md from what was measured."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from pathlib import Path

from bench.lab import Lab
from bench.machine import machine
from bench.process import BrokenRunError
from bench.results import Results
from bench.work.index import ROWS

FOLDER = Path(__file__).resolve().parents[1] / ".bench"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("task", nargs="?", choices=("run", "report"), default="run")
    parser.add_argument("--only", default="", help=f"rows to measure, by comma: {', '.join(ROWS)}")
    parser.add_argument("--quick", action="store_true", help="everything at 1/20 of its size, once, to try it")
    parser.add_argument("--repetitions", type=int, default=5, help="runs of every side (default: 5)")
    return parser.parse_args()


def measure(given: argparse.Namespace) -> int:
    """Measure the rows; return how many failed."""
    results = Results(FOLDER / ("quick.json" if given.quick else "results.json"))
    results.machine = machine()
    results.rows = {name: row for name, row in results.rows.items() if name in ROWS}
    lab = Lab(FOLDER, results, given.quick, given.repetitions)
    names = given.only.split(",") if given.only else list(ROWS)
    failed = 0
    for name in names:
        print(f"{name}", flush=True)
        try:
            results.keep(name, ROWS[name](lab))
        except BrokenRunError as error:
            failed += 1
            print(f"  failed: {error}", file=sys.stderr)
    return failed


def main() -> int:
    """Do what is asked."""
    # So that an end from outside also ends what was started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    given = arguments()
    if given.task == "run":
        # As installers do with a wheel, and did with every peer: of an editable install it depends on the environment.
        subprocess.run([sys.executable, "-m", "compileall", "-q", FOLDER.with_name("tap_exports")], check=True)
        failed = measure(given)
        if not given.quick:
            subprocess.run([sys.executable, "-m", "bench", "report"], check=True)
        return failed
    # Here and not above: it brings a plotting library, and this process has to stay small while it measures.
    from bench.report import write_report  # noqa: PLC0415 - plots are needed here only

    write_report(Results(FOLDER / "results.json"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
