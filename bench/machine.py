"""What the figures were taken on."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from bench.lab import environment
from bench.services import binary

PACKAGES = ("tap-exports", "singer-sdk", "dlt", "duckdb", "polars", "pyarrow", "msgspec", "requests")
ELSEWHERE = {
    "airbyte-cdk": "airbyte",
    "meltanolabs-target-postgres": "targets",
    "target-duckdb": "targets",
}


def machine() -> dict[str, str]:
    """Return processor, memory, system and versions."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    nginx = subprocess.run([binary(), "-v"], check=True, capture_output=True, text=True).stderr.strip()
    return {
        "processor": f"{_model()}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "nginx": nginx.rpartition("/")[2],
        **{name: version(name) for name in PACKAGES},
        **{name: _version_in(place, name) for name, place in ELSEWHERE.items()},
    }


def _version_in(place: str, name: str) -> str:
    command: list[str | Path] = [
        environment(place) / "python",
        "-c",
        f"from importlib.metadata import version; print(version({name!r}))",
    ]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "not installed"


def _model() -> str:
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8") if info.exists() else ""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()
