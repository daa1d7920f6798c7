"""What a bookmark is about: the API, the account, and the settings that decide which rows a stream has.

STATE keeps it beside the bookmark as text by name. Ids and words stand there as they are, all else as a digest; no
credential is ever part of it, so a key may be renewed. `docs/state.md` lists the names.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

BASIS, KEY = "basis", "replication_key"
CELLS = "cells"  # says under which keys rows come again, and nothing of which rows there are
ELSEWHERE = frozenset({"api_url", "account"})  # ids of jobs mean nothing there
_SHOWN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,79}")

Basis = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between the basis in STATE and that of the configuration."""

    name: str
    before: str
    now: str

    def __str__(self) -> str:
        """Return it for messages, with both values."""
        return f"{self.name} was {_quoted(self.before)} and is {_quoted(self.now)}"


def basis_of(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts of settings; whatever is not set, null and empty are the same."""
    return {name: _text(value) for name, value in values.items()}


def differences(bookmark: Mapping[str, Any], basis: Basis, key: str | None) -> Iterator[Difference]:
    """Yield what differs; names that STATE does not have, since an older version wrote it, differ in nothing.

    Args:
        bookmark: The raw bookmark of a stream.
        basis: That of the configuration.
        key: The replication key of the configuration, or None.
    """
    known = bookmark.get(KEY)
    if key and known and known != key and "replication_key_value" in bookmark:
        yield Difference(KEY, str(known), key)
    before: Basis = bookmark.get(BASIS, {})
    for name, now in basis.items():
        if before.get(name, now) != now:
            yield Difference(name, before[name], now)


def _text(value: object) -> str:
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, (str, int)) and _SHOWN.fullmatch(str(value)):
        return str(value)
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=dict)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _quoted(text: str) -> str:
    return f'"{text}"' if text else "not set"
