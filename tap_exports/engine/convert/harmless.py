"""Which arguments of a storage may leave the tap: workers elsewhere get these, and never a credential."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

NAMES = frozenset(
    {
        "account_host",
        "account_name",
        "addressing_style",
        "anon",
        "client_kwargs",
        "config_kwargs",
        "default_block_size",
        "default_location",
        "endpoint_url",
        "fixed_upload_size",
        "host",
        "max_attempts",
        "max_concurrency",
        "mode",
        "port",
        "profile",
        "project",
        "region",
        "region_name",
        "requester_pays",
        "retries",
        "s3",
        "signature_version",
        "use_ssl",
        "verify",
        "version_aware",
    }
)


def secret_names(options: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Yield the names of arguments that are, or may be, a credential: all but switches and what `NAMES` holds."""
    for name, value in options.items():
        if isinstance(value, bool) or value is None:
            continue
        if name not in NAMES or (isinstance(value, str) and _has_credential(value)):
            yield f"{path}{name}"
        elif isinstance(value, Mapping):
            yield from secret_names(value, f"{path}{name}.")


def _has_credential(value: str) -> bool:
    """Return whether an address names more than a place: `https://user:password@host`, or a query."""
    try:
        parts = urlsplit(value)
    except ValueError:
        return True
    return bool(parts.username or parts.password or parts.query)
