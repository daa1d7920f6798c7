"""The spool's disk and the storages of batches and files, tried with a probe that is removed."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs

from tap_exports.errors import ConfigError
from tap_exports.operator.checks.result import MACHINE, Check, Verdict
from tap_exports.singer.messages.batch_settings import batch_settings

MEBIBYTE = 1 << 20
PROBE = b"tap-exports doctor: this object may be removed\n"


def places(config: Mapping[str, Any]) -> Iterator[Check]:
    """Yield what the configured folders and storages allow."""
    yield _spool(config.get("spool_dir") or tempfile.gettempdir(), config["spool_max_mb"])
    try:
        batches = batch_settings(config)
    except ConfigError as error:
        yield Check(MACHINE, "batch_config", Verdict.FAIL, error.message, "correct batch_config")
        return
    if batches:
        yield _storage("batch_config.storage.root", batches.root, batches.options)
    if url := (config.get("closient") or {}).get("files_storage"):
        yield _storage("closient.files_storage", url, {})


def _spool(folder: str, most_mb: int) -> Check:
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as probe:
            probe.write(PROBE)
            probe.flush()
        free = shutil.disk_usage(folder).free // MEBIBYTE
    except OSError as error:
        remedy = "set spool_dir to a folder that can be written, or make room"
        return Check(MACHINE, "spool", Verdict.FAIL, f"{folder}: {(error.strerror or str(error)).lower()}", remedy)
    detail = f"{folder}: {free} MB free, spool_max_mb is {most_mb}"
    if free < most_mb:
        return Check(MACHINE, "spool", Verdict.WARN, detail, "make room, set spool_dir, or lower spool_max_mb")
    return Check(MACHINE, "spool", Verdict.OK, detail)


def _storage(setting: str, url: str, options: Mapping[str, Any]) -> Check:
    """Write, read and remove an object with a random name."""
    shown = Path(url).name if "://" not in url else url.partition("?")[0].rpartition("@")[2]
    try:
        system, folder = url_to_fs(url, **options)
        name = f"{folder.rstrip('/')}/.doctor-{secrets.token_hex(8)}"
        made = not system.exists(folder)
        system.makedirs(folder, exist_ok=True)
        _probe(system, name)
        if made:
            system.rmdir(folder)
    except Exception as error:  # noqa: BLE001 - each storage has errors of its own
        remedy = f"check {setting}, its credentials and its permissions; s3:// takes the extra tap-exports[s3]"
        return Check(MACHINE, setting, Verdict.FAIL, f"{shown}: {type(error).__name__}", remedy)
    return Check(MACHINE, setting, Verdict.OK, f"{shown}: an object was written, read and removed")


def _probe(system: Any, name: str) -> None:  # noqa: ANN401 - fsspec ships no types
    system.pipe_file(name, PROBE)
    try:
        if system.cat_file(name) != PROBE:
            raise OSError("it reads otherwise than it was written")
    finally:
        system.rm_file(name)
