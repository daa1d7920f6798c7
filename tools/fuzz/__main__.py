"""Fuzz all readers, one after another, for a bounded time: `python -m tools.fuzz --seconds 60 [TARGET …]`.

New inputs that reach new code go to `.fuzz/<target>/`; an input that crashes, hangs or eats memory goes there as well.
It belongs into `tests/fuzz_corpus/<target>/` once it is mended: `tests/faults/test_fuzz_corpus.py` replays that.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

NAMES = ("csv", "json", "archive", "documents", "state")
CORPUS = Path("tests/fuzz_corpus")
WORK = Path(".fuzz")
SECONDS_PER_INPUT = 10
MEMORY_MB = 2048
LARGEST_INPUT = 4096
SLACK_SECONDS = 120  # for the start, and for the kept corpus


def main() -> int:
    """Return 0 when no reader broke."""
    parser = argparse.ArgumentParser(prog="tools.fuzz", description="Fuzz the readers.")
    parser.add_argument("--seconds", type=int, default=60, help="per reader (default: %(default)s)")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="|".join(NAMES))
    given = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed; it has wheels for Linux and Python 3.11 to 3.13: requirements/fuzz.txt")
        return 2
    broken = [name for name in given.targets or NAMES if not _fuzzed(name, given.seconds)]
    print(f"broken: {', '.join(broken)}" if broken else "no crash, no hang")
    return 1 if broken else 0


def _fuzzed(name: str, seconds: int) -> bool:
    """Fuzz one reader in a process of its own and say what came of it."""
    work = WORK / name
    work.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tools.fuzz.one", name, str(work), str(CORPUS / name), *_options(name, seconds)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + SLACK_SECONDS)
    except subprocess.TimeoutExpired:
        print(f"{name:<10} hangs: no end after {seconds + SLACK_SECONDS} s")
        return False
    print(f"{name:<10} {_summary(done.stderr)}")
    if done.returncode:
        print(done.stdout[-4000:] + done.stderr[-4000:])
    return done.returncode == 0


def _options(name: str, seconds: int) -> list[str]:
    return [
        f"-max_total_time={seconds}",
        f"-timeout={SECONDS_PER_INPUT}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-max_len={LARGEST_INPUT}",
        f"-artifact_prefix={WORK / name}/",
        "-print_final_stats=1",
    ]


def _summary(log: str) -> str:
    """Return libFuzzer's last line of progress in words."""
    runs = re.findall(r"stat::number_of_executed_units:\s*(\d+)", log)
    seen = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", log)
    peak = re.findall(r"stat::peak_rss_mb:\s*(\d+)", log)
    if not (runs and seen):
        return "ended before its statistics"
    edges, _, kept = seen[-1]
    return f"{runs[-1]} inputs, {edges} edges, {kept} kept, peak {peak[-1] if peak else '?'} MB"


if __name__ == "__main__":
    sys.exit(main())
