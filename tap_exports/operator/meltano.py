"""What Meltano leaves for a plugin that it invokes, and the STATE that it keeps."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tap_exports.errors import ConfigError, StateError
from tap_exports.subcommands import MELTANO

LOGS = "SINGER_SDK_LOG_CONFIG"  # Meltano sets it to a file of the plugin's folder
SECONDS = 120


class NoMeltanoError(StateError):
    """There is no command `meltano`."""

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__("there is no command `meltano` on PATH; add its folder to PATH, or give --state FILE")


def config_path() -> str:
    """Return the path of the configuration that Meltano wrote for the plugin that it invokes.

    Raises:
        ConfigError: Meltano did not start this process, or left no file.
    """
    if not os.environ.get(LOGS):
        raise ConfigError(f"--config {MELTANO}: Meltano did not start this command; give --config FILE")
    written = sorted(_folder().glob("tap.*.config.json"), key=lambda path: path.stat().st_mtime)
    if not written:
        raise ConfigError(f"--config {MELTANO}: Meltano left no configuration; give --config FILE")
    return str(written[-1])


def catalog_path() -> str | None:
    """Return the path of the catalog of the last run that Meltano left, which holds its selection; None without one."""
    path = _folder() / "tap.properties.json"
    return str(path) if os.environ.get(LOGS) and path.is_file() else None


def _folder() -> Path:
    return Path(os.environ.get(LOGS, "")).parent


def state_id() -> str | None:
    """Return the id under which Meltano keeps the STATE of the plugin's runs in its environment; None before the first.

    Raises:
        StateError: There are several, or Meltano cannot be run.
    """
    plugin, environment = _folder().name, os.environ.get("MELTANO_ENVIRONMENT")
    listed = _called("list", "--pattern", f"*{plugin}-to-*").decode().split()
    found = [each for each in listed if not environment or each.startswith(f"{environment}:")]
    if len(found) > 1:
        raise StateError(f"Meltano keeps several STATEs of {plugin}: {', '.join(found)}; name one by --state-id")
    return found[0] if found else None


def state(name: str) -> bytes:
    """Return what Meltano keeps under an id.

    Raises:
        StateError: Meltano cannot be run, or has no such STATE.
    """
    return _called("get", name)


def _called(*arguments: str) -> bytes:
    command = ["meltano", "--log-level", "error", "state", *arguments]
    home = os.environ.get("MELTANO_PROJECT_ROOT")
    try:
        return subprocess.run(command, check=True, capture_output=True, timeout=SECONDS, cwd=home).stdout  # noqa: S603 - no shell
    except FileNotFoundError:
        raise NoMeltanoError from None
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        advice = "`meltano state list` shows the ids"
        raise StateError(f"`meltano state {' '.join(arguments)}` failed; {advice}") from None
