"""The streams of declared providers."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from tap_exports.engine.clock import MILLISECOND
from tap_exports.engine.decode import CsvDialect, Layout
from tap_exports.engine.http.credentials import Credentials, KeyedTransport
from tap_exports.engine.http.pace import Pace
from tap_exports.errors import ConfigError, NotFoundError, RefusedError
from tap_exports.providers.declared.api import DeclaredApi
from tap_exports.providers.declared.auth import DEFAULT, FixedCredentials, TokenCredentials, fixed_headers
from tap_exports.providers.declared.declaration import WINDOW_HOLES, Declaration, checked
from tap_exports.providers.declared.declaration.items import entries_of
from tap_exports.providers.declared.declaration.looks import nobody_look
from tap_exports.providers.declared.declaration.source import Source, read
from tap_exports.providers.declared.declaration.templates import Values, fill, holes
from tap_exports.providers.declared.exchange.calls import Calls
from tap_exports.providers.declared.exchange.echoed import UNITS
from tap_exports.providers.declared.override import api_class
from tap_exports.registry import providers
from tap_exports.settings import slug
from tap_exports.singer.streams.kinds import Entry, csv_dialect
from tap_exports.singer.streams.services import Services
from tap_exports.singer.streams.short_lived import KeptJobsStream, SampledStream

if TYPE_CHECKING:
    from tap_exports.engine.http.transport import OpensUrls
    from tap_exports.engine.jobs import Lifecycle
    from tap_exports.engine.run.created import Export
    from tap_exports.singer.streams.stream import EventStream

SHIPPED = Path(__file__).parent / "shipped"


class DeclaredRows(KeptJobsStream, SampledStream):
    """Rows of a declared export.

    Docs: docs/declare.md
    Window: as the declaration says; without `window` each run reads a full export.
    Caveats: columns come from a completed export that the declaration's `list` shows, else from the first file.
    """

    api: DeclaredApi

    def __init__(
        self, tap: Services, block: Entry, lifecycle: Lifecycle, entry: Entry, transport: OpensUrls | None
    ) -> None:
        """Keep the parts; `transport` opens files that need the credentials, if the declaration has such."""
        self._block, self._transport = block, transport
        self.provider = str(block["name"])  # type: ignore[misc] # of the declaration, not of the class
        api: DeclaredApi = lifecycle.api  # type: ignore[assignment] # made for it
        self.declaration = api.declaration
        super().__init__(tap, api, lifecycle, entry, entry["name"])

    @property
    def window(self) -> Mapping[str, Any]:
        """Return the declaration's window, empty for full exports."""
        found: Mapping[str, Any] = self.declaration.spec.get("window", {})
        return found

    @property
    def retention(self) -> timedelta | None:  # type: ignore[override] # depends on the declaration
        """Return how long the provider keeps jobs, as the declaration says."""
        return self.declaration.keeps

    @property
    def lists_jobs(self) -> bool:
        """Return whether the stream reads jobs that others made."""
        return self.collects

    @property
    def instants(self) -> frozenset[str]:  # type: ignore[override] # depends on the declaration
        """Return the columns that hold seconds since 1970."""
        return frozenset(self.declaration.spec["files"].get("instants", ()))

    @property
    def leaves_rows_out(self) -> bool:
        """Return whether the declaration says where a reply tells that rows were left out."""
        return "truncated" in self.declaration.spec.get("proof", {})

    def bookmark_key(self) -> str | None:
        """Return what windows cut by; jobs of others are followed by their creation."""
        return "created_at" if self.entry.get("mode") == "collect" else self.window.get("key")

    def params(self) -> Mapping[str, Any]:
        """Return the parameters of the entry."""
        return self.entry.get("params") or {}

    @property
    def client_name(self) -> str:
        """Return the name of the block."""
        return str(self._block["name"])

    def row_settings(self) -> Mapping[str, Any]:
        """Return what decides which rows the export has: its parameters, and the request of the declaration."""
        asks = {key: self.declaration.spec["submit"].get(key) for key in ("params", "json", "form")}
        return {"mode": self.entry.get("mode"), "params": self.params(), "submit": asks}

    def dialect(self) -> CsvDialect:
        """Return how the files are written: entry, then block, then declaration."""
        files = self.declaration.spec["files"]
        declared = ({"delimiter": "\t"} if files.get("format") == "tsv" else {}) | files.get("csv", {})
        return csv_dialect({"csv": declared | (self._block.get("csv") or {})}, self.entry)

    def export(self) -> Export:
        """Return the request, with the declaration's windows.

        Raises:
            ConfigError: A window has to begin somewhere, and nothing says where.
        """
        asks_start = any(name == "start" for name, _ in holes(self.declaration.spec["submit"]))
        begins = self.tap.date_range.start or self.ledger.value or self.entry.get("mode") == "collect"
        if self.window and asks_start and not begins:
            raise ConfigError(f"config: {self.name}: set `start_date`: {self.provider} takes no open beginning")
        days = self.entry.get("max_window_days", self.window.get("days"))
        lookback = timedelta(days=self.entry.get("lookback", self.window.get("lookback", 0)))
        unit = UNITS.get(self.window.get("by", ""), MILLISECOND)
        return replace(super().export(), max_window_days=days, unit=unit, lookback=lookback)

    def layout(self, skip_rows: int = 0) -> Layout:
        """Return how the next file is to be read."""
        return replace(super().layout(skip_rows), row=self.api.row)

    @property
    def sampled(self) -> Layout:
        """Return how a sample is read."""
        return replace(super().sampled, row=self.api.row)

    @property
    def file_transport(self) -> OpensUrls:
        """Return what opens the URLs of files."""
        return self._transport or super().file_transport

    @cached_property
    def converts_elsewhere(self) -> bool:  # type: ignore[override] # depends on the declaration
        """Return whether an executor may convert the files: not where they need the credentials, or a function."""
        return self._transport is None and self.api.row is None

    @property
    def values(self) -> Values:
        """Return what the configuration says for holes of calls."""
        return {**(self._block.get("variables") or {}), **self.params()}

    @property
    def has_free_call(self) -> bool:
        """Return whether a call that needs the credentials creates nothing."""
        return "list" in self.declaration.spec or nobody_look(self.declaration, self.values) is not None

    def check_connection(self) -> None:
        """Read the list, else look at a job that is not there: how that is refused shows whether the key is taken."""
        look = None if "list" in self.declaration.spec else nobody_look(self.declaration, self.values)
        self.api.check()
        if look:
            with contextlib.suppress(NotFoundError, RefusedError):
                self.api.look(look.path, look.params)


