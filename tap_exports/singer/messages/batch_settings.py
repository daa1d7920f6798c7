"""The setting `batch_config`, in the SDK's own shape, checked before any request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tap_exports.errors import ConfigError

MOST_ROWS = 200_000
FORMATS, COMPRESSIONS = ("jsonl", "parquet"), ("gzip", "none")


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """The setting `batch_config`.

    Attributes:
        format: `jsonl` or `parquet`.
        compression: `gzip` or `none`; in Parquet, `none` means the format's own zstd.
        root: Folder or URL of the storage.
        prefix: First characters of all part names.
        options: Arguments of fsspec's file system (`storage.params`).
        rows: Most rows of a part.
    """

    format: str
    compression: str
    root: str
    prefix: str = ""
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    rows: int = MOST_ROWS


def batch_settings(config: Mapping[str, Any]) -> BatchSettings | None:
    """Return the parsed setting `batch_config`, or None if it is not set.

    Raises:
        ConfigError: It is incomplete, or asks for Parquet while stream maps or flattening are on.
    """
    if not (raw := config.get("batch_config")):
        return None
    encoding, storage = raw.get("encoding") or {}, raw.get("storage") or {}
    form = _one_of(encoding.get("format"), FORMATS, "encoding.format")
    default = "gzip" if form == "jsonl" else "none"
    compression = _one_of(encoding.get("compression") or default, COMPRESSIONS, "encoding.compression")
    if not storage.get("root"):
        raise ConfigError('config: "batch_config.storage.root" is missing: a folder, or an URL such as s3://bucket/x')
    if form == "parquet":
        _refuse_maps(config)
    options, rows = storage.get("params") or {}, _rows(raw.get("batch_size"))
    return BatchSettings(form, compression, storage["root"], storage.get("prefix") or "", options, rows)


def _one_of(value: object, known: tuple[str, ...], key: str) -> str:
    if value not in known:
        raise ConfigError(f'config: "batch_config.{key}" must be one of {", ".join(known)}')
    return str(value)


def _rows(value: object) -> int:
    if value is None:
        return MOST_ROWS
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 1:
        raise ConfigError('config: "batch_config.batch_size" must be a number of rows, at least 1')
    return min(int(value), MOST_ROWS)


def _refuse_maps(config: Mapping[str, Any]) -> None:
    setting = next((k for k in ("stream_maps", "flattening_enabled") if config.get(k)), None)
    if setting:
        msg = f"config: {setting} cannot be applied to Parquet, whose columns are the catalog's"
        raise ConfigError(f"{msg}; set batch_config.encoding.format to jsonl, or remove {setting}")
