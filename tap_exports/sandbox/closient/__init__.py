"""The API of Closient: archives of an organization's data."""

from __future__ import annotations

from tap_exports.sandbox.closient.api import Closient

__all__ = ["Closient"]
