"""A Singer tap for asynchronous export APIs."""

from __future__ import annotations

from importlib.metadata import version

__version__ = version("tap-exports")
