"""Opens the durable ledger of a run: which file, and which section for each stream that creates jobs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tap_exports import settings
from tap_exports.engine.changes import Changes
from tap_exports.engine.ledger import Entry
from tap_exports.engine.ledger.durable import DurableLedger, Raw
from tap_exports.engine.ledger.places import Nowhere, Place, place_of
from tap_exports.engine.model import Request
from tap_exports.singer.streams.services import Services
from tap_exports.singer.streams.stream import EventStream

DIGITS = 16


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
    orders = _orders(streams)
    place, keys = _place(tap, orders, schema)
    if isinstance(place, Nowhere):
        return
    durable.open(place, tap.clock.now, required=tap.config.get("ledger") is not None)
    _merge(tap, durable, keys)
    durable.write()


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
    place, keys = _place(tap, _orders(streams), schema)
    if isinstance(place, Nowhere):
        return {}
    durable = DurableLedger(bookmarks, Changes())
    durable.look(place, tap.clock.now)
    held = {name: durable.held(key) for name, key in keys.items()}
    _merge(tap, durable, keys)
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
    place, _ = _place(tap, _orders(streams), schema)
    if isinstance(place, Nowhere) or not _exists(place):
        return 0
    durable = DurableLedger(dict, Changes())
    durable.open(place, tap.clock.now, required=True)
    try:
        return durable.drop(stream, chosen)
    finally:
        durable.close()


def _exists(place: Place) -> bool:
    try:
        return place.read() is not None
    except OSError:
        return False


def _place(
    tap: Services, orders: Mapping[str, Sequence[Request]], schema: Mapping[str, Any]
) -> tuple[Place, dict[str, str]]:
    """Return where the ledger of a run is, and the section of each stream that creates jobs."""
    if not orders:
        return Nowhere(), {}
    accounts, dates = _accounts(tap.config, orders, schema), _dates(tap.config)
    of_run = sorted([name, accounts[requests[0].provider]] for name, requests in orders.items())
    providers = sorted({requests[0].provider for requests in orders.values()})
    place = place_of(tap.config.get("ledger"), f"{'-'.join(providers)}-{_digest([of_run, dates])}.json")
    about = {name: [accounts[r[0].provider], [each.fingerprint for each in r], dates] for name, r in orders.items()}
    return place, {name: f"{name}@{_digest(each)}" for name, each in about.items()}


def _merge(tap: Services, durable: DurableLedger, keys: Mapping[str, str]) -> None:
    for name, key in keys.items():
        stream = tap.streams[name]
        if isinstance(stream, EventStream) and not stream.failed_start:
            is_full = stream.replication_key is None
            durable.merge(name, key, stream.make_ledger(), reads_all=stream.reads_all, is_full=is_full)


def _orders(streams: Iterable[EventStream]) -> dict[str, Sequence[Request]]:
    """Return what is created, without windows, by the stream whose ledger holds it."""
    orders: dict[str, dict[str, Request]] = {}
    for stream in streams:
        for request in stream.orders():
            orders.setdefault(request.stream, {})[request.fingerprint] = request
    return {name: [found[key] for key in sorted(found)] for name, found in orders.items()}


def _accounts(
    config: Mapping[str, Any], orders: Mapping[str, Sequence[Request]], schema: Mapping[str, Any]
) -> dict[str, str]:
    """Return a digest of address and keys by provider."""
    providers = {requests[0].provider for requests in orders.values()}
    return {name: settings.account(name, *_block(name, config, schema)) for name in providers}


def _block(provider: str, config: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[Mapping[str, Any], Any]:
    """Return the settings of a provider with their schema: its block, or all that are declared."""
    if provider in config:
        return config[provider], schema["properties"][provider]
    return {"declared": config.get("declared", [])}, schema


def _dates(config: Mapping[str, Any]) -> list[Any]:
    return [config.get("start_date"), config.get("end_date")]


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:DIGITS]
