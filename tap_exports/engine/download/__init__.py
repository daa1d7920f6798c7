"""Complete copies of remote files, whatever breaks on the way."""

from __future__ import annotations

from tap_exports.engine.download.transfer import download

__all__ = ["download"]
