"""The picture of docs/report.md: the run report, in a browser, of a run in which a job hangs and another one fails.

`python -m tools.report_picture` makes it again with chromium (Debian and Ubuntu: `apt-get install chromium`). Times and
ids differ from run to run, so nothing compares the picture; look at it before you commit it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tap_exports.sandbox import Sandbox, SandboxOptions

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "report" / "run.png"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTH, HEIGHT = 1150, 2310
STALL_SECONDS = 8
FAULTS: dict[str, Any] = {  # the first that fits a job holds
    "jobs": [
        {"provider": "exelensia", "nth": 2, "outcome": "hang"},
        {"provider": "exelensia", "seconds": 3},
        {"provider": "packagex", "nth": 2, "outcome": "fail", "seconds": 2, "reason": "out of paper"},
    ]
}
SHOWN = ("_export_", "export_jobs")  # of the names of streams: lists would fill the picture


class NoBrowserError(Exception):
    """There is no browser that draws pages without a window."""


def browser() -> str:
    """Return the path of a browser.

    Raises:
        NoBrowserError: None is on PATH.
    """
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        advice = "on Debian and Ubuntu: apt-get update && apt-get install chromium"
        raise NoBrowserError(f"none of {', '.join(BROWSERS)} is on PATH; {advice}")
    return found


def page(path: Path) -> None:
    """Write the report of a run to a file.

    Raises:
        RuntimeError: The run did not end as the story has it.
    """
    with tempfile.TemporaryDirectory() as folder, Sandbox(SandboxOptions(job_seconds=2), faults=FAULTS) as box:
        config = {
            **box.config("exelensia", "packagex", "cornect"),
            "progress": "never",
            "end_date": "2026-01-01T00:00:00Z",
            "job_stall_timeout_seconds": STALL_SECONDS,
            "poll_interval_seconds": 0.5,
        }
        written, catalog = Path(folder, "config.json"), Path(folder, "catalog.json")
        written.write_text(json.dumps(config), encoding="utf-8")
        catalog.write_text(json.dumps(_selected(json.loads(_tap(folder, "--discover").stdout))), encoding="utf-8")
        done = _tap(folder, "--catalog", str(catalog), "--report", str(path))
    if done.returncode != 1 or "out of paper" not in done.stderr or "made no progress" not in done.stderr:
        msg = f"the run ended with {done.returncode}, otherwise than its story: {done.stderr}"
        raise RuntimeError(msg)


def _tap(folder: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tap_exports", "--config", f"{folder}/config.json", *arguments]
    environment = {**os.environ, "XDG_STATE_HOME": folder, "TMPDIR": folder}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def _selected(catalog: dict[str, Any]) -> dict[str, Any]:
    """Return a catalog of the streams that the picture shows."""
    streams = [each for each in catalog["streams"] if any(part in each["tap_stream_id"] for part in SHOWN)]
    return {"streams": streams}


def draw(program: str, source: Path, target: Path) -> None:
    """Write what a browser shows of a page; it opens nothing else."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]
    with tempfile.TemporaryDirectory() as profile:
        shown = [f"--user-data-dir={profile}", f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={target}"]
        subprocess.run([program, *options, *shown, source.as_uri()], check=True, capture_output=True, timeout=120)


def main() -> int:
    """Write the picture; return 1 where no browser draws it."""
    try:
        program = browser()
    except NoBrowserError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "report.html")
        page(source)
        draw(program, source, PICTURE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
