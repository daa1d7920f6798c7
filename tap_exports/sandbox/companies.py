"""The seed data: the companies of the S&P 500, as in the packaged CSV."""

from __future__ import annotations

import csv
import functools
from importlib import resources


@functools.cache
def companies() -> tuple[dict[str, str], ...]:
    """Return the 503 companies in the order of the file, every value as text.

    Keys: Symbol, Security, GICS Sector, GICS Sub-Industry, Headquarters Location, Date added, CIK, Founded.
    Source: the public dataset named in `data/README.md`.
    """
    path = resources.files("tap_exports.sandbox") / "data" / "sp500-constituents.csv"
    return tuple(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
