"""The base class of the tap: configuration, STATE, services that streams share, and the end of a run."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, ClassVar

import click
from singer_sdk import Stream, Tap
from singer_sdk.typing import DEFAULT_JSONSCHEMA_VALIDATOR

from tap_exports import settings
from tap_exports.engine import ledger
from tap_exports.engine.api import Polls
from tap_exports.engine.changes import Changes
from tap_exports.engine.clock import SystemClock
from tap_exports.engine.http import Client, Transport
from tap_exports.engine.jobs import Journal, Lifecycle, Statuses
from tap_exports.engine.ledger.durable import DurableLedger
from tap_exports.engine.read import prefetch
from tap_exports.engine.secrets import Redactor, install
from tap_exports.engine.spool import Spool
from tap_exports.engine.workers import Workers
from tap_exports.errors import AuthError, ConfigError, LedgerError, StopError, TapError, Terminated, UnreachableError
from tap_exports.singer import inputs
from tap_exports.singer.config import describe, plain
from tap_exports.singer.messages.held_state import Covered
from tap_exports.singer.messages.writer import MessageWriter, StateLines
from tap_exports.singer.streams.durable import open_ledger
from tap_exports.singer.streams.kinds import EntryStream
from tap_exports.singer.streams.reports import Reports
from tap_exports.singer.streams.stream import EventStream
from tap_exports.singer.streams.verdicts import verdicts

if TYPE_CHECKING:
    from types import FrameType

LOGGER = logging.getLogger("tap-exports")
LAST = ("export_jobs", "export_rejects")
SETTLE_SECONDS = 3
WHOLE_TEST = "all"  # the SDK's value of `--test` without one


class BaseTap(Tap):
    """The tap without its providers; implements `Services` for the streams."""

    message_writer_class = MessageWriter
    dynamic_catalog = True
    redactor: ClassVar[Redactor] = Redactor()
    stop_redacting: ClassVar[Callable[[], None] | None] = None
    current: ClassVar[BaseTap | None] = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - handed through to the SDK
        """Check STATE and configuration; make the instance available as `current` for `command`.

        Raises:
            ConfigError: The configuration is invalid.
            StateError: STATE is malformed or of a newer version.
        """
        BaseTap.current = self
        self.failures: dict[str, str] = {}
        self.reports = Reports(self, self.redactor)
        self.addresses: dict[str, str] = {}
        self.clock = SystemClock()
        self.changes = Changes()
        self.durable = DurableLedger(lambda: self.state.setdefault("bookmarks", {}), self.changes)
        self.journal = Journal(self.durable)
        self._started = False
        self._refusal: LedgerError | None = None
        self._in_order: dict[str, Stream] = {}
        if kwargs.get("parse_env_config"):
            self._check_environment()
        ledger.check_state(kwargs.get("state"))  # before discovery makes any request
        super().__init__(*args, **kwargs)
        self._state_writer = StateLines(self.writer, self.changes)

    # What the command is given

    @classmethod
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> Any:  # noqa: ANN401 - the SDK's own type
        """Read the configuration files.

        Raises:
            ConfigError: One cannot be read; names it.
        """
        given = super().cb_config(ctx, param, tuple(path for path in value if path == "ENV"))
        for path in value:
            given.config |= {} if path == "ENV" else inputs.read_file(path, "--config")
        return given

    @classmethod
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        """Print a verdict per provider; with `--test=schema` the schemas, as the SDK does."""
        if value != WHOLE_TEST:
            super().cb_test(ctx, param, value)
            return
        given = ctx.params["config"]
        tap = cls(config=given.config, parse_env_config=given.parse_env, setup_mapper=False)
        streams = [s for s in tap.streams.values() if isinstance(s, EventStream) and s.name not in LAST]
        for verdict in verdicts(streams, tap.fail):
            click.echo(verdict)
        ctx.exit()

    @classmethod
    def invoke(cls, *, state: IO[str] | None = None, catalog: IO[str] | None = None, **options: Any) -> None:  # noqa: ANN401 - handed on
        """Sync, with STATE and catalog from files in any form whose meaning is clear, and account for every stream.

        Raises:
            ConfigError: The catalog cannot be read.
            StateError: The STATE cannot be read.
        """
        if state is not None:
            state = io.StringIO(json.dumps(inputs.read_state(_bytes(state), state.name)))
        if catalog is not None:
            catalog = io.StringIO(json.dumps(inputs.read_object(_bytes(catalog), catalog.name, "--catalog")))
        super().invoke(state=state, catalog=catalog, **options)
        if BaseTap.current:
            BaseTap.current.account()

    # Configuration

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Check the configuration; messages never contain values, which may be secrets.

        Raises:
            ConfigError: The configuration is invalid; the message has one line for each of the first two errors.
        """
        schema = self.config_jsonschema
        self.append_builtin_config(schema)
        for secret in settings.secret_values(self._config, schema):
            self.redactor.add(secret)
        if BaseTap.stop_redacting is None:
            BaseTap.stop_redacting = install(self.redactor)
        self._config = plain(self._config, schema)
        errors = [*settings.unknown_keys(self._config, schema)]
        broken = DEFAULT_JSONSCHEMA_VALIDATOR(schema).iter_errors(self._config)
        errors += [describe(e) for e in broken if e.validator != "additionalProperties"]
        if errors and raise_errors:
            raise ConfigError("\n".join(dict.fromkeys(errors[:2])))
        if not errors:
            self.check_config()
        return errors

    def _check_environment(self) -> None:
        """Refuse variables that the SDK would stumble over without naming them."""
        broken = list(inputs.broken_variables(self.config_jsonschema, self._env_var_prefix, os.environ))
        if broken:
            raise ConfigError("\n".join(broken[:2]))

    def check_config(self) -> None:
        """Check the rules that the JSON Schema cannot express.

        Raises:
            ConfigError: A rule is broken.
        """
        self.date_range = settings.date_range(self._config)
        if self.date_range.start and self.date_range.start > self.clock.now():
            LOGGER.warning("config: start_date %s is in the future: nothing is due yet", self._config["start_date"])

    # STATE

    def load_state(self, state: dict[str, Any]) -> None:
        """Load the incoming STATE.

        Raises:
            StateError: It is malformed or written by a newer version; nothing is loaded.
        """
        ledger.check_state(state)
        super().load_state(state)

    def write_state(self) -> None:
        """Write STATE if it changed; streams with an empty bookmark are left out."""
        self.state_writer.write_state(self.state)

    @property
    def writer(self) -> MessageWriter:
        """Return the writer of all messages."""
        writer = self.message_writer
        if not isinstance(writer, MessageWriter):
            msg = f"a {type(writer).__name__} cannot write batches of rows"
            raise TypeError(msg)
        return writer

    @property
    def streams(self) -> dict[str, Stream]:
        """Return the streams by name; `export_jobs` and `export_rejects` are last, as they report on the others."""
        found = super().streams
        if len(self._in_order) != len(found):  # the SDK iterates over what is returned, so it is made once
            self._in_order = dict(sorted(found.items(), key=lambda item: item[0] in LAST))
        return self._in_order

    def setup_mapper(self) -> None:
        """Make the SDK's stream maps once the streams have completed their entries of the catalog."""
        _ = self.streams
        super().setup_mapper()

    # Runs

    @cached_property
    def spool(self) -> Spool:
        """Return the spool that holds downloaded files until they are read."""
        return Spool(self.config.get("spool_dir"), max_mb=self.config["spool_max_mb"])

    @cached_property
    def covered(self) -> Covered:
        """Return the copy of STATE that covers announced parts only; for batch mode."""
        return Covered(lambda: self.state.setdefault("bookmarks", {}), self.changes)

    @cached_property
    def prefetchers(self) -> Workers[prefetch.Files]:
        """Return the threads that prefetch files, shared by all streams."""
        return prefetch.workers()

    @cached_property
    def transport(self) -> Transport:
        """Return the HTTP transport for signed URLs; it sends no credential."""
        return Transport(settings.http_settings(self.config))

    def client(self, provider: str, block: Mapping[str, Any], api_url: str, **options: Any) -> Client:  # noqa: ANN401 - of `Client`
        """Return the HTTP client of a provider.

        Args:
            provider: Its name.
            block: Its settings.
            api_url: The default of the setting `api_url`.
            options: Further keyword arguments of `Client`.
        """
        url = block.get("api_url") or api_url
        client = Client(provider, url, settings=settings.http_settings(self.config), clock=self.clock, **options)
        self.addresses[provider] = client.address
        return client

    def lifecycle(self, api: Polls, block: Mapping[str, Any]) -> Lifecycle:
        """Return a new lifecycle, which creates and awaits the jobs of a provider."""
        statuses = Statuses.configured(block.get("statuses"))
        return Lifecycle(api, self.journal, self.clock, settings.job_settings(self.config), statuses)

    def start_runs(self) -> None:
        """Start the runs of all selected streams, so that their jobs run in parallel; later calls do nothing.

        Raises:
            LedgerError: The durable ledger cannot be used, so that nothing is started.
        """
        if self._refusal:
            raise self._refusal
        if self._started:
            return
        selected = [s for s in self.streams.values() if isinstance(s, EventStream) and s.selected]
        self._start_all(selected, EventStream.settle_state)  # nothing is taken over into STATE that is not settled
        try:
            open_ledger(self, self.durable, selected, self.config_jsonschema)
        except LedgerError as error:
            self._refusal = error
            raise
        self._started = True
        self._start_all(selected, EventStream.run)

    def _start_all(self, streams: Iterable[EventStream], begin: Callable[[EventStream], object]) -> None:
        for stream in streams:
            if not stream.discovery_error and not stream.failed_start:
                self._start(stream, begin)

    def _start(self, stream: EventStream, begin: Callable[[EventStream], object]) -> None:
        try:
            begin(stream)
        except Exception as error:  # noqa: BLE001 - whatever it is, it fails this stream, at its turn
            stream.failed_start = error

    def fail(self, stream: str, error: Exception) -> None:
        """Log a stream's error, once if it is that of a whole provider, and record it; other streams go on."""
        LOGGER.debug("%s failed", stream, exc_info=error)
        message = explain(error)
        everywhere = isinstance(error, (AuthError, LedgerError, UnreachableError))
        if not everywhere or message not in self.failures.values():
            where = "" if everywhere or stream in message else f"{stream}: "
            LOGGER.error("%s%s", where, self.redactor.clean(message))
        self.failures[stream] = message

    def account(self) -> None:
        """Count each selected stream that was not run as failed, and name those that the configuration lacks."""
        for stream in self.streams.values():
            if isinstance(stream, EventStream) and stream.selected and not stream.was_run:
                self.fail(stream.name, StopError(f"{stream.name}: it is selected and was not run"))
        for entry in (self.input_catalog or {}).values():
            name = entry.tap_stream_id
            if name not in self.streams and entry.metadata.root.selected:
                LOGGER.warning("%s: not run: the catalog selects it, but the configuration does not have it", name)

    def end(self) -> None:
        """Stop the workers, write the last STATE and remove the spool.

        Waits up to `SETTLE_SECONDS` for replies to creations in flight, so that STATE holds the ids of their jobs. A
        closed pipe or a second signal is ignored.
        """
        self.clock.stop.set()
        with contextlib.suppress(Terminated, OSError, AttributeError):
            self.writer.resume()
            self.journal.end()
            with contextlib.suppress(LedgerError):
                for _ in self.journal.settle(SETTLE_SECONDS):
                    pass
            if self._started:
                for stream in self.state.get("bookmarks", {}):
                    self.changes.add(stream)  # serialise every bookmark again for the last STATE
                self.write_state()
        with contextlib.suppress(Terminated, LedgerError, OSError):
            self.durable.close()
        if "spool" in self.__dict__:
            self.spool.close()

    def _setup_signal_handlers(self) -> None:
        super()._setup_signal_handlers()
        in_main = threading.current_thread() is threading.main_thread()  # only there signals may be set
        if in_main and hasattr(signal, "SIGPIPE"):  # a closed pipe raises BrokenPipeError at the write instead
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        """End the run at a safe point; `command` writes the last STATE."""
        del frame
        self.writer.interrupt(signum)

    def run_discovery(self) -> str:
        """Print the catalog; a stream that cannot be discovered has the columns that are known without its provider.

        Raises:
            TapError: Not one of the configured exports was found: no provider answers, or every key is refused.
        """
        streams = [stream for stream in self.streams.values() if isinstance(stream, EventStream)]
        asked = [stream.discovery_error for stream in streams if isinstance(stream, EntryStream)]
        if asked and all(isinstance(error, (AuthError, UnreachableError)) for error in asked) and asked[0]:
            raise asked[0]
        for stream in streams:
            if error := stream.discovery_error:
                LOGGER.error("%s: not discovered: %s", stream.name, self.redactor.clean(explain(error)))
        return super().run_discovery()


def _bytes(opened: IO[str]) -> bytes:
    """Return what an opened file holds before any decoding."""
    raw: bytes = opened.buffer.read()  # type: ignore[attr-defined] # click opens files, and stdin, as text over bytes
    return raw


def explain(error: Exception) -> str:
    """Return the message that users see for any exception."""
    if isinstance(error, TapError):
        return error.message
    if isinstance(error, FileNotFoundError):
        return f"no such file: {error.filename or error}"
    if hasattr(error, "lineno"):  # files were read before, so this is of the SDK's look at the environment and .env
        return f"a setting in the environment or in .env is not JSON: line {error.lineno}"
    if type(error).__module__.startswith("singer_sdk"):
        return f"{type(error).__name__}: {error}"
    return f"internal error, please report it with LOGLEVEL=DEBUG: {type(error).__name__}: {error}"
