"""Input and output of the work on one file (`Task`, `Result`), and the conversion of model values to and from JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tap_exports import errors
from tap_exports.engine.clock import Clock
from tap_exports.engine.decode import Layout
from tap_exports.engine.model import Column, Kind, Reject, RemoteFile
from tap_exports.errors import StopError, TapError

Task = dict[str, Any]
Result = dict[str, Any]


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Host:
    """Services that the work gets only in the tap's own process, not on an external executor.

    Attributes:
        options: Arguments of fsspec's file system, which may be credentials.
        renew: Returns the file with a new signed URL, so that a broken download can resume; None: not possible.
        ended: Returns whether the run is ending.
        clock: Measures and waits.
    """

    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    renew: Callable[[], RemoteFile] | None = None
    ended: Callable[[], bool] = _never
    clock: Clock | None = None


NOWHERE = Host()


def values_of(column: Column) -> dict[str, Any]:
    """Return a column as JSON values."""
    return {"name": column.name, "kind": column.kind.value, "schema": column.schema}


def column_of(values: Mapping[str, Any]) -> Column:
    """Return the column that JSON values describe."""
    return Column(values["name"], Kind(values["kind"]), values["schema"])


def reject_values(reject: Reject) -> dict[str, Any]:
    """Return a reject as JSON values."""
    return asdict(reject)


def layout_values(layout: Layout) -> dict[str, Any]:
    """Return a layout as JSON values; columns go without their schemas, which decoding does not need."""
    return {
        "columns": [{"name": c.name, "kind": c.kind.value, "schema": None} for c in layout.columns.values()],
        "deselected": sorted(layout.deselected),
        "aliases": dict(layout.aliases),
        "contract": layout.contract.value,
        "csv": layout.csv.values(),
        "skip_rows": layout.skip_rows,
        "instants": sorted(layout.instants),
        "optional": sorted(layout.optional),
        "cast": layout.cast,
        "recognised": sorted(layout.recognised),
        "expected": sorted(layout.expected),
        "keys": list(layout.keys),
        "longest_name": layout.longest_name,
    }


def raised(error: Mapping[str, Any]) -> TapError:
    """Return the exception for the `error` of a result; an unknown kind becomes `StopError`."""
    kind = getattr(errors, error["kind"], StopError)
    made: TapError = (kind if issubclass(kind, TapError) else StopError)(error["message"])
    return made
