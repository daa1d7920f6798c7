"""Which questions a provider has: those of its module, or of its declaration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tap_exports.operator.facts import declared
from tap_exports.operator.facts.asking import Question, facts_about
from tap_exports.providers.declared.streams import DeclaredRows
from tap_exports.singer.streams.stream import EventStream


def glance_of(stream: EventStream, config: Mapping[str, Any]) -> tuple[str, Mapping[str, Any] | None] | None:
    """Return path and parameters of a free request that shows the headers of replies; None where there is none."""
    if isinstance(stream, DeclaredRows):
        look = declared.glance(stream)
        return (look.path, look.params) if look else None
    facts = facts_about(stream.provider_name)
    path = facts.glance(config) if facts else None
    return (path, None) if path else None


def questions_of(stream: EventStream, config: Mapping[str, Any]) -> Iterator[Question]:
    """Yield what the documents of a stream's provider leave open."""
    if isinstance(stream, DeclaredRows):
        yield from declared.questions(stream)
    elif facts := facts_about(stream.provider_name):
        yield from facts.questions(config)
