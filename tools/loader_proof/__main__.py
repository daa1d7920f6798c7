"""Install every candidate, load every case, print the table.

    python -m tools.loader_proof [--only duckdb-1.0 --only postgres] [--case text] [--environments DIR] [--detail]

Takes about ten minutes and one gigabyte. The judgement on the table is docs/decisions/0005-embedded-loader.md.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

from tools.loader_proof.cases import Case, cases
from tools.loader_proof.loaders import LOADERS, Loader, Place
from tools.loader_proof.postgres import server
from tools.loader_proof.proof import Verdict, batch_is_read, prove, state_is_safe


def main() -> int:
    """Print a Markdown table: a line per case, a column per loader."""
    options = _options()
    chosen = [each for each in LOADERS if not options.only or each.name in options.only]
    picked = [each for each in cases() if not options.case or each.name in options.case]
    with server() as url, tempfile.TemporaryDirectory(prefix="proof-") as scratch:
        table = {each.name: _column(each, picked, options, Path(scratch), url) for each in chosen}
    _print(table, detail=options.detail)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.loader_proof", description=__doc__.split("\n", 1)[0])
    names = ", ".join(each.name for each in LOADERS)
    parser.add_argument("--only", action="append", help=f"a loader: {names}; again for more")
    parser.add_argument("--case", action="append", help="a case; again for more")
    parser.add_argument(
        "--environments", type=Path, default=Path("build/loader_proof"), help="where environments are kept"
    )
    parser.add_argument("--detail", action="store_true", help="list each kind of loss under the table")
    return parser.parse_args()


def _column(
    loader: Loader, picked: list[Case], options: argparse.Namespace, scratch: Path, url: str
) -> dict[str, Verdict]:
    try:
        home = loader.install(options.environments.resolve())
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode().strip().splitlines()[-1]
        return {"install": Verdict("does not install", (reason,))}
    verdicts = {each.name: prove(loader, home, each, _place(loader, each.name, scratch, url)) for each in picked}
    if not options.case:
        verdicts["state"] = state_is_safe(loader, home, _place(loader, "state", scratch, url))
        verdicts["batch"] = batch_is_read(loader, home, _place(loader, "batch", scratch, url), "jsonl")
        verdicts["parquet"] = batch_is_read(loader, home, _place(loader, "parquet", scratch, url), "parquet")
    return verdicts


def _place(loader: Loader, case: str, scratch: Path, url: str) -> Place:
    directory = scratch / loader.name / case
    directory.mkdir(parents=True)
    return Place(directory, f"proof_{case}", url)


def _print(table: dict[str, dict[str, Verdict]], *, detail: bool) -> None:
    lines = list(dict.fromkeys(case for column in table.values() for case in column))
    print("| case |", " | ".join(table), "|")
    print("|---|" + "---|" * len(table))
    for case in lines:
        cells = [column[case].summary if case in column else "" for column in table.values()]
        print(f"| {case} |", " | ".join(cells), "|")
    for loader, column in table.items() if detail else ():
        for case, verdict in column.items():
            for line in verdict.details:
                print(f"- {loader}, {case}: {line}")


if __name__ == "__main__":
    raise SystemExit(main())
