"""The stream class under all streams: runs an engine generator and turns its events into messages."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from singer_sdk import Stream
from singer_sdk.helpers._catalog import get_selected_schema
from singer_sdk.singerlib.messages import SchemaMessage

from tap_exports.engine.convert.executors import executor_setting
from tap_exports.engine.decode import Layout
from tap_exports.engine.ledger import StreamState
from tap_exports.engine.model import (
    EXTRA,
    ROW,
    Checkpoint,
    Column,
    Contract,
    Event,
    NewColumns,
    Rejected,
    Row,
    Rows,
    Unfinished,
)
from tap_exports.errors import ConfigError, StopError, TapError
from tap_exports.singer.columns import Schema, to_columns, to_schema
from tap_exports.singer.messages.batch_settings import batch_settings
from tap_exports.singer.messages.emitter import Emitter
from tap_exports.singer.progress import Bar, Silent, progress

if TYPE_CHECKING:
    from singer_sdk.helpers.types import Context
    from singer_sdk.singerlib import SelectionMask
    from singer_sdk.singerlib.catalog import Catalog

    from tap_exports.singer.messages.batches import Batches
    from tap_exports.singer.tap import BaseTap

CONNECTION_TEST = 1
TOP_LEVEL = 2  # the length of a top-level property's breadcrumb


class Run(Protocol):
    """What the engine runs for a stream."""

    def start(self) -> None:
        """Begin what can run ahead of the stream's turn."""

    def events(self) -> Iterator[Event]:
        """Yield what is to be written, in order."""


