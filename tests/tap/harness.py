"""Runs the tap as a process of its own and reads what it wrote.

The process is forked from one that has imported the tap. Where the start itself is the subject, `fresh` starts it as
users do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tap_exports.testing import Ran
from tap_exports.testing.process import COMMAND, LIMIT_SECONDS, Json, arguments_of, split, started
from tests.process.child import Child

__all__ = ["COMMAND", "PROVIDERS", "Json", "Ran", "arguments_of", "only", "tap", "without_lineage"]


def tap(
    folder: Path,
    config: Mapping[str, Any],
    *arguments: str,
    state: Mapping[str, Any] | None = None,
    catalog: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    fresh: bool = False,
) -> Ran:
    """Run the tap to its end."""
    given = [*arguments_of(folder, config, state=state, catalog=catalog), *arguments]
    run = started if fresh else _forked
    return Ran(*split(*run(given, environment or {})))


def _forked(arguments: list[str], environment: Mapping[str, str]) -> tuple[int, bytes, bytes]:
    child = Child(arguments, environment=environment)
    out, err = child.communicate(LIMIT_SECONDS)
    return child.wait(), out, err


def without_lineage(records: Sequence[Json]) -> list[Json]:
    """Return records without the columns that the tap adds."""
    return [{k: v for k, v in record.items() if not k.startswith("_sdc_")} for record in records]


def only(config: Json, provider: str) -> Json:
    """Return a configuration with one provider's block."""
    return {k: v for k, v in config.items() if k == provider or k not in PROVIDERS}


PROVIDERS = frozenset({"cension", "exelensia", "packagex", "cornect", "closient"})
