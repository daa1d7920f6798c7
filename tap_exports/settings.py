"""The settings as the engine knows them, and the checks that a JSON Schema alone cannot say well."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from tap_exports.engine.clock import FIRST_YEAR, LAST_YEAR, MILLISECOND, from_text
from tap_exports.engine.convert.bounds import Bounds
from tap_exports.engine.http import HttpSettings
from tap_exports.engine.jobs import JobSettings
from tap_exports.engine.read.tally import Limits
from tap_exports.engine.secrets import printable
from tap_exports.errors import ConfigError

JsonSchema = Mapping[str, Any]
LONGEST_ECHO = 12  # characters of a wrong value that a message may show; keys are longer
KEY_ROUNDS, KEY_DIGITS = 100_000, 16  # about 30 ms; what is left fits many keys
NEAR = 0.6  # likeness to a setting that makes an unknown key a misspelt one
_WORDS = "[a-z]{1,12}(_[a-z]{1,12}){0,6}"  # no credential looks so


@dataclass(frozen=True, slots=True)
class Range:
    """The range of creation instants that a run covers."""

    start: datetime | None
    until: datetime | None
    settling_seconds: float


def job_settings(config: Mapping[str, Any]) -> JobSettings:
    """Return how jobs are waited for."""
    return JobSettings(
        poll_interval_seconds=config["poll_interval_seconds"],
        poll_interval_max_seconds=config["poll_interval_max_seconds"],
        job_grace_seconds=config["job_grace_seconds"],
        job_stall_timeout_seconds=config["job_stall_timeout_seconds"],
        job_stalls_max=config["job_stalls_max"],
        job_timeout_seconds=config["job_timeout_seconds"],
        lost_reply_search_seconds=config["lost_reply_search_seconds"],
        job_reuse_seconds=config["job_reuse_seconds"],
        recreate_paid_jobs=config["recreate_paid_jobs"],
        max_concurrent_jobs=config["max_concurrent_jobs"],
        max_concurrent_requests=config["max_concurrent_requests"],
        detach=config["job_wait"] == "detach",
    )


def executor_bounds(config: Mapping[str, Any]) -> Bounds:
    """Return the bounds of work elsewhere."""
    return Bounds(
        size=config.get("executor_size"),
        connect_seconds=config["executor_connect_seconds"],
        task_seconds=config["executor_task_seconds"],
    )


def http_settings(config: Mapping[str, Any]) -> HttpSettings:
    """Return how requests are made."""
    return HttpSettings(
        request_timeout_seconds=config["request_timeout_seconds"],
        reply_timeout_seconds=config["reply_timeout_seconds"],
        min_transfer_bytes_per_second=config["min_transfer_bytes_per_second"],
        verify_digests=config["verify_digests"],
        unframed_files=config["unframed_files"],
        max_attempts=config["max_attempts"],
        max_concurrent_requests=config["max_concurrent_requests"],
        allow_private_hosts=config["allow_private_hosts"],
        archive_max_mb=config["archive_max_mb"],
        archive_max_ratio=config["archive_max_ratio"],
    )


def limits(config: Mapping[str, Any], verify_counts: str = "fail") -> Limits:
    """Return what a stream tolerates; `verify_counts` is the provider's default where the setting is absent."""
    return Limits(
        verify_counts=config.get("verify_counts") or verify_counts,
        rejects_max_count=config["rejects_max_count"],
        rejects_max_ratio=config["rejects_max_ratio"],
    )


def date_range(config: Mapping[str, Any]) -> Range:
    """Return the range to cover; an `end_date` without a time includes the whole day, in UTC.

    Raises:
        ConfigError: A date is not ISO 8601 or outside the years 1900 to 2199, or `end_date` lies before `start_date`.
    """
    start, until = (_instant(config, key) for key in ("start_date", "end_date"))
    if until and is_day(config["end_date"]):
        until += timedelta(days=1) - MILLISECOND
    if start and until and until < start:
        msg = f"config: end_date {config['end_date']} is before start_date {config['start_date']}"
        raise ConfigError(msg)
    return Range(start, until, config["settling_seconds"])