class EventStream(Stream):
    """A stream whose rows come as events of the engine.

    Attributes:
        lineage: Lineage columns that its rows carry.
        activates: Whether a full-table read replaces what earlier reads left at the target.
        free_texts: Fields with words of the provider's own, which may quote a key or an URL that it signed.
    """

    lineage: Sequence[str] = ()
    activates = True
    free_texts: frozenset[str] = frozenset()
    _tap: BaseTap

    def __init__(self, tap: BaseTap, name: str | None = None) -> None:
        """Leave the columns to the first look at the schema."""
        super().__init__(tap, schema=None, name=name)
        self._run: Run | None = None
        self._columns: dict[str, Column] | None = None
        self._discovery_error: TapError | None = None
        self.failed_start: TapError | None = None
        self._finished = True
        self._bar: Bar = Silent()
        self._counts = {"rows": 0, "rejects": 0, "bytes": 0}
        self._batch_settings = batch_settings(tap.config)
        self._executor = executor_setting(tap.config["executor"])
        self._parts: Batches | None = None
        self._found: tuple[dict[str, Column], SelectionMask, tuple[frozenset[str], frozenset[str]]] | None = None

    @property
    def label(self) -> str:
        """Return the name that the configuration gives to the stream."""
        return self.name

    @property
    def tap(self) -> BaseTap:
        """Return the tap, for what its streams share."""
        return self._tap

    # What a concrete stream gives

    def discover_columns(self) -> dict[str, Column]:
        """Return the data columns, from the provider where it must be asked.

        Raises:
            TapError: The provider could not be asked.
        """
        raise NotImplementedError

    def make_run(self) -> Run:
        """Return the engine's run of this stream."""
        raise NotImplementedError

    def check_connection(self) -> None:
        """Make one free request, for `--test`: nothing is created."""

    @property
    def aliases(self) -> Mapping[str, str]:
        """Return the names in files that stand for other property names."""
        return {}

    # Schema

    @property
    def columns(self) -> dict[str, Column]:
        """Return the data columns known so far; the catalog's where one was given."""
        if self._columns is None:
            entry = self._catalog_entry()
            self._columns = to_columns(entry) if entry else self._discovered()
        return self._columns

    def _discovered(self) -> dict[str, Column]:
        try:
            return self.discover_columns()
        except TapError as error:
            self._discovery_error = error
            return {}

    def _catalog_entry(self) -> Schema | None:
        if self._input_schema is not None:
            return self._input_schema
        catalog: Catalog | None = self._tap.input_catalog
        entry = catalog.get_stream(self.name) if catalog else None
        return entry.schema.to_dict() if entry else None

    @property
    def schema(self) -> Schema:
        """Return the schema: data columns, then lineage."""
        return to_schema(self.columns.values(), self.lineage, self.primary_keys)

    @property
    def discovery_error(self) -> TapError | None:
        """Return why the columns could not be discovered, or None."""
        _ = self.columns
        return self._discovery_error

    def apply_catalog(self, catalog: Catalog) -> None:
        """Take selection and schema from a catalog; its keys must be among the columns."""
        super().apply_catalog(catalog)
        if self._input_schema is None:  # not in the catalog, so not selected: no provider is asked about it
            return
        known = {*self.columns, *self.lineage}
        if missing := [key for key in self.primary_keys if key not in known]:
            msg = f'catalog: {self.name}: key "{missing[0]}" is not among its columns; discover the catalog anew'
            raise ConfigError(msg)

    @property
    def selected_names(self) -> frozenset[str]:
        """Return the selected top-level properties."""
        return self._split()[0]

    def _split(self) -> tuple[frozenset[str], frozenset[str]]:
        """Return selected and deselected properties, found anew only where columns or selection changed."""
        columns, mask = self.columns, self.mask
        if self._found is None or self._found[0] is not columns or self._found[1] is not mask:
            names = frozenset(n for n in (*columns, *self.lineage) if mask.get(("properties", n), True))
            self._found = columns, mask, (names, frozenset(columns.keys() - names))
        return self._found[2]

    def layout(self, skip_rows: int = 0) -> Layout:
        """Return how the next file or page is to be read."""
        return Layout(
            columns=self.columns,
            deselected=self._split()[1],
            aliases=self.aliases,
            contract=Contract(self.config["schema_contract"]),
            skip_rows=skip_rows,
            optional=frozenset({self.replication_key} if self.replication_key else ()),
            numbered=ROW in self.lineage,
        )

    # State

    @property
    def ledger(self) -> StreamState:
        """Return the stream's bookmark and ledger over the live STATE.

        Raises:
            StateError: It cannot be read.
        """
        return StreamState(self.name, self.stream_state, self._tap.changes)

    def _write_state_message(self) -> None:
        """Write STATE through the tap, which leaves out empty bookmarks; the SDK may have changed this stream's."""
        self._tap.changes.add(self.name)
        self._tap.write_state()
        self.state_manager.is_flushed = True

    def get_replication_key_signpost(self, context: Context | None = None) -> None:  # noqa: ARG002 - the SDK's signature
        """Return None: bookmarks are moved by proof, not by the largest value."""
        return

    @property
    def emit_activate_version_messages(self) -> bool:
        """Return False: the SDK would send it before the rows; it is sent after them, once they are proven."""
        return False

    # Sync

    def run(self) -> Run:
        """Return the run, made and begun at the first call."""
        if self._run is None:
            self._run = self.make_run()
            if self._batch_settings and self.ABORT_AT_RECORD_COUNT is None:
                from tap_exports.singer.streams.converted import convert_elsewhere  # noqa: PLC0415 - RECORD messages do without it

                convert_elsewhere(self._run, self, self._batch_settings, self._executor)
            self._run.start()
        return self._run

    def _sync_records(
        self,
        context: Context | None = None,  # noqa: ARG002 - the SDK's signature
        *,
        write_messages: bool = True,  # noqa: ARG002 - the SDK's signature
    ) -> Generator[dict[str, Any], Any, Any]:
        began = monotonic()
        try:
            self._sync_events()
        except Exception as error:  # one stream that fails, for whatever reason, does not stop the others
            if self.ABORT_AT_RECORD_COUNT is not None:
                raise
            self._tap.fail(self, error)
        finally:
            self.logger.info(
                "%s: %d rows, %d rejects, %d bytes in %.1f s", self.name, *self._counts.values(), monotonic() - began
            )
        yield from ()

    def _sync_events(self) -> None:
        if error := self.discovery_error:
            raise error
        if self.ABORT_AT_RECORD_COUNT == CONNECTION_TEST:
            self.check_connection()
            return
        self._tap.start_runs()
        if self.failed_start:
            raise self.failed_start
        if self.replication_method == "FULL_TABLE" and self.activates:
            self._stream_version = self._initialized_at
        with progress(self.config["progress"], self.name) as self._bar:
            self._write_events()
        if self._stream_version is not None and self._finished and self.config["emit_activate_version_messages"]:
            self._write_activate_version_message(self._stream_version)

    @property
    def part_version(self) -> int | None:
        """Return the version of a full read where the rows of parts carry it, else None."""
        return self._stream_version if self.config["emit_activate_version_messages"] else None

    def get_batch_config(self, config: Mapping[str, Any]) -> None:
        """Return None: the SDK would make batches of single records; events go to parts here."""

    def _write_events(self) -> None:
        if self._batch_settings and self.ABORT_AT_RECORD_COUNT is None:
            from tap_exports.singer.messages.batches import Batches  # noqa: PLC0415 - as above

            self._parts = Batches(self._batch_settings, self, self._stream_version)
        with self._parts or nullcontext():
            for event in self._tap.journal.along(self.run().events()):
                self._handle(event)

    def _handle(self, event: Event) -> None:
        if isinstance(event, Rows):
            self._write_rows(event)
        elif isinstance(event, Checkpoint):
            (self._parts or self._tap).write_state()
        elif isinstance(event, NewColumns):
            self._evolve(event.columns)
        elif isinstance(event, Unfinished):
            self._finished = False
        elif isinstance(event, Rejected):
            self._counts["rejects"] += 1
            self._tap.rejects.add(self.name, event)
        else:
            self._counts["bytes"] += event.bytes
            self._tap.receipts.append(event)

    def _evolve(self, columns: Iterable[Column]) -> None:
        """Add columns to the schema and announce them before the first row that holds them."""
        self._columns = {**self.columns, **{c.name: c for c in columns}}
        self.logger.info("%s: new columns %s (schema_contract: evolve)", self.name, ", ".join(c.name for c in columns))
        if self._input_schema is not None:
            self._input_schema = self.schema
        selected = get_selected_schema(self.name, self.schema, self.mask)
        self._tap.mapper.register_raw_stream_schema(self.name, selected, self.primary_keys)
        self._stream_maps = None
        if self._parts:
            self._parts.evolve()
        self._write_schema_message()

    def _generate_schema_messages(self) -> Generator[SchemaMessage, None, None]:
        """Yield SCHEMA messages; a bookmark property that the schema does not hold is left out."""
        for message in super()._generate_schema_messages():
            known = message.schema.get("properties", {})
            message.bookmark_properties = [k for k in message.bookmark_properties or () if k in known] or None
            yield message

    # Rows

    def _write_rows(self, rows: Rows) -> None:
        limit = self.ABORT_AT_RECORD_COUNT
        room = None if limit is None else limit - self._counts["rows"]
        if room is not None and len(rows) > room:
            self._emit(Rows(rows.data[:room], rows.constants))
            self._counts["rows"] += room
            self._check_max_record_limit(self._counts["rows"])
        self._emit(rows)
        self._bar.update(len(rows))
        self._counts["rows"] += len(rows)

    def _emit(self, rows: Rows) -> None:
        if self._parts and self._parts.take(rows, self._stream_version):
            return
        if self.free_texts and isinstance(rows.data, list):
            rows = Rows([self._clean(row) for row in rows.data], rows.constants)
        if EXTRA in self.lineage:
            rows = Rows(rows.data, {EXTRA: None, **rows.constants})
        if self._parts:
            self._parts.writer.enter(rows)
        writer = self._parts.writer if self._parts else self._tap.writer
        Emitter(writer, self.name, self.selected_names, self._stream_version).emit(
            rows, self.stream_maps, self.schema if self.deselects_nested else None, self.mask
        )

    def _clean(self, row: Row) -> Row:
        said = {name: row[name] for name in self.free_texts if isinstance(row.get(name), str)}
        return {**row, **{name: self._tap.redactor.clean(text) for name, text in said.items()}}

    @cached_property
    def deselects_nested(self) -> bool:
        """Tell whether a property within an object is deselected, so that objects must be opened."""
        return any(len(breadcrumb) > TOP_LEVEL and not selected for breadcrumb, selected in self.mask.items())

    def get_records(self, context: Context | None) -> Iterable[dict[str, Any]]:
        """Refuse: rows of this tap travel in batches, see `_sync_records`."""
        del context
        msg = f"{self.name} has no single records"
        raise StopError(msg)
