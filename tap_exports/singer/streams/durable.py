"""Opens the durable ledger of a run: which file, and which section for each stream that creates jobs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tap_exports import settings
from tap_exports.engine.changes import Changes
from tap_exports.engine.clock import to_text
from tap_exports.engine.ledger import Entry
from tap_exports.engine.ledger.durable import DurableLedger, Raw
from tap_exports.engine.ledger.places import LocalPlace, Nowhere, Place, is_nowhere, place_of, state_folder, sweep
from tap_exports.engine.model import Request
from tap_exports.engine.model.accounts import account_of, shared_name
from tap_exports.singer.streams.services import Services
from tap_exports.singer.streams.stream import EventStream

DIGITS = 16


@dataclass(frozen=True, slots=True)
class _Where:
    """Where the ledger of a run is.

    Attributes:
        place: Its place.
        keys: Names of the section of each stream that creates jobs, that of earlier versions first.
        earlier: A ledger with the name that earlier versions gave it, while there is one.
    """

    place: Place
    keys: Mapping[str, Sequence[str]]
    earlier: LocalPlace | None = None


def open_ledger(
    tap: Services, durable: DurableLedger, streams: Iterable[EventStream], schema: Mapping[str, Any]
) -> None:
    """Lock and read the durable ledger, and take over what STATE lacks; where no stream creates jobs, do nothing.

    Args:
        tap: The tap.
        durable: Is opened.
        streams: The selected streams.
        schema: JSON Schema of the configuration, which marks the secrets.

    Raises:
        LedgerError: Another run has it, or it cannot be used.
    """
    where = _where(tap, _orders(streams), schema)
    if isinstance(where.place, Nowhere):
        return
    is_configured = tap.config.get("ledger") is not None
    durable.open(where.place, tap.clock.now, required=is_configured, earlier=where.earlier)
    _merge(tap, durable, where.keys)
    durable.write()
    if not is_configured:
        sweep(state_folder())


def look_into_ledger(
    tap: Services, bookmarks: Callable[[], Raw], streams: Iterable[EventStream], schema: Mapping[str, Any]
) -> dict[str, list[Entry]]:
    """Take over into the live STATE what only the durable ledger holds; locks and writes nothing.

    Args:
        tap: The tap.
        bookmarks: Returns the live `bookmarks` of STATE.
        streams: The selected streams.
        schema: As for `open_ledger`.

    Returns:
        All that it holds, by stream: also what STATE holds as well, and jobs whose windows STATE proves.

    Raises:
        LedgerError: It cannot be read.
    """
    where = _where(tap, _orders(streams), schema)
    if isinstance(where.place, Nowhere):
        return {}
    durable = DurableLedger(bookmarks, Changes())
    durable.look(where.place, tap.clock.now, where.earlier)
    held = {name: durable.held(keys) for name, keys in where.keys.items()}
    _merge(tap, durable, where.keys)
    return held


def drop_from_ledger(
    tap: Services,
    streams: Iterable[EventStream],
    schema: Mapping[str, Any],
    stream: str,
    chosen: Callable[[Entry], bool],
) -> int:
    """Drop entries of a stream from the durable ledger; return how many.

    Args:
        tap: The tap.
        streams: The selected streams.
        schema: As for `open_ledger`.
        stream: Whose entries.
        chosen: Returns whether to drop an entry.

    Raises:
        LedgerError: A run has it, or it cannot be read or written.
    """
    where = _where(tap, _orders(streams), schema)
    if isinstance(where.place, Nowhere) or not (where.earlier or _exists(where.place)):
        return 0
    durable = DurableLedger(dict, Changes())
    durable.open(where.place, tap.clock.now, required=True, earlier=where.earlier)
    try:
        return durable.drop(stream, chosen)
    finally:
        durable.close()


def _exists(place: Place) -> bool:
    try:
        return place.read() is not None
    except OSError:
        return False


def _where(tap: Services, orders: Mapping[str, Sequence[Request]], schema: Mapping[str, Any]) -> _Where:
    setting = tap.config.get("ledger")
    if not orders or is_nowhere(setting):  # the digests of accounts are slow to compute
        return _Where(Nowhere(), {})
    accounts = _accounts(tap, orders, schema)
    of_run = sorted([name, accounts[name]] for name in _firsts(orders))
    providers = "-".join(sorted({requests[0].provider for requests in orders.values()}))
    dates = _written_dates(tap.config), _dates(tap.config)  # earlier versions took them as they were written
    before, now = (f"{providers}-{_digest([of_run, each])}.json" for each in dates)
    about = {name: [accounts[name], [each.fingerprint for each in r]] for name, r in orders.items()}
    keys = {name: list(dict.fromkeys(f"{name}@{_digest([*each, of])}" for of in dates)) for name, each in about.items()}
    earlier = LocalPlace(state_folder() / before)
    is_left = setting is None and before != now and earlier.exists()
    return _Where(place_of(setting, now), keys, earlier if is_left else None)


def _merge(tap: Services, durable: DurableLedger, keys: Mapping[str, Sequence[str]]) -> None:
    for name, each in keys.items():
        stream = tap.by_name[name]
        if isinstance(stream, EventStream) and not stream.failed_start:
            is_full = stream.replication_key is None
            durable.merge(name, each, stream.make_ledger(), reads_all=stream.reads_all, is_full=is_full)


def _orders(streams: Iterable[EventStream]) -> dict[str, Sequence[Request]]:
    """Return what is created, without windows, by the stream whose ledger holds it."""
    orders: dict[str, dict[str, Request]] = {}
    for stream in streams:
        for request in stream.orders():
            orders.setdefault(request.stream, {})[request.fingerprint] = request
    return {name: [found[key] for key in sorted(found)] for name, found in orders.items()}


def _firsts(orders: Iterable[str]) -> Iterator[str]:
    """Yield the streams that name the file of a run: of those with accounts the first account's, others may come."""
    seen: set[str] = set()
    for name in orders:
        if shared_name(name) not in seen:
            seen.add(shared_name(name))
            yield name


def _accounts(tap: Services, orders: Mapping[str, Sequence[Request]], schema: Mapping[str, Any]) -> dict[str, str]:
    """Return whose jobs a stream's are: a digest of address and keys, of one of `accounts` address and name."""
    alone = {requests[0].provider for name, requests in orders.items() if account_of(name) is None}
    digests = {name: settings.account(name, *_block(name, tap.config, schema)) for name in alone}
    return {
        name: digests.get(r[0].provider, "") if account_of(name) is None else _named(tap, name)
        for name, r in orders.items()
    }


def _named(tap: Services, name: str) -> str:
    """Return what tells an account that the configuration names; its key may be renewed."""
    stream = tap.by_name[name]
    address = stream.tap.addresses.get(stream.client_name) if isinstance(stream, EventStream) else None
    return f"{address or ''} {account_of(name)}"


def _block(provider: str, config: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[Mapping[str, Any], Any]:
    """Return the settings of a provider with their schema: its block, or all that are declared."""
    if provider in config:
        return config[provider], schema["properties"][provider]
    return {"declared": config.get("declared", [])}, schema


def _dates(config: Mapping[str, Any]) -> list[str | None]:
    """Return the dates by their meaning: Meltano writes those of its project file in another form."""
    dates = settings.date_range(config)
    return [to_text(each) if each else None for each in (dates.start, dates.until)]


def _written_dates(config: Mapping[str, Any]) -> list[Any]:
    return [config.get("start_date"), config.get("end_date")]


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:DIGITS]
