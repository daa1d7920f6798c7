"""Identity and schema of a stream: its columns, from the catalog or the provider, and their selection."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from singer_sdk import Stream
from singer_sdk.helpers._catalog import get_selected_schema
from singer_sdk.singerlib.catalog import Metadata, MetadataMapping, StreamMetadata
from singer_sdk.singerlib.messages import SchemaMessage
from singer_sdk.singerlib.schema import Schema as SdkSchema

from tap_exports.engine.decode import Layout
from tap_exports.engine.model import ACCOUNT, ROW, Column, Contract
from tap_exports.engine.model.accounts import account_of, shared_name, with_account
from tap_exports.engine.place import Places
from tap_exports.errors import ConfigError
from tap_exports.singer.columns import FORMER_KEYS, LINEAGE, PLACE, Schema, to_columns, to_schema
from tap_exports.singer.streams.override import Override
from tap_exports.singer.streams.services import Services

if TYPE_CHECKING:
    from singer_sdk import Tap
    from singer_sdk.mapper import StreamMap
    from singer_sdk.singerlib import SelectionMask
    from singer_sdk.singerlib.catalog import Catalog, CatalogEntry

TOP_LEVEL = 2  # the length of a top-level property's breadcrumb


class CatalogStream(Stream):
    """A stream as the catalog describes it.

    Attributes:
        lineage: Lineage columns that its rows carry; those of their places only where these are part of the key.
        can_read_again: Whether a run may read everything again, whatever the bookmark.
        free_texts: Fields with messages of the provider, which may quote an API key or a signed URL: redacted.
        is_user_data: Whether rows are the user's own data and stay as they came. From all other records, which tell of
            jobs and lists, known secrets and the signatures of URLs are cut.
        user_fields: Fields of other records that hold the user's own data and stay as they came.
    """

    lineage: Sequence[str] = ()
    can_read_again = True
    free_texts: frozenset[str] = frozenset()
    is_user_data = False
    converts_elsewhere = True
    user_fields: frozenset[str] = frozenset()

    def __init__(self, tap: Services, name: str | None = None) -> None:
        """Make no request: columns are discovered at the first access to `columns` or `schema`."""
        self.tap = tap
        self.front: CatalogStream = self
        super().__init__(cast("Tap", tap), schema=None, name=name)
        if tap.of_account is not None:
            self.name = with_account(self.name, tap.of_account)
            self._config = cast("dict[str, object]", tap.config)  # one for all streams of the account
        self._columns: dict[str, Column] | None = None
        self._discovery_error: Exception | None = None
        self.reads_all = False
        self._found: tuple[dict[str, Column], SelectionMask, tuple[frozenset[str], frozenset[str]]] | None = None

    @property
    def account(self) -> str | None:
        """Return the account whose rows these are, or None where the provider's block has none."""
        return account_of(self.name)

    @property
    def shared_name(self) -> str:
        """Return the name in messages, which all accounts share."""
        return shared_name(self.name)

    @property
    def stream_state(self) -> dict[str, Any]:
        """Return the live bookmark, that of the account."""
        if self.account is None:
            return cast("dict[str, Any]", super().stream_state)
        bookmarks: dict[str, Any] = self.tap.whole_state.setdefault("bookmarks", {})
        return cast("dict[str, Any]", bookmarks.setdefault(self.name, {}))

    @property
    def skew_seconds(self) -> float | None:
        """Return how far the provider's clock is ahead of this machine's, for receipts; None: not known."""
        return None

    @property
    def label(self) -> str:
        """Return the name that the configuration gives to the stream."""
        return self.name

    def discover_columns(self) -> dict[str, Column]:
        """Return the data columns; may make requests.

        Raises:
            TapError: A request failed.
        """
        raise NotImplementedError

    @property
    def aliases(self) -> Mapping[str, str]:
        """Return the property names by the names that files use for them."""
        return {}

    @property
    def columns(self) -> dict[str, Column]:
        """Return the data columns known so far, from the catalog if it has the stream, else from discovery."""
        if self.front is not self:
            return self.front.columns
        if self._columns is None:
            entry = self._catalog_entry()
            self._columns = to_columns(entry) if entry else self._discovered()
        return self._columns

    def _discovered(self) -> dict[str, Column]:
        try:
            return self.discover_columns()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this stream's alone: the run raises it again
            self._discovery_error = error
            return self.least_columns()

    def least_columns(self) -> dict[str, Column]:
        """Return the data columns that are known without the provider: what a catalog holds if discovery fails."""
        return {}

    def _catalog_entry(self) -> Schema | None:
        if self._input_schema is not None:
            return self._input_schema
        catalog: Catalog | None = self.tap.input_catalog
        entry = catalog.get_stream(self.name) if catalog else None
        return entry.schema.to_dict() if entry else None

    @property
    def schema(self) -> Schema:
        """Return the schema: data columns, then lineage."""
        if self.front is not self:
            return self.front.schema
        return to_schema(self.columns.values(), self.lineage_columns, self.primary_keys)

    @property
    def lineage_columns(self) -> Sequence[str]:
        """Return the lineage columns; a digest and an ordinal that are no part of the key are not computed."""
        return [name for name in self.lineage if name not in PLACE or name in self.primary_keys]

    @property
    def places(self) -> Callable[[], Places] | None:
        """Return what makes the places of the rows of one window, or None where they are no part of the key."""
        if not any(name in self.lineage_columns for name in PLACE):
            return None
        return lambda: Places(lambda: self.tap.spool.path("digests"))

    @property
    def discovery_error(self) -> Exception | None:
        """Return why the columns could not be discovered, or None."""
        if self.front is not self:
            return self.front.discovery_error
        _ = self.columns
        return self._discovery_error

    @property
    def metadata(self) -> MetadataMapping:
        """Return the metadata; a stream that the catalog lacks is deselected, and nobody is asked for its columns."""
        catalog: Catalog | None = self.tap.input_catalog
        if self._metadata is None and catalog is not None and self.name not in catalog:
            self._metadata = MetadataMapping({(): StreamMetadata(selected=False)})
        return super().metadata

    @property
    def mask(self) -> SelectionMask:
        """Return what is selected, which is the same for all accounts."""
        return super().mask if self.front is self else self.front.mask

    @property
    def stream_maps(self) -> list[StreamMap]:
        """Return the SDK's stream maps, which are the same for all accounts."""
        return super().stream_maps if self.front is self else self.front.stream_maps

    def apply_catalog(self, catalog: Catalog) -> None:
        """Take selection, schema, keys and replication method from a catalog.

        Keys that it names replace the stream's, also those of an older version, and cannot be deselected. With
        FULL_TABLE each run reads everything, whatever the bookmark.

        Raises:
            ConfigError: A key is not among the catalog's columns, or the provider cannot serve what it overrides.
        """
        keys, bookmark = self.primary_keys, self.replication_key
        if (entry := catalog.get_stream(self.name)) and not (entry.key_properties or _table_keys(entry)):
            entry.key_properties = list(keys)  # without any, each load would append the rows again
        if entry and ACCOUNT in keys:
            _require_account(entry)
        super().apply_catalog(catalog)
        if self._input_schema is None:  # not in the catalog, so deselected: discover nothing
            self.primary_keys, self.replication_key = keys, bookmark
            return
        override = self._override(entry, bookmark)
        self.forced_replication_method = override.method
        self.reads_all = override.reads_all(can_read_again=self.can_read_again)
        self.replication_key = bookmark
        self._require_keys(keys)
        known = {*self.columns, *self.lineage}
        if missing := [key for key in self.primary_keys if key not in known]:
            msg = f'catalog: {self.name}: key "{missing[0]}" is not among its columns; run --discover again'
            raise ConfigError(msg)

    def _override(self, entry: CatalogEntry | None, own_key: str | None) -> Override:
        """Return the replication that the catalog has, at the top of the entry or in its metadata."""
        root = entry.metadata.get(()) if entry else None
        keys = getattr(entry, "replication_key", None), getattr(root, "replication_key", None)
        methods = getattr(entry, "replication_method", None), getattr(root, "forced_replication_method", None)
        return Override.among(self.name, own_key, keys, methods)

    def _require_keys(self, default: Sequence[str]) -> None:
        """Select the key columns whatever the catalog says; log a warning if it has the key of an older version.

        To the SDK a stream without metadata of its own is selected, with all columns where there is no metadata at all
        and else with none of those that have some.
        """
        self.metadata.setdefault((), StreamMetadata(selected=True))
        for key in self.primary_keys:
            self.metadata.setdefault(("properties", key), Metadata()).inclusion = Metadata.InclusionType.AUTOMATIC
        if set(self.primary_keys) in FORMER_KEYS and not {*default}.isdisjoint(PLACE):
            self.logger.warning(
                "%s: the catalog has the key of an older version, %s: rows that are read again from another job come "
                "twice; to change it, see docs/streams.md (Keys)",
                self.name,
                ", ".join(self.primary_keys),
            )

    @property
    def selected_names(self) -> frozenset[str]:
        """Return the selected top-level properties."""
        return self._split()[0]

    def _split(self) -> tuple[frozenset[str], frozenset[str]]:
        """Return selected properties and deselected columns; recomputed only if columns or selection changed."""
        if self.front is not self:
            return self.front._split()  # noqa: SLF001 - of its own class
        columns, mask = self.columns, self.mask
        if self._found is None or self._found[0] is not columns or self._found[1] is not mask:
            names = frozenset(n for n in (*columns, *self.lineage_columns) if mask.get(("properties", n), True))
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
            keys=tuple(key for key in self.primary_keys if key not in self.lineage),
            longest_name=self.config.get("max_column_name_length"),
        )

    @cached_property
    def deselects_nested(self) -> bool:
        """Return whether a property within an object is deselected, so that objects must be pruned."""
        return any(len(breadcrumb) > TOP_LEVEL and not selected for breadcrumb, selected in self.mask.items())

    def evolve(self, columns: Iterable[Column]) -> None:
        """Add columns to the schema and rebuild the SDK's stream maps; call `write_schema` afterwards."""
        if self.front is not self:
            self.front.evolve(columns)
            return
        added = {c.name: c for c in columns}
        self._columns = {**self.columns, **added}
        self.logger.info("%s: new columns %s (schema_contract: evolve)", self.name, ", ".join(added))
        if self._input_schema is not None:
            self._input_schema = self.schema
        selected = get_selected_schema(self.name, self.schema, self.mask)
        self.tap.mapper.register_raw_stream_schema(self.name, selected, self.primary_keys)
        self._stream_maps = None

    def write_schema(self) -> None:
        """Write the SCHEMA messages."""
        self.front._write_schema_message()  # noqa: SLF001 - of its own class

    def stop_at_limit(self, rows: int) -> None:
        """End the sync if `rows` reached the SDK's record limit, by raising the SDK's exception."""
        self._check_max_record_limit(rows)

    def _generate_schema_messages(self) -> Generator[SchemaMessage, None, None]:
        """Yield SCHEMA messages; a bookmark property that the schema does not hold is left out."""
        for message in super()._generate_schema_messages():
            known = message.schema.get("properties", {})
            message.bookmark_properties = [k for k in message.bookmark_properties or () if k in known] or None
            yield message


def _require_account(entry: CatalogEntry) -> None:
    """Put the account into the key of a catalog that lacks it: rows of two accounts would overwrite each other."""
    keys = entry.key_properties or list(_table_keys(entry))
    if ACCOUNT not in keys:
        entry.key_properties = [ACCOUNT, *keys]
    properties = entry.schema.properties
    if properties is not None and ACCOUNT not in properties:
        properties[ACCOUNT] = SdkSchema.from_dict({**LINEAGE[ACCOUNT], "type": ["string"]})


def _table_keys(entry: CatalogEntry) -> Sequence[str]:
    return getattr(entry.metadata.get(()), "table_key_properties", None) or ()
