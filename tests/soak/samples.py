"""Memory, files and threads of a process, sampled while it runs."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from statistics import median
from types import TracebackType

EVERY_SECONDS = 0.05
ENOUGH = 40  # samples, so that quarters mean something
PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1024**2
GROWTH_MB, GROWTH_RATIO = 16, 0.10
MORE_FILES, MORE_THREADS = 4, 4


class Samples:
    """Samples of one process, or none.

    Args:
        pid: The process; None for no samples.
    """

    def __init__(self, pid: int | None = None) -> None:
        """Begin with nothing."""
        self._home = Path(f"/proc/{pid}")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._taken: list[tuple[float, int, int]] = []

    def __enter__(self) -> Samples:  # noqa: PYI034 - typing.Self is not in Python 3.10
        """Sample until the end of the context."""
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._over.set()
        self._thread.join()

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._taken)

    def __str__(self) -> str:
        """Return the highest values, and how memory grew from the second quarter of the run to the last."""
        if not self._taken:
            return "no samples"
        memory, files, threads = (max(values) for values in zip(*self._taken, strict=True))
        grown = self._growth(0)
        return f"at most {memory:.0f} MB ({grown:+.1f}), {files} files, {threads} threads in {len(self)} samples"

    def complaints(self) -> list[str]:
        """Return what grew; too few samples say nothing."""
        if len(self) < ENOUGH:
            return []
        limits = (max(GROWTH_MB, GROWTH_RATIO * self._middle(0, 1)), MORE_FILES, MORE_THREADS)
        names = ("memory (MB)", "files", "threads")
        return [
            f"{name} grew by {self._growth(which):.1f}"
            for which, (name, limit) in enumerate(zip(names, limits, strict=True))
            if self._growth(which) > limit
        ]

    def _growth(self, which: int) -> float:
        return self._middle(which, 3) - self._middle(which, 1)

    def _middle(self, which: int, quarter: int) -> float:
        step = len(self) / 4
        part = self._taken[int(quarter * step) : int((quarter + 1) * step)] or self._taken
        return float(median(sample[which] for sample in part))

    def _sample(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            with contextlib.suppress(OSError, ValueError, IndexError):  # the process has just ended
                memory = int((self._home / "statm").read_text().split()[1]) * PAGE_MB
                files, threads = (sum(1 for _ in (self._home / name).iterdir()) for name in ("fd", "task"))
                self._taken.append((memory, files, threads))
