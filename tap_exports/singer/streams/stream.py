"""The base class of all streams: its STATE, and its sync, which writes the events of an engine run."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from tap_exports.engine.api import HasAccount, TellsTime, creation_costs
from tap_exports.engine.clock import Clock
from tap_exports.engine.convert.executors import refuse_secrets
from tap_exports.engine.ledger import Basis, StreamState, basis_of
from tap_exports.engine.ledger.partitions import accounts_in
from tap_exports.engine.model import Event, Progress, Request, Step
from tap_exports.engine.model.accounts import with_account
from tap_exports.engine.run import mismatch
from tap_exports.engine.thrift import Due
from tap_exports.errors import StopError
from tap_exports.singer import logs
from tap_exports.singer.messages.batch_settings import batch_settings
from tap_exports.singer.options import EXECUTOR
from tap_exports.singer.streams.catalog import CatalogStream
from tap_exports.singer.streams.delivery import Counts, Delivery
from tap_exports.singer.streams.services import Services

if TYPE_CHECKING:
    from singer_sdk.helpers.types import Context

    from tap_exports.singer.messages.batches import Batches
    from tap_exports.singer.streams.converted import Converted

CONNECTION_TEST = 1


class Run(Protocol):
    """One run of a stream by the engine."""

    def start(self) -> None:
        """Start work that can run before the stream is read, such as creating jobs; call once, before `events`."""

    def plan(self) -> Iterator[Step]:
        """Yield what the run is going to do; nothing is created, and no STATE is written.

        A run that is planned is not started: the live STATE may hold jobs that exist already.
        """

    def events(self) -> Iterator[Event]:
        """Yield the events to write, in order; each is written before the next is requested."""


class EventStream(CatalogStream):
    """A stream whose rows come as events of the engine.

    Attributes:
        activates: Whether a full-table read ends with ACTIVATE_VERSION, which replaces earlier rows at the target.
        reported: Rows that were written before the stream's turn.
    """

    activates = True
    reported = 0

    def __init__(self, tap: Services, name: str | None = None) -> None:
        """Parse the settings of batch mode; no run is started.

        Raises:
            ConfigError: `batch_config` or `executor` is invalid.
        """
        super().__init__(tap, name)
        self._run: Run | None = None
        self._ledger: StreamState | None = None
        self.failed_start: Exception | None = None
        self.is_whole = False
        self.was_run = False
        self._basis: Basis = {}
        self.counts = Counts()
        self.seconds = 0.0
        self._batch_settings = batch_settings(tap.config)
        self._converted: Converted | None = None
        refuse_secrets(tap.executor, self._batch_settings.options if self._batch_settings else {})

    # To be overridden, beside `discover_columns`

    def make_run(self) -> Run:
        """Return the engine's run of this stream."""
        raise NotImplementedError

    def orders(self) -> Sequence[Request]:
        """Return what the stream has the provider create, without windows; nothing where it creates no job."""
        return ()

    @property
    def remembers(self) -> Progress:
        """Return how the stream remembers what it has read."""
        return Progress.INSTANT if self.replication_key else Progress.NONE

    @property
    def has_free_call(self) -> bool:
        """Return whether `check_connection` asks for anything."""
        return True

    def check_connection(self) -> None:
        """Make one request for `--test` that is free of charge and creates nothing."""

    @property
    def provider_name(self) -> str:
        """Return whose stream it is: a declared provider's exports say it, else the name begins with it."""
        return str(getattr(self, "provider", self.name.partition("_")[0]))

    @property
    def asked(self) -> object:
        """Return the api that answers for the stream, or None for what the tap itself tells."""
        return getattr(self, "api", None)

    @property
    def time(self) -> Clock:
        """Return the clock by which windows end: the earlier of the provider's and this machine's."""
        return self.asked.time if isinstance(self.asked, TellsTime) else self.tap.clock

    @property
    def skew_seconds(self) -> float | None:
        """Return how far the provider's clock is ahead of this machine's."""
        return self.asked.time.skew_seconds if isinstance(self.asked, TellsTime) else None

    @property
    def sides(self) -> Sequence[EventStream]:
        """Return the streams of the accounts, or the stream itself where its provider's block has none."""
        return (self,)

    # State

    @property
    def ledger(self) -> StreamState:
        """Return the stream's bookmark and ledger over the live STATE.

        Raises:
            StateError: It cannot be read.
        """
        if self._ledger is None or not self._ledger.is_over(self.stream_state):
            self._ledger = self.make_ledger()
        return self._ledger.reading_all(enabled=self.reads_all).on(self._basis, self.replication_key)

    @property
    def client_name(self) -> str:
        """Return the name of the provider as its client knows it."""
        return self.name.partition("_")[0]

    def row_settings(self) -> Mapping[str, Any]:
        """Return the settings that decide which rows the stream has; STATE of others is not taken over in silence."""
        return {}

    def key_settings(self) -> Mapping[str, Any]:
        """Return what decides under which keys rows come when they are read again, where their place is the key."""
        return {}

    def settle_state(self) -> None:
        """Hold STATE against the settings that it was made with; call it before `run`. May make a free request.

        Raises:
            StateError: It was made with others, and `state_mismatch` is `stop`, or its bookmark is beyond sense.
        """
        if address := self.tap.addresses.get(self.client_name):
            account = self.asked.account if self.keeps_state and isinstance(self.asked, HasAccount) else None
            whose = {"account": account} if account else {}
            self._basis = basis_of({"api_url": address, **whose, **self.row_settings(), **self.key_settings()})
        self._settle_accounts()
        mismatch.settle(self.name, self.ledger, self.config["state_mismatch"], keeps_jobs=self.keeps_jobs)
        mismatch.check_bookmark(self.name, self.ledger, self.time.now())

    def _settle_accounts(self) -> None:
        """Refuse STATE that has the stream only with accounts where it has none now, and the other way round."""
        name, bookmarks = self.shared_name, self.tap.whole_state.get("bookmarks", {})
        is_before = bool(bookmarks.get(name)) if self.account is not None else False
        if self.ledger.is_blank and (is_before or self.account is None) and self._is_of_others(bookmarks, name):
            mismatch.settle_accounts(self.name, self.config["state_mismatch"], has=self.account is not None)

    def _is_of_others(self, bookmarks: Mapping[str, Any], name: str) -> bool:
        others = accounts_in(bookmarks, name)
        return bool(others) if self.account is None else not any(bookmarks[with_account(name, o)] for o in others)

    @property
    def keeps_jobs(self) -> bool:
        """Return whether open jobs in STATE cannot simply be created again."""
        return creation_costs(self.asked)

    @property
    def keeps_state(self) -> bool:
        """Return whether the stream has a bookmark or open jobs in STATE."""
        return self.replication_key is not None

    def make_ledger(self) -> StreamState:
        """Return the state of the stream's kind; see `ledger`."""
        return StreamState(self.name, self.stream_state, self.tap.changes)

    def _write_state_message(self) -> None:
        """Write STATE through the tap, which leaves out empty bookmarks; the SDK may have changed this stream's."""
        self.tap.changes.add(self.name)
        self.tap.write_state(Due.SOON)
        self.state_manager.is_flushed = True

    def get_replication_key_signpost(self, context: Context | None = None) -> None:  # noqa: ARG002 - the SDK's signature
        """Return None: the engine moves bookmarks once rows are proven, not by the largest value."""
        return

    @property
    def emit_activate_version_messages(self) -> bool:
        """Return False: the SDK would send the message before the rows; `_sync_events` sends it after them."""
        return False

    # Sync

    def run(self) -> Run:
        """Return the run; the first call creates and starts it."""
        if self._run is None:
            self._take_version()  # files may be converted before the stream's turn
            self._run = self.make_run()
            if self._batch_settings and self.ABORT_AT_RECORD_COUNT is None:
                from tap_exports.singer.streams.converted import (  # noqa: PLC0415 - RECORD messages do without it
                    converted,
                )

                self._converted = converted(self._run, self, self._batch_settings, lambda: self.part_version)
                self._run = self._converted.run if self._converted else self._run
            elif not self._batch_settings and self.config["executor"] != EXECUTOR:
                self.logger.info("%s: read by the tap itself: there is no batch_config", self.name)
            self._run.start()
        return self._run

    def _sync_records(
        self,
        context: Context | None = None,  # noqa: ARG002 - the SDK's signature
        *,
        write_messages: bool = True,  # noqa: ARG002 - the SDK's signature
    ) -> Generator[dict[str, Any], Any, Any]:
        began, counts = monotonic(), self.counts
        counts.rows = self.reported
        try:
            self._sync_events(counts)
        except Exception as error:  # no error of one stream may stop the others
            if self.ABORT_AT_RECORD_COUNT is not None:
                raise
            self.tap.fail(self.name, error)
        finally:
            if self._converted:
                self._converted.reader.release()
            self.was_run = True
            self.seconds = monotonic() - began
            brought = (counts.rows, counts.rejects, counts.bytes, self.seconds)
            about = {"stream": self.name, "rows": counts.rows, "rejects": counts.rejects}
            self.logger.info("%s: %d rows, %d rejects, %d bytes in %.1f s", self.name, *brought, extra=about)
            logs.measure_stream(self.name, counts.rows, self.seconds)
        yield from ()

    def _sync_events(self, counts: Counts) -> None:
        if error := self.discovery_error:
            raise error
        if self.ABORT_AT_RECORD_COUNT == CONNECTION_TEST:
            self.check_connection()
            return
        self.tap.start_runs()
        if self.failed_start:
            raise self.failed_start
        self._take_version()
        delivery = Delivery(self, self._stream_version, self._open_batches(), counts)
        delivery.deliver(self.run().events())
        self.ledger.take_over()
        self.is_whole = delivery.is_whole
        if self.front is self:
            self._activate(self._stream_version)

    def _take_version(self) -> None:
        if self.replication_method == "FULL_TABLE" and self.activates:
            self._stream_version = self.front._initialized_at  # noqa: SLF001 - of its own class

    def _activate(self, version: int | None) -> None:
        """Write ACTIVATE_VERSION if all rows of the version were proven to have come; else say that they were not."""
        if version is None or not self.config["emit_activate_version_messages"]:
            return
        if self.is_whole:
            self._write_activate_version_message(version)
        else:
            self.logger.warning("%s: not proven complete: no ACTIVATE_VERSION, rows of earlier reads stay", self.name)

    def _open_batches(self) -> Batches | None:
        if not self._batch_settings or self.ABORT_AT_RECORD_COUNT is not None:
            return None
        from tap_exports.singer.messages.batches import Batches  # noqa: PLC0415 - RECORD messages do without it

        return Batches(self._batch_settings, self, self._stream_version)

    @property
    def part_version(self) -> int | None:
        """Return the version of a full-table read if the rows of parts carry it, else None."""
        return self._stream_version if self.config["emit_activate_version_messages"] else None

    def get_batch_config(self, config: Mapping[str, Any]) -> None:
        """Return None, which disables the SDK's own batches: `Batches` writes them from events."""

    def get_records(self, context: Context | None) -> Iterable[dict[str, Any]]:
        """Raise: rows are delivered in batches, see `_sync_records`.

        Raises:
            StopError: Always.
        """
        del context
        msg = f"{self.name}: get_records() is not supported; rows are delivered in batches"
        raise StopError(msg)
