"""Which URLs, names and addresses may be spoken to (P8)."""

from __future__ import annotations
