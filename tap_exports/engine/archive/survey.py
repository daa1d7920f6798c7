"""A first pass over an archive: every member is one that may be there, and where manifest and root are."""

from __future__ import annotations

import json
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tap_exports.engine.archive.documents import read_items
from tap_exports.engine.archive.member import Member
from tap_exports.engine.archive.read import read_members
from tap_exports.engine.unpacked import MEBIBYTE, ArchiveLimits
from tap_exports.errors import BadContentError, LimitError

MANIFESTS = ("manifest.yaml", "manifest.yml", "manifest.json")
_DEEPEST_MANIFEST = 3  # parts of its path
_LARGEST_MANIFEST = 16 * MEBIBYTE
_HASH_BITS = 0xFFFFFFFFFFFFFFFF


@dataclass(frozen=True, slots=True)
class Survey:
    """What a first pass tells.

    Attributes:
        root: What the paths begin with, `""` or with a final slash: the manifest's folder, or the only one at the top.
        manifest: The manifest's path, None where there is none.
        content: What the manifest holds.
        members: Files in the archive.
    """

    root: str
    manifest: str | None
    content: Mapping[str, Any]
    members: int


def survey(path: Path, limits: ArchiveLimits) -> Survey:
    """Return what a first pass over an archive tells; a tar.gz is read to its checksum.

    Raises:
        BadContentError: The archive is damaged, holds what it may not hold, one name twice, or an unreadable manifest.
        LimitError: It holds more than it may.
    """
    names: array[int] = array("Q")
    tops: set[str] = set()
    best: tuple[tuple[int, int, str], Mapping[str, Any]] | None = None
    for member in read_members(path, limits):
        names.append(hash(member.path) & _HASH_BITS)
        if len(tops) <= 1:
            tops.add(member.path.partition("/")[0] if "/" in member.path else "")
        rank = _rank(member.path)
        if rank is not None and (best is None or rank < best[0]):
            best = rank, _content(member)
    _refuse_repeats(names)
    if best is not None:
        found = best[0][2]
        return Survey(found[: found.rfind("/") + 1], found, best[1], len(names))
    root = f"{tops.pop()}/" if len(tops) == 1 and tops != {""} else ""
    return Survey(root, None, {}, len(names))


def _rank(path: str) -> tuple[int, int, str] | None:
    """Return what orders manifests, the nearest to the root first; None for any other file."""
    name, parts = path.rpartition("/")[2].lower(), path.count("/") + 1
    return (parts, MANIFESTS.index(name), path) if name in MANIFESTS and parts <= _DEEPEST_MANIFEST else None


def _content(member: Member) -> Mapping[str, Any]:
    """Return what a manifest holds."""
    is_json = member.path.lower().endswith(".json")
    value = _json(member) if is_json else next((item.value for item in read_items(member, member.path)), {})
    if not isinstance(value, dict):
        raise BadContentError(f"{member.path}: a manifest is a mapping")
    return value


def _json(member: Member) -> Any:  # noqa: ANN401 - any JSON value
    data = b""
    for chunk in member.chunks():
        data += chunk
        if len(data) > _LARGEST_MANIFEST:
            raise LimitError(f"{member.path}: a manifest of more than {_LARGEST_MANIFEST // MEBIBYTE} MiB")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise BadContentError(f"{member.path}: not JSON") from None


def _refuse_repeats(names: array[int]) -> None:
    """Refuse two members of one name: the second would silently take the first one's place.

    Raises:
        BadContentError: There are two.
    """
    hashes = pa.Array.from_buffers(pa.uint64(), len(names), [None, pa.py_buffer(names)])
    ordered = hashes.sort()
    if pc.any(pc.equal(ordered[1:], ordered[:-1])).as_py():
        raise BadContentError("it has two members of one name")
