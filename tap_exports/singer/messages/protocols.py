"""The protocols through which batches see their stream and the tap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from tap_exports.engine.thrift import Due
from tap_exports.singer.columns import Schema
from tap_exports.singer.messages.held_state import Covered
from tap_exports.singer.messages.writer import MessageWriter


class WritesMessages(Protocol):
    """A tap that writes messages and STATE."""

    @property
    def writer(self) -> MessageWriter:
        """Return the writer of all messages."""

    @property
    def covered(self) -> Covered:
        """Return the copy of STATE that covers announced parts only."""

    def write_state(self, due: Due = Due.NOW) -> None:
        """Write STATE if it changed, or hold it back where that is not due at once."""


class BatchedStream(Protocol):
    """A stream whose rows are written to parts."""

    name: str

    @property
    def tap(self) -> WritesMessages:
        """Return the tap."""

    @property
    def config(self) -> Mapping[str, Any]:
        """Return the settings."""

    @property
    def schema(self) -> Schema:
        """Return the schema as it is now."""

    @property
    def selected_names(self) -> frozenset[str]:
        """Return the selected top-level properties."""
