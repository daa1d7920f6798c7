"""Report how long functions and modules are, and fail on what the style does not allow.

Lines of a function are all lines from ``def`` to its end, docstring included; a nested one also counts in its parent.
Exit code 1 when a function has more than 40 lines, the 90th percentile is over 20, a module bears a name
that says nothing, or a file holds a word that does not belong in the repository.
"""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LONGEST, P90, MODULE = 40, 20, 250
EMPTY_NAMES = frozenset({"base", "common", "helpers", "utils"})
# Each pattern is written so that it does not find itself.
UNWANTED = {
    "a package registry's host": re.compile(r"py[p]i\.org|python[h]osted\.org", re.IGNORECASE),
    "a path of one machine": re.compile(r"(?<![\w.*-])/(?:wor[k]|hom[e]|roo[t]|Use[r]s)/[\w.-]"),
    "an unfinished mark": re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X])\b"),
    "a lint exception without a rule": re.compile(r"#\s*noq[a]\b(?!:)"),
    "a type exception without a code": re.compile(r"#\s*type:\s*ignor[e]\b(?!\[)"),
}


@dataclass(frozen=True, slots=True)
class Function:
    """One function: where it is and how many lines it has."""

    name: str
    path: Path
    lines: int


def files(*patterns: str) -> list[Path]:
    """List files that git tracks or would track, as paths below the root."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return sorted({Path(name) for name in listed.split("\0") if name and (ROOT / name).is_file()})


def functions(path: Path) -> Iterator[Function]:
    """Yield the functions of a Python file."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Function(node.name, path, (node.end_lineno or node.lineno) - node.lineno + 1)


def length_faults(title: str, paths: Iterable[Path]) -> Iterator[str]:
    """Print one line about a part's functions, and yield what is too long."""
    found = sorted((each for path in paths for each in functions(path)), key=lambda each: each.lines)
    if not found:
        return
    lengths = [each.lines for each in found]
    p90 = lengths[min(len(lengths) - 1, int(len(lengths) * 0.9))]
    last = found[-1]
    print(
        f"{title}: {len(found)} functions, median {statistics.median(lengths):g}, p90 {p90}, "
        f"longest {last.lines} ({last.path}:{last.name})"
    )
    if p90 > P90:
        yield f"{title}: the 90th percentile of function lengths is {p90}, more than {P90}"
    for each in found:
        if each.lines > LONGEST:
            yield f"{each.path}: {each.name} has {each.lines} lines, more than {LONGEST}"


def report_modules(paths: Iterable[Path]) -> None:
    """Print the modules over the usual size; that is a hint, not a fault."""
    lengths = {path: len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in paths}
    for path, lines in sorted(lengths.items(), key=lambda item: -item[1]):
        if lines > MODULE:
            print(f"{path}: {lines} lines, more than the usual {MODULE}")


def name_faults(paths: Iterable[Path]) -> Iterator[str]:
    """Yield the modules and packages whose name says nothing."""
    for path in paths:
        if EMPTY_NAMES & {path.stem, *path.parts[:-1]}:
            yield f"{path}: its name does not say what it holds"


def word_faults(paths: Iterable[Path]) -> Iterator[str]:
    """Yield the places where a file holds what does not belong in the repository."""
    for path in paths:
        text = (ROOT / path).read_text(encoding="utf-8", errors="replace")
        for what, pattern in UNWANTED.items():
            for match in pattern.finditer(text):
                yield f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {what}: {match.group()}"


def main() -> int:
    """Measure the repository.

    Returns:
        0 when everything is within the style, else 1.
    """
    code = files("tap_exports/*.py")
    sandbox = [path for path in code if "sandbox" in path.parts]
    tap = [path for path in code if "sandbox" not in path.parts]
    report_modules([*code, *files("tests/*.py", "tools/*.py")])
    faults = [
        *length_faults("tap", tap),
        *length_faults("sandbox", sandbox),
        *length_faults("loader", files("target_exports/*.py")),
        *name_faults(files("*.py")),
        *word_faults(files()),
    ]
    print(*faults, sep="\n", end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
