"""The API of Cornect: a company search that is free, and exports that take credits."""

from __future__ import annotations

from tap_exports.sandbox.cornect.api import Cornect

__all__ = ["Cornect"]
