"""The proof that a reader gives of one job."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tap_exports.engine.model import Event, Proven
from tap_exports.errors import StopError


@dataclass(slots=True)
class Proof:
    """Takes the `Proven` out of a reader's events.

    Attributes:
        found: The event, once the reader yielded it.
    """

    found: Proven | None = None

    def watched(self, events: Iterable[Event]) -> Iterator[Event]:
        """Yield all other events."""
        for event in events:
            if isinstance(event, Proven):
                self.found = event
            else:
                yield event

    def required(self, where: str) -> bool:
        """Return whether the job was read whole; call it once the events have ended.

        Raises:
            StopError: The reader ended without a proof.
        """
        if self.found is None:
            raise StopError(f"{where}: it was read without a proof of its end; the bookmark stays")
        return self.found.is_whole