def discover(tap: Services, blocks: list[Entry]) -> Iterator[EventStream]:
    """Yield the streams of the blocks.

    Raises:
        ConfigError: A declaration cannot be used.
    """
    for index, written in enumerate(blocks):
        declaration = checked(source_of(written, f"config: declared[{index}]"))
        block = {**written, "name": slug(written.get("name") or declaration.name)}
        if block["name"] in providers():
            taken = f'"{block["name"]}" is an installed provider'
            raise ConfigError(f"config: declared[{index}]: {taken}; set another `name`")
        yield from streams_of(tap, block, declaration)


def streams_of(tap: Services, block: Entry, declaration: Declaration) -> Iterator[EventStream]:
    """Yield the streams of one declared provider."""
    variables, values = block.get("variables") or {}, credentials_of(block)
    base = block.get("api_url") or base_of(declaration, variables)
    held = held_credentials(tap, block, declaration, values)
    limits, auth = declaration.spec.get("limits", {}), declaration.spec.get("auth", {})
    gate = Pace(limits["per_minute"], tap.clock) if "per_minute" in limits else None
    client = tap.client(block["name"], {}, base, headers={}, credential="credentials", credentials=held, gate=gate)
    query, body = (fill(auth.get(part, {}), values) for part in ("query", "body"))
    api = api_class(declaration)(Calls(client, declaration, base, variables, query=query, body=body))
    lifecycle = tap.lifecycle(api, block, limits.get("jobs"))
    files = declaration.spec["files"]
    keyed, more = "path" in files or files.get("keyed"), fill(files.get("headers", {}), variables)
    more = {name: str(value) for name, value in more.items()}
    transport = KeyedTransport(tap.transport, base, lambda: {**more, **held.headers()}, api.note) if keyed else None
    for written in block.get("exports", ()):
        where = f"config: {block['name']}: {written['name']}"
        for entry in entries_of(declaration, written, where):
            check(declaration, block, entry, where)
            yield DeclaredRows(tap, block, lifecycle, entry, transport)


