"""Replies as samples for a bug report: keys, tokens and signatures removed, lists cut short, no row of a file."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tap_exports.engine.secrets import MASK, Redactor
from tap_exports.errors import ConfigError
from tap_exports.operator.declarations.asked import Exchange

MOST_ITEMS = 5
SECRET = re.compile(r"token|secret|passw|authorization|cookie|signature|credential|api[-_]?key|^key$", re.IGNORECASE)


def record(exchanges: Sequence[Exchange], folder: Path, redactor: Redactor) -> list[Path]:
    """Write a file of JSON per exchange, readable by its owner only, and return their paths.

    Raises:
        ConfigError: The folder holds files already, or cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ConfigError(f"--record: {folder} is not empty; name a new folder")
        made = []
        for number, exchange in enumerate(exchanges, 1):
            path = folder / f"{number:02d}-{exchange.call}.json"
            text = json.dumps(sample(exchange, redactor), indent=2, ensure_ascii=False, default=str) + "\n"
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
            made.append(path)
    except OSError as error:
        raise ConfigError(f"--record: {folder}: {(error.strerror or str(error)).lower()}") from None
    return made


def sample(exchange: Exchange, redactor: Redactor) -> dict[str, Any]:
    """Return an exchange as JSON without secrets."""
    reply = exchange.reply

    def clean(text: str) -> str:
        return redactor.clean(reply.redactor.clean(text))

    return {
        "call": exchange.call,
        "request": {"method": "GET", "path": clean(exchange.path), "params": cleaned(dict(exchange.params), clean)},
        "reply": {
            "status": reply.status,
            "headers": cleaned(dict(reply.headers), clean),
            "body": cleaned(reply.json(), clean),
        },
    }


def cleaned(value: Any, clean: Callable[[str], str]) -> Any:  # noqa: ANN401 - JSON
    """Return a JSON value without secrets: what a name tells to be one, known ones, and queries of URLs."""
    if isinstance(value, Mapping):
        return {
            name: MASK if SECRET.search(str(name)) and inner else cleaned(inner, clean) for name, inner in value.items()
        }
    if isinstance(value, list):
        more = [f"… {len(value) - MOST_ITEMS} more"] if len(value) > MOST_ITEMS else []
        return [cleaned(inner, clean) for inner in value[:MOST_ITEMS]] + more
    return clean(value) if isinstance(value, str) else value
