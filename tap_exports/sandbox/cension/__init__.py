"""The API of Cension: exports page by page, operations, saved queries."""

from __future__ import annotations

from tap_exports.sandbox.cension.api import Cension

__all__ = ["Cension"]
