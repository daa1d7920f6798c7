"""Shows what a run is doing while it lasts: a display on a terminal, else a line a minute about what it waits for."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from tap_exports.engine.activity import Activity, counted, span_text, wait_text

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.live import Live

LOGGER = logging.getLogger("tap-exports.jobs")
MINUTE_SECONDS = 60.0
GLANCE_SECONDS = 0.25
MOST_SHOWN = 10


class Watched(Protocol):
    """A tap that runs."""

    activity: Activity

    @property
    def is_running(self) -> bool:
        """Return whether its streams have begun."""

    @property
    def config(self) -> Mapping[str, Any]:
        """Return its settings."""


class Watcher:
    """A thread that looks at the run; nothing that it does may end the run.

    Args:
        current: Returns the tap, None before there is one.
    """

    def __init__(self, current: Callable[[], Watched | None]) -> None:
        """Start nothing yet."""
        self._current = current
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)
        self._display: Display | None = None
        self._told_at = 0.0

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End the display and give the terminal back."""
        self._ended.set()
        self._thread.join(timeout=1)

    def _watch(self) -> None:
        try:
            while not self._ended.wait(GLANCE_SECONDS):
                tap = self._current()
                if tap is not None and tap.is_running:
                    self._look(tap)
        except Exception:  # a display must never end a run
            LOGGER.debug("progress ends", exc_info=True)
        finally:
            if self._display:
                self._display.close()

    def _look(self, tap: Watched) -> None:
        if self._display is None and is_shown(tap.config["progress"]):
            self._display = Display(tap.activity)
        if self._display:
            self._display.refresh()
        if tap.activity.seconds - self._told_at >= MINUTE_SECONDS:
            self._told_at = tap.activity.seconds
            if line := tap.activity.waiting():
                LOGGER.info("waiting for %s", line)


def is_shown(setting: str) -> bool:
    """Return whether progress is displayed, by its setting: `auto` only on a terminal, `always` or `never`."""
    can_draw = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return setting == "always" or (setting == "auto" and can_draw)


class Display:
    """Rows and waiting jobs below the log, which goes through the display's own writer.

    Args:
        activity: What is shown.
    """

    def __init__(self, activity: Activity) -> None:
        """Take over the handlers of the log that write to stderr."""
        from rich.live import Live  # noqa: PLC0415 - imported only where progress is shown

        from tap_exports.report.terminal import console  # noqa: PLC0415 - as above

        self._activity = activity
        self._console = console(sys.stderr, force=True)
        self._live: Live = Live(
            get_renderable=self._shown,
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        writer: Any = LogWriter(self._console)
        self._handlers = handlers_on_stderr()
        for handler in self._handlers:
            handler.setStream(writer)
        self._live.start()

    def refresh(self) -> None:
        """Draw what is going on now."""
        self._live.refresh()

    def close(self) -> None:
        """Remove the display, and let the log write as before."""
        with contextlib.suppress(OSError):
            self._live.stop()
        for handler in self._handlers:
            handler.setStream(sys.stderr)

    def _shown(self) -> Group:
        from rich.console import Group  # noqa: PLC0415 - as above
        from rich.text import Text  # noqa: PLC0415 - as above

        return Group(*(Text(line, no_wrap=True, overflow="ellipsis") for line in lines(self._activity)))


class LogWriter:
    """Writes lines of the log above the display.

    Args:
        console: The display's.
    """

    def __init__(self, console: Console) -> None:
        """Keep the console."""
        self._console = console

    def write(self, text: str) -> int:
        """Print text as it is, without colours or line breaks of its own."""
        self._console.out(text, end="", highlight=False)
        return len(text)

    def flush(self) -> None:
        """Do nothing: each write is printed at once."""


def lines(activity: Activity) -> list[str]:
    """Return the display's lines: the rows so far, then each job that is waited for."""
    now, rows = activity.seconds, activity.rows()
    stream = next(reversed(rows), "")
    found = [f"{sum(rows.values()):,} rows in {span_text(now)}" + (f", now {stream}" if stream else "")]
    waits = activity.waits()
    for track in waits[:MOST_SHOWN]:
        job = f", job {track.job_id}" if track.job_id else ""
        found.append(f"  {track.stream} {wait_text(track, now)}{job}")
    if len(waits) > MOST_SHOWN:
        found.append(f"  and {counted(len(waits) - MOST_SHOWN, 'more job')}")
    return found


def handlers_on_stderr() -> list[logging.StreamHandler[Any]]:
    """Return the handlers of the log that write to stderr."""
    streaming = [h for h in logging.getLogger().handlers if isinstance(h, logging.StreamHandler)]
    return [handler for handler in streaming if handler.stream is sys.stderr]
