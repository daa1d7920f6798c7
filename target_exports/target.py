"""The target as the SDK's command line has it: settings, `--about`, `--config`; messages are read by blocks."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, ClassVar

from singer_sdk import Target
from singer_sdk import typing as th
from singer_sdk.helpers.capabilities import CapabilitiesEnum, PluginCapabilities, TargetCapabilities
from singer_sdk.io_base import GenericSingerReader

from target_exports.database import Database
from target_exports.errors import LoadError
from target_exports.loader import Loader

BLOCK = 1 << 20
GATHER_SECONDS, IDLE_SECONDS = 0.05, 1.0
DRAIN_SECONDS = 3.0  # for the last STATE of a tap that got the same signal


class TargetExports(Target):
    """Loads Singer streams into a DuckDB file: exact values, and STATE in the transaction of its rows."""

    name = "target-exports"
    package_name = "tap-exports"
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        PluginCapabilities.ABOUT,
        PluginCapabilities.ACTIVATE_VERSION,
        PluginCapabilities.BATCH,
        TargetCapabilities.HARD_DELETE,
    ]
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("path", th.StringType, required=True, description="The DuckDB file; it is created"),
        th.Property("schema", th.StringType, default="main", description="Schema of the tables; it is created"),
        th.Property(
            "hard_delete",
            th.BooleanType,
            default=True,
            description="Delete rows that a full read no longer has; false: mark them in `_sdc_deleted_at`",
        ),
        th.Property(
            "batch_size_rows",
            th.IntegerType(minimum=1, maximum=100_000_000),
            default=200_000,
            description="Rows after which the next STATE is committed; after 128 MB or 30 s it is committed too",
        ),
        th.Property(
            "memory_limit_mb",
            th.IntegerType(minimum=64, maximum=1_000_000),
            default=128,
            description="Memory of DuckDB, 1 MB more for each 10 columns beyond 100; what it lacks it takes on disk",
        ),
        th.Property(
            "threads",
            th.IntegerType(minimum=1, maximum=1_000),
            default=1,
            description="Threads of DuckDB; more shorten loads into large tables",
        ),
        th.Property("state_id", th.StringType, default="default", description="Under which the last STATE is kept"),
        th.Property("resume", th.BooleanType, default=False, description="First write the STATE that the file keeps"),
        additional_properties=False,
    ).to_dict()

    @classmethod
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        """Add nothing: rows are loaded as they come, without the SDK's maps, validation and metadata columns."""

    def __init__(self, **options: Any) -> None:
        """Read the settings; the file is opened when the input is read."""
        super().__init__(**options, message_reader=Blocks(self._load))

    def _load(self, descriptor: int) -> Counter[str]:
        """Load all messages; the file is closed, and an open transaction rolled back, whatever happens."""
        config = self.config
        database = Database(
            config["path"], config["schema"], config["state_id"], config["memory_limit_mb"], config["threads"]
        )
        try:
            if config["resume"]:
                give_out(database.state.encode())
            loader = Loader(
                database,
                batch_rows=config["batch_size_rows"],
                hard_delete=config["hard_delete"],
                give_out=give_out,
            )
            source = Input(descriptor)
            load(loader, source)
        finally:
            database.close()
        if source.signal:
            raise SystemExit(128 + source.signal)
        return loader.counts

    def process_endofpipe(self) -> None:
        """Do nothing: all is committed."""


class Blocks(GenericSingerReader[bytes]):
    """Hands the input over by blocks of lines, where the SDK would call back for each line."""

    def __init__(self, load: Callable[[int], Counter[str]]) -> None:
        """Keep what takes the input."""
        super().__init__()
        self._load = load

    @property
    def default_input(self) -> IO[bytes]:
        """Return standard input."""
        return sys.stdin.buffer

    def process_lines(
        self, file_input: IO[bytes] | None, callbacks: Mapping[str, Callable[[dict[str, Any]], None]]
    ) -> Counter[str]:
        """Take all lines and return how many there were of each type."""
        del callbacks
        return self._load((file_input or self.default_input).fileno())

    def deserialize_json(self, line: bytes) -> dict[str, Any]:
        """Return a line as an object; the blocks need it not."""
        raise NotImplementedError


def load(loader: Loader, source: Input) -> None:
    """Take all input; what came before a cut line, or before a signal, is committed.

    Raises:
        LoadError: The input cannot be loaded, or ends within a line.
    """
    for block in source.blocks():
        if not block:
            loader.commit()
        elif block.endswith(b"\n"):
            loader.take(block)
        else:
            loader.commit()
            try:
                loader.take(block)
            except LoadError:
                raise LoadError("the input ends within a message; what came before it is loaded") from None
    loader.commit()


class Input:
    """The input as blocks of whole lines; it ends early some seconds after SIGINT or SIGTERM.

    Args:
        descriptor: Where it is read.
    """

    def __init__(self, descriptor: int) -> None:
        """Take the signals over."""
        self._descriptor = descriptor
        self._ends_at: float | None = None
        self.signal = 0
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._interrupt)

    def _interrupt(self, number: int, _: object) -> None:
        self.signal = number
        self._ends_at = time.monotonic() + (DRAIN_SECONDS if self._ends_at is None else 0)

    def blocks(self) -> Iterator[bytes]:
        """Yield whole lines, about `BLOCK` bytes; nothing after an idle second; last what lacks its line end."""
        waiting, has_line = bytearray(), False
        while self._ends_at is None or time.monotonic() < self._ends_at:
            ready, _, _ = select.select([self._descriptor], [], [], GATHER_SECONDS if has_line else IDLE_SECONDS)
            part = os.read(self._descriptor, BLOCK) if ready else None
            if part:
                waiting += part
                has_line = has_line or b"\n" in part
            if part and not (has_line and len(waiting) >= BLOCK):
                continue
            end = waiting.rfind(b"\n") + 1
            yield bytes(memoryview(waiting)[:end])
            if part == b"":
                break
            del waiting[:end]
            has_line = False
        if rest := bytes(waiting[waiting.rfind(b"\n") + 1 :]):
            yield rest


def give_out(state: bytes) -> None:
    """Write a STATE to standard output."""
    sys.stdout.buffer.write(state + b"\n")
    sys.stdout.flush()
