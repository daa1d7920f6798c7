"""Streams of providers that truncate instants to seconds, delete jobs after a while, or define no columns."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar, Protocol

from tap_exports.engine.api import Delivers
from tap_exports.engine.clock import to_text
from tap_exports.engine.decode import Layout
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.ledger.seconds import WholeSeconds
from tap_exports.engine.model import Column, Job, Request
from tap_exports.engine.read.samples import SamplingReader, sample_columns
from tap_exports.singer.streams.kinds import ExportStream
from tap_exports.singer.streams.stream import EventStream, Run

LOGGER = logging.getLogger("tap-exports")


class KeptJobsStream(EventStream):
    """A stream of a provider that deletes jobs after a while, also those of others that nobody has read yet.

    Attributes:
        retention: How long the provider keeps the listed jobs, or None for no limit.
    """

    retention: ClassVar[timedelta | None] = None

    @property
    def lists_jobs(self) -> bool:
        """Return whether the stream reads jobs of others, which the provider may delete before they are read."""
        return True

    def make_run(self) -> Run:
        """Return the run; log a warning if the bookmark is older than `retention`."""
        bookmark, now = self.ledger.instant, self.time.now()
        if self.lists_jobs and self.retention and bookmark and now - bookmark > self.retention:
            hours = self.retention.total_seconds() / 3600
            LOGGER.warning(
                "%s: the bookmark %s is older than the %.0f hours for which the provider keeps jobs: jobs made in "
                "between may have vanished unread; run more often",
                self.name,
                to_text(bookmark),
                hours,
            )
        return super().make_run()


class WholeSecondStream(KeptJobsStream):
    """A stream whose instants are whole seconds."""

    @property
    def overlaps(self) -> bool:
        """Return whether windows end less than a second before now, so that the last second must be read again."""
        return bool(self.config["settling_seconds"] < 1)

    def make_ledger(self) -> StreamState:
        """Return a state whose bookmarks are whole seconds."""
        return WholeSeconds(self.name, self.stream_state, self.tap.changes, overlaps=self.overlaps)


class Samples(Delivers, Protocol):
    """An api that finds completed jobs like a request."""

    def samples(self, request: Request) -> Iterable[Job]:
        """Yield a few completed jobs that resemble a request, the best one first; creates nothing."""


class SampledStream(ExportStream):
    """Rows of export files without defined columns: these are sampled from a completed export, if there is one.

    Attributes:
        instants: Columns that may hold seconds since 1970, converted to date-time.
    """

    instants: ClassVar[frozenset[str]] = frozenset()
    reader_class = SamplingReader
    api: Samples

    @property
    def mended(self) -> frozenset[str]:
        """Return the `instants` to convert: those whose type the entry's `schema` does not set."""
        return self.instants - frozenset(self.entry.get("schema", {}))

    def columns_of_provider(self) -> dict[str, Column]:
        """Return the columns of a completed export, sampled; none if there is no such export."""
        request = Request(self.provider, self.name, self.params())
        layout = replace(self.sampled, instants=self.mended)
        return sample_columns(self.reader(), self.api.samples(request), layout)

    def layout(self, skip_rows: int = 0) -> Layout:
        """Return how the next file is to be read."""
        return replace(super().layout(skip_rows), instants=self.mended)


class SampledExportStream(WholeSecondStream, SampledStream):
    """Such a stream whose instants are whole seconds."""

    @property
    def lists_jobs(self) -> bool:
        """Return whether the stream reads jobs that others made."""
        return self.collects
