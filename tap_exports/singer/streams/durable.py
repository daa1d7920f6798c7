"""Opens the durable ledger of a run: which file, and which section for each stream that creates jobs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tap_exports import settings
from tap_exports.engine.ledger.durable import DurableLedger
from tap_exports.engine.ledger.places import Nowhere, place_of
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
    setting, accounts = tap.config.get("ledger"), _accounts(tap.config, orders, schema)
    of_run = sorted([name, accounts[requests[0].provider]] for name, requests in orders.items())
    providers = sorted({requests[0].provider for requests in orders.values()})
    place = place_of(setting, f"{'-'.join(providers)}-{_digest([of_run, _dates(tap.config)])}.json")
    if not orders or isinstance(place, Nowhere):
        return
    durable.open(place, tap.clock.now, required=setting is not None)
    for name, requests in orders.items():
        about = [accounts[requests[0].provider], [r.fingerprint for r in requests], _dates(tap.config)]
        stream = tap.streams[name]
        if isinstance(stream, EventStream) and not stream.failed_start:
            durable.merge(name, f"{name}@{_digest(about)}", stream.make_ledger(), reads_all=stream.reads_all)
    durable.write()


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