def _instant(config: Mapping[str, Any], key: str) -> datetime | None:
    text = config.get(key)
    if not text:
        return None
    try:
        instant = from_text(text)
    except (ValueError, AttributeError):
        msg = f'config: {key} "{shown(text)}" is not an ISO 8601 date-time, such as 2026-01-31T00:00:00Z'
        raise ConfigError(msg) from None
    if not FIRST_YEAR <= instant.year <= LAST_YEAR:
        raise ConfigError(f"config: {key} {text.strip()} must be in the years {FIRST_YEAR} to {LAST_YEAR}")
    return instant


def is_day(text: str) -> bool:
    """Return whether text names a date without a time."""
    try:
        date.fromisoformat(text.strip())
    except ValueError:
        return False
    return True


def shown(text: str) -> str:
    """Return a wrong value as a message may show it: it may be a key that was pasted into the wrong place."""
    is_date_like = re.fullmatch(r"[0-9TZtz:.+ -]{1,40}", text)
    return printable(text) if is_date_like or len(text) < LONGEST_ECHO else f"… ({len(text)} characters)"


def slug(name: object) -> str:
    """Return a name in lower case, every run of other characters than a-z and 0-9 as one `_`."""
    return re.sub(r"[^a-z0-9]+", "_", str(name).lower()).strip("_")


def check_slugs(streams: Iterable[tuple[str, str]]) -> None:
    """Check that no two entries get one stream name.

    Args:
        streams: Pairs of the stream's name and the name that was configured.

    Raises:
        ConfigError: Two entries collide; names both.
    """
    seen: dict[str, str] = {}
    for stream, name in streams:
        if stream in seen:
            both = f'"{printable(seen[stream])}" and "{printable(name)}"'
            msg = f"config: {both} both become the stream {stream}; give one another name"
            raise ConfigError(msg)
        seen[stream] = name


def account(provider: str, block: Mapping[str, Any], schema: JsonSchema) -> str:
    """Return a digest of a provider's address and keys; slow to compute, so that no weak key can be found from it."""
    salt = f"{provider} {block.get('api_url') or ''}".encode()
    keys = "\n".join(secret_values(block, schema)).encode()
    return hashlib.pbkdf2_hmac("sha256", keys, salt, KEY_ROUNDS).hex()[:KEY_DIGITS]


def unknown_keys(config: Mapping[str, Any], schema: JsonSchema, path: str = "") -> Iterator[str]:
    """Yield a message per key that no setting knows, with the nearest one that does exist.

    Args:
        config: An object of the configuration.
        schema: Its JSON Schema; where `additionalProperties` is not false, any key is allowed.
        path: Where the object stands, for the message.
    """
    known: Mapping[str, Any] = schema.get("properties", {})
    for key, value in config.items():
        prefix = f"{path}." if path else ""
        if key in known:
            yield from _unknown_below(value, known[key], f"{prefix}{key}")
        elif known and schema.get("additionalProperties") is False:
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)[0]
            is_name = re.fullmatch(_WORDS, str(key)) or difflib.SequenceMatcher(None, near, str(key)).ratio() >= NEAR
            name = printable(str(key)) if is_name else shown(str(key))
            yield f'config: unknown key "{prefix}{name}"; the nearest setting is "{near}"'


def _unknown_below(value: object, schema: JsonSchema, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from unknown_keys(value, schema, path)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, Mapping):
                yield from unknown_keys(item, schema.get("items", {}), f"{path}[{index}]")


def _texts(value: object) -> Iterator[str]:
    """Yield the texts of a secret value, which may be an object or a list of secrets."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif value:
        yield str(value)


def secret_values(config: Mapping[str, Any], schema: JsonSchema) -> Iterator[str]:
    """Yield every value of the configuration whose setting is marked secret."""
    for key, prop in schema.get("properties", {}).items():
        value = config.get(key)
        if prop.get("secret") or prop.get("writeOnly"):
            yield from _texts(value)
        elif isinstance(value, Mapping):
            yield from secret_values(value, prop)
        elif isinstance(value, list):
            for item in value:
                yield from secret_values(item, prop.get("items", {})) if isinstance(item, Mapping) else ()
