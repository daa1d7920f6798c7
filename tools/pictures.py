"""The pictures of docs/commands.md: what subcommands print at a sandbox with two jobs that hang.

`python -m tools.pictures` writes them. What differs from run to run (ages, ports, free space, versions) is replaced by
fixed text, so that the same code gives the same bytes.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from tap_exports.sandbox import Sandbox, SandboxOptions

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "commands"
SHOTS = {
    "plan": "plan --config config.json --state state.json",
    "jobs": "jobs --config config.json --state state.json --limit 2",
    "doctor": "doctor --config config.json --state state.json",
}
FIXED = (
    (r"\b\d:\d\d:\d\d\b", "0:12:00"),
    (r"\b\d{4} days\b", "1000 days"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:8800"),
    (r"/\S*: \d+ MB free", "/var/spool: 65536 MB free"),
    (r"(?m)^tap-exports \d.*$", "tap-exports …, singer-sdk …, pyarrow …, requests …, urllib3 …, python …"),
)
SVG = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: monospace; font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}<g class="{unique_id}-matrix">
{matrix}
</g></g>
</svg>
"""


def pictures() -> Iterator[tuple[str, str]]:
    """Yield name and SVG of each picture."""
    with tempfile.TemporaryDirectory() as folder, Sandbox(SandboxOptions(job_seconds=3600)) as box:
        where = Path(folder)
        _hang(box, where)
        for name, line in SHOTS.items():
            yield name, _drawn(f"tap-exports {line}", _fixed(_called(where, *line.split(), "--format", "text")))


def _hang(box: Sandbox, folder: Path) -> None:
    """Write configuration and STATE of a run whose two jobs did not move."""
    config: dict[str, Any] = {
        **box.config("exelensia", "packagex"),
        "progress": "never",
        "end_date": "2024-06-30T00:00:00Z",
        "job_stall_timeout_seconds": 1,
    }
    for provider in ("exelensia", "packagex"):
        config[provider]["exports"] = config[provider]["exports"][:1]
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    lines = _called(folder, "--config", "config.json", code=1).splitlines()
    states = [message["value"] for message in map(json.loads, lines) if message["type"] == "STATE"]
    (folder / "state.json").write_text(json.dumps(states[-1]), encoding="utf-8")


def _called(folder: Path, *arguments: str, code: int = 0) -> str:
    environment: Mapping[str, str] = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), "TMPDIR": str(folder)}
    command = [sys.executable, "-m", "tap_exports", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode != code:
        raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def _fixed(text: str) -> str:
    for pattern, instead in FIXED:
        text = re.sub(pattern, instead, text)
    lines = (line.rstrip() for line in text.splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def _drawn(title: str, text: str) -> str:
    width = max(map(len, text.splitlines()))
    console = Console(record=True, width=width, file=io.StringIO(), color_system=None, highlight=False, markup=False)
    console.print(text, soft_wrap=True)
    return console.export_svg(title=title, code_format=SVG, unique_id=title.split()[1])


def main() -> int:
    """Write the pictures; return 0."""
    FOLDER.mkdir(exist_ok=True)
    for name, drawn in pictures():
        (FOLDER / f"{name}.svg").write_text(drawn, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
