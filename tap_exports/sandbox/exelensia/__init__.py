"""The API of Exelensia: schemas, files, processes, results, and CSV exports of results."""

from __future__ import annotations

from tap_exports.sandbox.exelensia.api import Exelensia

__all__ = ["Exelensia"]
