"""Behaviours that were mended, put back: `make simulate MUTATE=…` has to find them, or the world sees too little."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from singer_sdk import Stream, Tap

from tap_exports.engine.jobs.absence import Absence
from tap_exports.engine.jobs.lifecycle import Lifecycle
from tap_exports.engine.model import FILE, JOB_ID, OPERATION_ID, ROW
from tap_exports.engine.read.proof import Proof
from tap_exports.providers.cension import streams as cension
from tap_exports.singer.streams.delivery import Delivery
from tap_exports.singer.streams.kinds import ExportStream
from tap_exports.singer.tap import LAST, BaseTap

MOVES = 8  # enough for Python to pack the dict anew, under the index of a loop over it


@dataclass(frozen=True)
class Mutation:
    """A behaviour that was mended.

    Attributes:
        apply: Puts it back.
        finds: Kinds of findings, any of which shows it.
        story: Name of the told story that shows it.
    """

    apply: Callable[[pytest.MonkeyPatch], None]
    finds: frozenset[str]
    story: str


def _skip_streams(patch: pytest.MonkeyPatch) -> None:
    """Move streams to the end of the dict over which the SDK iterates, and count none of them."""

    def streams(tap: BaseTap) -> dict[str, Stream]:
        found: dict[str, Stream] = Tap.streams.__get__(tap)
        for name in LAST * MOVES if tap.is_running else ():
            found[name] = found.pop(name)
        return found

    patch.setattr(BaseTap, "streams", property(streams))
    patch.setattr(BaseTap, "account", lambda _tap: None)


def _key_by_job(patch: pytest.MonkeyPatch) -> None:
    """Take job, file and ordinal for the key of a row."""
    patch.setattr(ExportStream, "default_key", lambda _stream: (JOB_ID, FILE, ROW))
    patch.setattr(cension, "RUN_KEY", (OPERATION_ID, ROW))
    patch.setattr(cension, "FULL_KEY", (ROW,))


def _prove_by_silence(patch: pytest.MonkeyPatch) -> None:
    """Take a run without an error for one that read everything."""
    deliver = Delivery.deliver

    def delivered(self: Delivery, events: Any) -> None:  # noqa: ANN401 - of `deliver`
        deliver(self, events)
        self.is_whole = True

    patch.setattr(Delivery, "deliver", delivered)
    patch.setattr(Proof, "required", lambda _proof, _where: True)


def _lose_at_one_miss(patch: pytest.MonkeyPatch) -> None:
    """Take a job for lost that one poll does not find, and create another one, whatever it costs."""
    patch.setattr(Absence, "is_gone", lambda _absence, _now: True)
    patch.setattr(Lifecycle, "may_replace", True)


MUTATIONS = {
    "streams-skipped": Mutation(_skip_streams, frozenset({"lost"}), "13.1 the streams beside an export"),
    "key-by-job": Mutation(_key_by_job, frozenset({"rows twice"}), "13.3 a window is read again from another job"),
    "proof-by-silence": Mutation(
        _prove_by_silence, frozenset({"activated too little"}), "13.7 a section of an archive fails"
    ),
    "lost-at-one-miss": Mutation(
        _lose_at_one_miss, frozenset({"twice", "over the cap"}), "13.8 one passing 404 of a paid job"
    ),
}


def put_back(name: str) -> None:
    """Put a behaviour back, for the rest of the process."""
    MUTATIONS[name].apply(pytest.MonkeyPatch())
