"""What a catalog may override of a stream's replication, and what is refused by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tap_exports.errors import ConfigError

INCREMENTAL, FULL_TABLE = "INCREMENTAL", "FULL_TABLE"


@dataclass(frozen=True, slots=True)
class Override:
    """The replication of one stream as a catalog has it.

    Meltano writes the method at the top of the stream's entry, the Singer specification into its metadata.

    Attributes:
        stream: The stream's name.
        own_key: The replication key by which the provider is asked, or None for full tables.
        key: The catalog's, or None where it names none.
        method: The catalog's, or None where it names none.
    """

    stream: str
    own_key: str | None
    key: str | None
    method: str | None

    @classmethod
    def among(
        cls, stream: str, own_key: str | None, keys: Iterable[str | None], methods: Iterable[str | None]
    ) -> Override:
        """Return the override where a catalog names several keys or methods: one that is not the stream's own counts.

        Discovery writes the stream's own ones into both places, and a person changes one of them.
        """
        own_method = FULL_TABLE if own_key is None else INCREMENTAL
        return cls(stream, own_key, _changed(own_key, keys), _changed(own_method, methods))

    def reads_all(self, *, can_read_again: bool) -> bool:
        """Return whether an incremental stream is to be read as a full table.

        Raises:
            ConfigError: The provider cannot serve the key or the method.
        """
        if self.key is not None and self.key != self.own_key:
            by = f'by "{self.own_key}" only' if self.own_key else "as a full table only"
            raise self._refused(f'replication key "{self.key}"', f"the provider can be read {by}")
        if self.method not in {None, INCREMENTAL, FULL_TABLE}:
            raise self._refused(f"replication method {self.method}", f"{INCREMENTAL} and {FULL_TABLE} are supported")
        if self.method == INCREMENTAL and self.own_key is None:
            raise self._refused(f"replication method {self.method}", "the provider has no date to read it by")
        if self.method == FULL_TABLE and self.own_key is not None and not can_read_again:
            raise self._refused(f"replication method {self.method}", "it holds what this run and earlier ones left")
        return self.method == FULL_TABLE and self.own_key is not None

    def _refused(self, what: str, why: str) -> ConfigError:
        return ConfigError(f"catalog: {self.stream}: {what} cannot be used: {why}; remove the override")


def _changed(own: str | None, named: Iterable[str | None]) -> str | None:
    """Return the first text that differs from the stream's own, else the own one if it is named, else None."""
    given = [each for each in named if each]
    return next((each for each in given if each != own), given[0] if given else None)
