"""Where jobs are known from: the incoming STATE, the tap's own durable ledger, or the account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tap_exports.engine.ledger import Entry, StreamState
from tap_exports.engine.model import Action, Step, Window
from tap_exports.operator.loading import bookmarks, selected
from tap_exports.singer.streams.durable import look_into_ledger
from tap_exports.tap import TapExports

STATE, LEDGER, ACCOUNT = "state", "ledger", "account"
SHOWN = {STATE: "STATE", LEDGER: "ledger"}
Held = Mapping[str, Sequence[Entry]]


@dataclass(frozen=True, slots=True)
class Origins:
    """Where the entries of the merged ledger come from, by stream.

    Attributes:
        state: Those of the STATE that was given.
        ledger: All that the durable ledger holds: also what STATE holds or proves.
    """

    state: Held = field(default_factory=dict)
    ledger: Held = field(default_factory=dict)

    def of(self, stream: str, entry: Entry) -> tuple[str, ...]:
        """Return which of the two knew an entry of a stream before they were merged."""
        found = ((STATE, self.state), (LEDGER, self.ledger))
        return tuple(name for name, held in found if _holds(held, stream, entry.id, entry.window))

    def note(self, stream: str, step: Step) -> str:
        """Return where the job of a step is known from if STATE does not hold it, for people; else an empty text."""
        if step.action not in {Action.ATTACH, Action.FIND} or _holds(self.state, stream, step.job, step.window):
            return ""
        if _holds(self.ledger, stream, step.job, step.window):
            return "known from the ledger only"
        return "found at the provider: of the same request (job_reuse_seconds)" if step.job else ""


def _holds(held: Held, stream: str, job_id: str | None, window: Window | None) -> bool:
    """Return whether a job is held for any stream, since streams share jobs; a lost reply has no id, only a window."""
    if job_id:
        return any(entry.id == job_id for entries in held.values() for entry in entries)
    return any(entry.id is None and entry.window == window for entry in held.get(stream, ()))


def take_over_ledger(tap: TapExports) -> Origins:
    """Take over into the STATE of this process what only the durable ledger holds, as a run does; writes nothing.

    Raises:
        LedgerError: The durable ledger cannot be read.
        StateError: STATE is malformed.
    """
    given = {name: StreamState.detached(name, each).entries for name, each in bookmarks(tap.state).items()}
    held = look_into_ledger(tap, lambda: tap.state.setdefault("bookmarks", {}), selected(tap), tap.config_jsonschema)
    return Origins(given, held)


def shown(origins: Sequence[str]) -> str:
    """Return origins as tables show them."""
    return ", ".join(SHOWN[each] for each in origins)
