"""The language of declarations: format, holes, paths, and the check of all three."""

from __future__ import annotations

from tap_exports.providers.declared.declaration.check import WINDOW_HOLES, Declaration, checked, verb_of
from tap_exports.providers.declared.declaration.source import Source, read

__all__ = ["WINDOW_HOLES", "Declaration", "Source", "checked", "read", "verb_of"]
