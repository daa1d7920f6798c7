"""`tap-exports load`: the tap and the loader as two processes over one DuckDB file, which keeps rows and STATE."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from tap_exports.errors import ConfigError
from tap_exports.operator.loading import config_option, config_paths, format_option
from tap_exports.operator.render import show
from tap_exports.operator.verified import verified

TAP, LOADER = ([sys.executable, "-m", name] for name in ("tap_exports", "target_exports"))
LEDGER = ".ledger.json"
FAILED = 1


@click.command("load")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@config_option
@click.option("--catalog", metavar="FILE", help="Catalog that selects streams; default: all")
@click.option(
    "--verify", is_flag=True, help="Compare the file with its receipts: after a load, or alone without --config"
)
@format_option
def command(file: Path, config: tuple[str, ...], catalog: str | None, *, verify: bool, form: str | None) -> int:
    """Load the rows of a configuration into the DuckDB file FILE; a second call brings what is new.

    The file keeps STATE, in the transaction of the rows that it covers. Needs the extra `duckdb`.
    """
    if not config and not verify:
        raise ConfigError("no configuration: give --config FILE, or --config ENV for the environment")
    code = load(file, config_paths(config), catalog) if config else 0
    return code or (show(verified(file), form) if verify else 0)


def load(file: Path, config: tuple[str, ...], catalog: str | None) -> int:
    """Run the tap into the loader and return the exit code: the loader's, else the tap's."""
    with tempfile.TemporaryDirectory(prefix="tap-exports-") as made:
        folder, signals = Path(made), _Signals()
        settings = _written(folder / "loader.json", {"path": str(file), "resume": True})
        environment = {"TARGET_EXPORTS_LOGLEVEL": "WARNING", **os.environ}
        # Sessions of their own: Ctrl-C ends the tap, and the loader once it has what the tap still wrote.
        with subprocess.Popen(  # noqa: S603 - no shell
            [*LOADER, "--config", settings],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        ) as loader:
            state = loader.stdout.readline() if loader.stdout else b""
            if not state:  # it has said why
                return loader.wait() or FAILED
            (folder / "state.json").write_bytes(state)
            options = ["--state", str(folder / "state.json"), *(["--catalog", catalog] if catalog else [])]
            # The first file: a ledger that is configured goes before it.
            configs = [_written(folder / "ledger.json", {"ledger": f"{file.absolute()}{LEDGER}"}), *config]
            words = [*TAP, *options, *(word for path in configs for word in ("--config", path))]
            if not signals.came:
                signals.tap = subprocess.Popen(words, stdout=loader.stdin, start_new_session=True)  # noqa: S603 - no shell
            return _ended(signals, loader)


class _Signals:
    """Hands SIGINT and SIGTERM to the tap; one that came before the tap was there is kept in `came`."""

    def __init__(self) -> None:
        """Take the signals."""
        self.came = 0
        self.tap: subprocess.Popen[bytes] | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._take)

    def _take(self, number: int, _: object) -> None:
        self.came = number
        if self.tap:
            with suppress(ProcessLookupError):
                self.tap.send_signal(number)


def _ended(signals: _Signals, loader: subprocess.Popen[bytes]) -> int:
    """Wait for both and return the exit code, 128 and its number for a signal."""
    if loader.stdin:
        loader.stdin.close()  # the tap has it now
    for _ in loader.stdout or ():
        """A STATE, which the file keeps."""
    codes = (loader.wait(), signals.tap.wait() if signals.tap else -signals.came)
    return next((code if code > 0 else 128 - code for code in codes if code), 0)


def _written(path: Path, content: dict[str, Any]) -> str:
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)