def base_of(declaration: Declaration, variables: Values) -> str:
    """Return origin and prefix of the API.

    Raises:
        ConfigError: A variable is missing, or is no part of a host's name or of a path: the key goes to that host.
    """
    template = declaration.spec["base_url"]
    for name, _ in holes(template):
        if not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", str(variables.get(name, ""))):
            raise ConfigError(f"config: {declaration.name}: variables.{name}: a host or a part of one is due")
    return str(fill(template, variables))


def held_credentials(tap: Services, block: Entry, declaration: Declaration, values: Values) -> Credentials:
    """Return what authorizes requests to the API."""
    auth = declaration.spec.get("auth", {})
    if "oauth2" not in auth:
        return FixedCredentials(fixed_headers(auth, values))
    grant = fill(auth["oauth2"], values) | ({"token_url": block["token_url"]} if block.get("token_url") else {})
    parts = urlsplit(grant["token_url"])
    origin = urlunsplit((parts.scheme, parts.netloc, "", "", ""))
    client = tap.client(
        f"{block['name']} token",
        {},
        origin,
        headers=fixed_headers({"basic": auth.get("basic")}, values) if auth.get("basic") else {},
        credential="credentials",
    )
    headers = auth.get("headers") or DEFAULT
    kept = {name: str(fill(template, {**values, "token": "{token}"})) for name, template in headers.items()}
    return TokenCredentials(block["name"], grant, kept, client, tap.clock, tap.redactor.add)


def credentials_of(block: Entry) -> Values:
    """Return the values for the holes of `auth`: credentials, and variables for the rest."""
    return {**(block.get("variables") or {}), **(block.get("credentials") or {})}


def source_of(block: Entry, where: str) -> Source:
    """Return the declaration of a block: a file, a shipped one, or in the configuration itself.

    Raises:
        ConfigError: There is none, or two.
    """
    file, api = block.get("file"), block.get("api")
    if bool(file) == bool(api):
        raise ConfigError(f"{where}: one of `file` and `api` is due")
    if api:
        return Source(f"{where}.api", api, {})
    return read(path_of(str(file)))


def path_of(file: str) -> Path:
    """Return the path of a declaration: as it stands, or of the shipped one of that name."""
    path, shipped = Path(file), SHIPPED / f"{file}.yaml"
    is_name = not path.suffix and not path.exists() and shipped.parent == SHIPPED and shipped.exists()
    return shipped if is_name else path


def check(declaration: Declaration, block: Entry, entry: Entry, where: str) -> None:
    """Check that the configuration fills the holes of paths; other missing values leave their key out.

    Raises:
        ConfigError: One is not filled.
    """
    spec = declaration.spec
    if entry.get("mode") == "collect" and not ("find" in spec and "created" in spec["job"]):
        raise ConfigError(f"{where}: `mode: collect` needs `list`, `find` and `job.created` of {declaration.name}")
    known = {*(entry.get("params") or {}), *(block.get("variables") or {}), *spec["job"].get("also", {}), "next"}
    paths = [path for key in ("submit", "then", "poll", "files", "delete") for path in paths_only(spec.get(key))]
    for name, _ in holes(paths):
        if name not in known | {"mark", "id", *WINDOW_HOLES}:
            raise ConfigError(f'{where}: set "{name}" in `params` or `variables`: {declaration.name} needs it')
    for name, _ in holes(spec["files"].get("headers", {}) if "path" in spec["files"] else {}):
        if name not in (block.get("variables") or {}):
            raise ConfigError(f'{where}: set "{name}" in `variables`: headers of files are the same for all jobs')


def paths_only(calls: object) -> list[str]:
    """Return the paths of a call or of several."""
    found = calls if isinstance(calls, list) else [calls]
    return [
        str(value) for call in found if isinstance(call, Mapping) for value in call.values() if str(value)[:1] == "/"
    ]
