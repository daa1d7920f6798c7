"""A sandbox made from a declaration: the file that drives the tap, read backwards."""

from __future__ import annotations

from tap_exports.sandbox.declared.provider import provider_of

__all__ = ["provider_of"]
