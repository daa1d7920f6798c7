"""The base class of the tap: configuration, STATE, services that streams share, and the end of a run."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, cast

import click
from singer_sdk import Stream
from singer_sdk.typing import DEFAULT_JSONSCHEMA_VALIDATOR

from tap_exports import settings
from tap_exports.engine import ledger
from tap_exports.engine.activity import Activity
from tap_exports.engine.api import Polls
from tap_exports.engine.changes import Changes
from tap_exports.engine.clock import SystemClock
from tap_exports.engine.convert.executors import Executor, executor_of
from tap_exports.engine.http import Client, Outage, Transport
from tap_exports.engine.jobs import Journal, Lifecycle, Poller, Statuses
from tap_exports.engine.ledger.durable import DurableLedger
from tap_exports.engine.ledger.partitions import unfolded
from tap_exports.engine.read import prefetch
from tap_exports.engine.secrets import Redactor, install
from tap_exports.engine.spool import Spool
from tap_exports.engine.thrift import Due, Thrift
from tap_exports.engine.workers import Workers
from tap_exports.errors import (
    AuthError,
    ConfigError,
    ExecutorError,
    LedgerError,
    ProviderDownError,
    StopError,
    TapError,
    Terminated,
    UnreachableError,
)
from tap_exports.report import RunReport
from tap_exports.singer import accounts, inputs, logs
from tap_exports.singer.config import describe, is_of_type, plain
from tap_exports.singer.given import GivenTap
from tap_exports.singer.messages.held_state import Covered
from tap_exports.singer.messages.writer import MessageWriter, StateLines
from tap_exports.singer.options import EXECUTOR
from tap_exports.singer.streams.beginning import START, note_accounts, note_start
from tap_exports.singer.streams.durable import open_ledger
from tap_exports.singer.streams.kinds import EntryStream
from tap_exports.singer.streams.reports import Reports
from tap_exports.singer.streams.stream import EventStream
from tap_exports.singer.streams.summary import summarised
from tap_exports.singer.streams.verdicts import verdicts

if TYPE_CHECKING:
    from types import FrameType

LOGGER = logging.getLogger("tap-exports")
LAST = ("export_jobs", "export_rejects")
SETTLE_SECONDS = 3
WHOLE_TEST = "all"  # the SDK's value of `--test` without one
PROVIDER_WIDE = (AuthError, ExecutorError, LedgerError, ProviderDownError, UnreachableError)


class BaseTap(GivenTap):
    """The tap without its providers; implements `Services` for the streams."""

    message_writer_class = MessageWriter
    dynamic_catalog = True
    redactor: ClassVar[Redactor] = Redactor()
    stop_redacting: ClassVar[Callable[[], None] | None] = None
    current: ClassVar[BaseTap | None] = None
    unusable: Mapping[str, StopError] = {}
    """Why configured providers of other packages have no streams, by name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - handed through to the SDK
        """Check STATE and configuration; make the instance available as `current` for `command`.

        Raises:
            ConfigError: The configuration is invalid.
            StateError: STATE is malformed or of a newer version.
        """
        GivenTap.current = BaseTap.current = self
        logs.be_quiet()
        self.failures: dict[str, str] = {}
        self.reports = Reports(self, self.redactor)
        self.addresses: dict[str, str] = {}
        self.clock = SystemClock()
        self.activity = Activity(self.clock)
        self._outages: dict[str, Outage] = {}
        self.changes = Changes()
        self.durable = DurableLedger(lambda: self.state.setdefault("bookmarks", {}), self.changes)
        self.thrift = Thrift()
        self.journal = Journal(self.durable, self.thrift)
        self.poller = Poller(self.clock)
        self._started = False
        self._refusal: LedgerError | None = None
        self._in_order: dict[str, Stream] = {}
        self._sides: dict[str, Stream] = {}
        if kwargs.get("parse_env_config"):
            self._check_environment()
        state = kwargs.get("state")
        ledger.check_state(unfolded(state) if isinstance(state, Mapping) else state)  # before discovery asks anybody
        try:
            super().__init__(*args, **kwargs)
        except ValueError:  # of a variable in `.env`, which the SDK has put into the environment by now
            self._check_environment("in .env")
            raise
        self._state_writer = StateLines(self.writer, self.changes, self.thrift)

    # What the command is given

    @classmethod
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        """Print a verdict per provider; with `--test=schema` the schemas, as the SDK does."""
        if value != WHOLE_TEST:
            super().cb_test(ctx, param, value)
            return
        given = ctx.params["config"]
        tap = cls(config=given.config, parse_env_config=given.parse_env, setup_mapper=False)
        streams = [s for s in tap.by_name.values() if isinstance(s, EventStream) and s.name not in LAST]
        for verdict in verdicts(streams, tap.fail):
            click.echo(verdict)
        for name, error in tap.unusable.items():
            click.echo(error.message)
            tap.failures[name] = error.message
        ctx.exit()

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
        errors += [describe(e) for e in broken if e.validator != "additionalProperties" and not is_of_type(e)]
        if errors and raise_errors:
            raise ConfigError("\n".join(dict.fromkeys(errors[:2])))
        if not errors:
            self.check_config()
        return errors

    def _check_environment(self, where: str = "in the environment") -> None:
        """Refuse variables that the SDK would stumble over without naming them."""
        broken = list(inputs.broken_variables(self.config_jsonschema, self._env_var_prefix, os.environ, where))
        if broken:
            raise ConfigError("\n".join(broken[:2]))

    def check_config(self) -> None:
        """Check the rules that the JSON Schema cannot express.

        Raises:
            ConfigError: A rule is broken.
        """
        accounts.check(self._config, self.config_jsonschema)
        self.date_range = settings.date_range(self._config)
        if self.date_range.start and self.date_range.start > self.clock.now():
            LOGGER.warning("config: start_date %s is in the future: nothing is due yet", self._config["start_date"])

    # STATE

    def load_state(self, state: dict[str, Any]) -> None:
        """Load the incoming STATE; what the SDK reads from a file has a `Decimal` for each float.

        Raises:
            StateError: It is malformed or written by a newer version; nothing is loaded.
        """
        state = unfolded(state)
        ledger.check_state(state)
        state = plain(state, {})
        super().load_state(state)
        if START in state:  # the SDK takes bookmarks only
            self.whole_state[START] = state[START]

    @property
    def whole_state(self) -> dict[str, Any]:
        """Return the live STATE with what stands beside the bookmarks."""
        return cast("dict[str, Any]", self.state)

    def write_state(self, due: Due = Due.NOW) -> None:
        """Write STATE if it changed, or hold it back; streams with an empty bookmark are left out."""
        if self.thrift.allows(due):
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

    @property
    def by_name(self) -> dict[str, Stream]:
        """Return the streams by the names within the tap: those of each account, not what they share."""
        if not self._sides:
            every = self.streams.values()
            sides = [side for each in every for side in (each.sides if isinstance(each, EventStream) else (each,))]
            self._sides = {side.name: side for side in sides}
        return self._sides

    @property
    def of_account(self) -> None:
        """Return None: what sees the tap itself belongs to no account."""

    @property
    def has_accounts(self) -> bool:
        """Return whether any provider's block has `accounts`."""
        return accounts.has_accounts(self.config, self.config_jsonschema["properties"])

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
    def executor(self) -> Executor:
        """Return what converts files in batch mode; it connects to nothing before the first stream that needs it.

        Raises:
            ConfigError: The setting has no meaning, or names what is not installed.
        """
        return executor_of(self.config["executor"], settings.executor_bounds(self.config))

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
        return self.open_client(provider, block, api_url, self.config, **options)

    def open_client(
        self,
        name: str,
        block: Mapping[str, Any],
        api_url: str,
        config: Mapping[str, Any],
        **options: Any,  # noqa: ANN401 - of `Client`
    ) -> Client:
        """Return an HTTP client.

        Args:
            name: Stands in messages; what has one name is down together.
            block: The provider's settings.
            api_url: The default of the setting `api_url`.
            config: The settings of the run.
            options: Further keyword arguments of `Client`.
        """
        options |= {"activity": self.activity, "outage": self._outages.setdefault(name, Outage(name, self.clock))}
        http = settings.http_settings(config)
        client = Client(name, block.get("api_url") or api_url, settings=http, clock=self.clock, **options)
        self.addresses[name] = client.address
        return client

    def lifecycle(self, api: Polls, block: Mapping[str, Any], most_jobs: int | None = None) -> Lifecycle:
        """Return a new lifecycle, which creates and awaits the jobs of a provider."""
        return self.open_lifecycle(api, block, self.config, most_jobs)

    def open_lifecycle(
        self,
        api: Polls,
        block: Mapping[str, Any],
        config: Mapping[str, Any],
        most_jobs: int | None,
        workers: Workers[None] | None = None,
    ) -> Lifecycle:
        """Return a new lifecycle; `config` has the settings of the run, `workers` are shared with other accounts."""
        statuses, jobs = Statuses.configured(block.get("statuses")), settings.job_settings(config)
        jobs = replace(jobs, max_concurrent_jobs=min(jobs.max_concurrent_jobs, most_jobs or jobs.max_concurrent_jobs))
        return Lifecycle(api, self.journal, self.clock, jobs, statuses, self.activity, self.poller, workers)

    @property
    def is_running(self) -> bool:
        """Return whether the runs of the streams have begun."""
        return self._started

    @property
    def selected(self) -> list[EventStream]:
        """Return the selected streams, in the order of their turns, each account's own."""
        return [stream for stream in self.by_name.values() if isinstance(stream, EventStream) and stream.selected]

    def report(self, exit_code: int) -> RunReport:
        """Return the report of the run; call it after `end`."""
        return summarised(self, exit_code)

    @property
    def report_path(self) -> str | None:
        """Return the file for the report as HTML: of the option `--report`, else of the setting `report`."""
        return GivenTap.report_file or self.config.get("report")

    def start_runs(self) -> None:
        """Start the runs of all selected streams, so that their jobs run in parallel; later calls do nothing.

        Raises:
            LedgerError: The durable ledger cannot be used, so that nothing is started.
        """
        if self._refusal:
            raise self._refusal
        if self._started:
            return
        selected = self.selected
        note_accounts(self.whole_state.get("bookmarks", {}), selected)
        self._start_all(selected, EventStream.settle_state)  # nothing is taken over into STATE that is not settled
        try:
            open_ledger(self, self.durable, selected, self.config_jsonschema)
        except LedgerError as error:
            self._refusal = error
            raise
        self._started = True
        if self.config["executor"] != EXECUTOR and not self.config.get("batch_config"):
            LOGGER.warning("executor: without batch_config it has no effect: the tap writes RECORD messages itself")
        note_start(self.date_range.start, self.whole_state, selected)
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
        """Warn of a stream's error, once if it is that of several, and record it; `command` ends with all of them."""
        LOGGER.debug("%s failed", stream, exc_info=error)
        message = explain(error)
        if message not in self.failures.values():
            where = "" if isinstance(error, PROVIDER_WIDE) or stream in message else f"{stream}: "
            LOGGER.warning("%s%s", where, self.redactor.clean(message), extra={"stream": stream})
        self.failures[stream] = message

    def account(self) -> None:
        """Count what was not run as failed: selected streams, and providers that cannot be used.

        Names the streams that the configuration lacks.
        """
        self.failures |= {name: error.message for name, error in self.unusable.items()}
        for stream in self.selected:
            if not stream.was_run:
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
        self.poller.end()
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
        if "executor" in self.__dict__:
            self.executor.close()
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
            TapError: Nothing that a provider was asked for was found: none answers, or every key is refused.
        """
        streams = [stream for stream in self.streams.values() if isinstance(stream, EventStream)]
        asked = [s.discovery_error for s in streams if isinstance(s.sides[0], EntryStream) or s.discovery_error]
        if asked and all(isinstance(error, (AuthError, UnreachableError)) for error in asked) and asked[0]:
            raise asked[0]
        for stream in streams:
            if error := stream.discovery_error:
                LOGGER.error("%s: not discovered: %s", stream.name, self.redactor.clean(explain(error)))
        return super().run_discovery()


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
