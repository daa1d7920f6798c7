"""The work on an archive: the rows of one stream, written to parts; what proves them goes back to the tap."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import asdict
from typing import Any

from tap_exports.engine.archive import ArchiveLimits, Counts, survey
from tap_exports.engine.convert.parts import Parts
from tap_exports.engine.convert.task import Result
from tap_exports.engine.model import LocalFile, Rows
from tap_exports.engine.read.members import batches, record_rows


def unpack(file: LocalFile, asked: Mapping[str, Any], parts: Parts, result: Result) -> None:
    """Write the items of the YAML files in an archive to parts.

    Args:
        file: The archive.
        asked: `keys` of the sections that the job declares, and `limits` of the archive.
        parts: Takes the rows.
        result: Gets `survey`, the first pass over the archive, and `found`, the number of items by section.
    """
    limits, keys = ArchiveLimits(**asked["limits"]), frozenset(asked["keys"])
    found, counts = survey(file.path, limits), Counts()
    content = json.loads(json.dumps(found.content, default=str))  # YAML's decimals and dates as text
    result["survey"] = {**asdict(found), "content": content}

    def rows() -> Generator[Rows, None, None]:
        yield from batches(record_rows((file.path, found), keys, limits, counts), {})

    parts.take(rows())
    result["found"] = dict(counts.found)
