"""Writes the tap's own catalog with only some streams: `python -m bench.catalog CONFIG CATALOG < NAMES`, a name a line.

With a third argument, `plain`, the lineage columns are left out.

A process of its own, since the catalog of many streams is large: see the note on memory in bench/process.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

# Of an environment with what a user has: numpy, which peers bring, is loaded by pyarrow wherever it is installed.
_OF_USERS = Path(f"{sys.prefix}-tap") / "bin" / "tap-exports"
COMMAND = _OF_USERS if _OF_USERS.exists() else Path(sys.prefix) / "bin" / "tap-exports"


def selected(catalog: dict[str, Any], streams: Collection[str], *, lineage: bool) -> dict[str, Any]:
    """Return a catalog with only these streams, with all of their columns or with the provider's only."""
    kept = [each for each in catalog["streams"] if each["tap_stream_id"] in streams]
    for each in kept:
        for entry in each["metadata"]:
            if not entry["breadcrumb"]:
                entry["metadata"]["selected"] = True
            elif entry["breadcrumb"][-1].startswith("_sdc_") and not lineage:
                entry["metadata"] = {"selected": False}
    return {"streams": kept}


def main(config: Path, catalog: Path, kind: str = "") -> int:
    """Discover and write; return the tap's exit code."""
    done = subprocess.run([COMMAND, "--config", config, "--discover"], check=False, stdout=subprocess.PIPE)
    if not done.returncode:
        names = frozenset(sys.stdin.read().split())
        catalog.write_text(
            json.dumps(selected(json.loads(done.stdout), names, lineage=kind != "plain")), encoding="utf-8"
        )
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]))
