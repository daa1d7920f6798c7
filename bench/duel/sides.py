"""The sides of the duel: this tap, and three peers in environments of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.duel.readers import Airbyte, Dlt, PlainTap
from tap_exports.proving.reader import Reader, Tap
from tap_exports.proving.rig import SPAN

ROOT = Path(__file__).resolve().parents[2]
DECLARATION = ROOT / "tap_exports" / "providers" / "declared" / "shipped" / "stripe.yaml"


@dataclass(frozen=True, slots=True)
class Side:
    """One side.

    Attributes:
        package: Its package.
        environment: The folder of its environment; empty for the one that runs the duel.
        written: What stands for the declaration there, and how many lines it has.
        make: Makes its reader, of the environment's interpreter.
    """

    package: str
    environment: str
    written: Path
    make: Callable[[Path], Reader]

    @property
    def python(self) -> Path:
        """Return the interpreter of its environment."""
        return ROOT / self.environment / "bin" / "python" if self.environment else Path(sys.executable)

    @property
    def lines(self) -> int:
        """Return the lines of what is written."""
        return len(self.written.read_text(encoding="utf-8").splitlines())

    def version(self) -> str:
        """Return the version of its package."""
        asks = f"from importlib.metadata import version; print(version({self.package!r}))"
        return subprocess.run([self.python, "-c", asks], check=True, capture_output=True, text=True).stdout.strip()


PEERS = ROOT / "bench" / "duel" / "peers"
SIDES: Mapping[str, Side] = {
    "tap-exports": Side("tap-exports", "", DECLARATION, lambda _: Tap(SPAN)),
    "airbyte": Side("airbyte-cdk", ".venv-bench-airbyte", PEERS / "airbyte.py", Airbyte),
    "dlt": Side("dlt", ".venv-duel-dlt", PEERS / "dlt_resource.py", Dlt),
    "singer": Side("singer-sdk", ".venv-duel-singer", PEERS / "sdk_tap.py", PlainTap),
}
