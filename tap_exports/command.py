"""Runs a command line to the end of the process; errors end with a message and an exit code, never with a traceback."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

import click
import pyarrow as pa

from tap_exports.engine.ledger.places import NOWHERE
from tap_exports.errors import ConfigError, Terminated
from tap_exports.report import RunReport
from tap_exports.singer.logs import is_structured, measure_requests
from tap_exports.singer.progress import Watcher
from tap_exports.singer.streams.summary import by_reason, named, open_jobs
from tap_exports.singer.tap import BaseTap, explain
from tap_exports.subcommands import SUBCOMMANDS
from tap_exports.tap import TapExports

LOGGER = logging.getLogger("tap-exports")
FAILED = 1
INTERRUPTED = 130
PROVEN = "the last STATE written holds what was proven"


def command(call: Callable[[], int | None] | None = None) -> NoReturn:
    """Call a command line, that of the SDK if none is given, and end the process with its exit code."""
    with contextlib.suppress(NotImplementedError):  # jemalloc is not on every system; it returns freed memory sooner
        pa.set_memory_pool(pa.jemalloc_memory_pool())
        pa.jemalloc_set_decay_ms(10_000)  # keeps freed memory for 10 s, for the next piece of a file
    pa.enable_signal_handlers(enable=False)  # they may lose a signal that arrives while the main thread reads
    watcher = Watcher(lambda: TapExports.current)
    watcher.start()
    code = ended(call or run)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    watcher.stop()
    if tap := TapExports.current:
        tap.end()
        if tap.is_running:
            _report(tap, code)
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)  # a worker may hang in a request, and an unfinished reader must not abort the process


def run() -> int | None:
    """Run the SDK's command line; the exit code is 0 only when every selected stream is complete.

    Raises:
        UsageError: It was called wrongly; says so of a subcommand that is not the first argument.
    """
    try:
        code: int | None = TapExports.cli(standalone_mode=False)
    except click.UsageError as error:
        late = next((word for word in sys.argv[1:] if word in SUBCOMMANDS), None)
        if late is None:
            raise
        told = f"{error.message}; a subcommand is the first argument: tap-exports {late} …"
        raise click.UsageError(told, error.ctx) from None
    return code


def ended(call: Callable[[], int | None]) -> int:
    """Call a command line and return the exit code, whatever it raises."""
    try:
        code = call()
    except Terminated as ending:
        _failures()
        LOGGER.info("ended by signal or closed pipe; %s; %s", PROVEN, _kept())
        return ending.exit_code
    except (KeyboardInterrupt, click.Abort):  # as which click has it
        return INTERRUPTED
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else FAILED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except Exception as error:  # last resort: users see one line, the traceback is logged at DEBUG
        LOGGER.debug("failed", exc_info=True)
        _complain(*(error.message.splitlines() if isinstance(error, ConfigError) else [explain(error)]))
        return FAILED
    return code or _failures()


def _kept() -> str:
    """Return where the next run finds its jobs if the loader does not give out that STATE."""
    tap = TapExports.current
    place = tap.durable.name if tap else NOWHERE
    return "jobs stand in no other place" if place == NOWHERE else f"its jobs are also in the ledger {place}"


def _failures() -> int:
    tap = TapExports.current
    if tap is None or not tap.failures:
        return 0
    for reason, streams in by_reason(tap.failures).items():
        _complain(named(reason, streams))
    names = ", ".join(tap.failures)
    _complain(f"{len(tap.failures)} of {len({*tap.streams, *tap.failures})} streams failed: {names}; {PROVEN}")
    return FAILED


def _report(tap: BaseTap, code: int) -> None:
    """Tell of open jobs, then write the run report; whatever fails here changes no exit code."""
    try:
        report = tap.report(code)
        measure_requests(tap.activity.delays())
        if (count := len({window.job_id for window in report.windows})) and code == 0:
            LOGGER.info("%s", open_jobs(count))
        _show(report)
        if path := tap.report_path:
            from tap_exports.report import page  # noqa: PLC0415 - only where HTML is asked for

            page.write(report, path)
    except OSError as error:
        _complain(f"the run report cannot be written: {error.strerror or error}; see the setting `report`")
    except Exception as error:
        LOGGER.debug("no run report", exc_info=True)
        _complain(f"the run report failed: {type(error).__name__}")


def _show(report: RunReport) -> None:
    """Print the report on stderr: as a table on a terminal, as a record of a structured log, else as a line of JSON."""
    if is_structured():
        LOGGER.info("run report", extra=report.to_fields())
    elif sys.stderr.isatty():
        from tap_exports.report import terminal  # noqa: PLC0415 - only where a table is shown

        terminal.show(report, terminal.console(sys.stderr))
    else:
        sys.stderr.write(f"{report.to_json()}\n")


def _complain(*lines: str) -> None:
    for line in lines:
        LOGGER.error("%s", TapExports.redactor.clean(line))
