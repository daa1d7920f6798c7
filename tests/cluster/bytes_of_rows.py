"""200,000 rows by each reader and converter: the very same objects."""

from __future__ import annotations

from typing import Any

from tests.cluster.cases import three
from tests.cluster.rig import Rig

ROWS = 200_000


def everywhere(rig: Rig) -> str:
    """Parquet and JSON Lines of 200,000 rows in one file: reader of rows, threads and Dask write the same bytes."""
    rig.rows = ROWS
    with three(rig, workers=1) as running:
        sizes = [_same(rig, form, f"dask:{running.address}") for form in ("parquet", "jsonl")]
    return ", ".join(sizes)


def _same(rig: Rig, form: str, dask: str) -> str:
    found: list[Any] = []
    for executor in ("reader", "threads:4", dask):
        rig.empty()
        box = rig.box(ROWS)
        config = rig.config(box, "threads:4" if executor == "reader" else executor, windows=1, form=form)
        if executor == "reader":
            config["exelensia"]["exports"][0]["expect_columns"] = ["name"]
        run = rig.start(config).succeeded()
        box.stop()
        found.append((run.announced, rig.objects()))
    assert found[0] == found[1] == found[2], found
    assert found[0][0], found
    return f"{form}: {len(found[0][0])} objects"
