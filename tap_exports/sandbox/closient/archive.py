"""Archives: a manifest, YAML files and binary files, as zip or tar.gz, the same bytes every time."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, BinaryIO

import yaml

from tap_exports.sandbox.closient.seed import Document, Record, Section

FORMATS = ("zip", "tar.gz")
MEDIA_TYPES = {"zip": "application/zip", "tar.gz": "application/gzip"}
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_AT_ONCE = 10_000
_ZIP_TIME = (2024, 1, 1, 0, 0, 0)

Member = tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class Archive:
    """One archive.

    Attributes:
        head: what the manifest says beside the sections.
        sections: in the order of the archive.
        root: folder that everything is in, empty for none.
        count_error: added to the true record count of the first section.
    """

    head: Record
    sections: list[Section]
    root: str = ""
    count_error: int = 0

    @property
    def large(self) -> bool:
        """Whether it is to be written beside the request, with its job waiting for it."""
        return sum(len(section.documents) for section in self.sections) > _AT_ONCE

    def inventory(self) -> list[Record]:
        """Return the sections as the job and the manifest show them."""
        return [
            {
                "key": section.key,
                "status": "failed" if section.error else "completed",
                "record_count": section.records + (0 if number else self.count_error),
                "binary_count": len(section.binaries),
                "error": section.error,
            }
            for number, section in enumerate(self.sections)
        ]

    def members(self) -> Iterator[Member]:
        """Yield the files: the manifest first, then section by section."""
        prefix = f"{self.root}/" if self.root else ""
        yield f"{prefix}manifest.yaml", _yaml({**self.head, "sections": self.inventory()})
        for section in self.sections:
            for document in section.documents:
                yield prefix + document.path, _document(document)
            for binary in section.binaries:
                yield prefix + binary.path, binary.data

    def records(self) -> Iterator[Record]:
        """Yield every record: section, path, index in its file (from 0), and itself with dates as ISO text."""
        for section in self.sections:
            for document in section.documents:
                for index, record in enumerate(document.records):
                    place = {"section": section.key, "path": document.path, "index": index}
                    yield {**place, "record": _plain(record)}

    def writer(self, kind: str) -> Callable[[BinaryIO], None]:
        """Return how to write the archive; `kind` is one of `FORMATS`."""
        return lambda file: (_write_zip if kind == "zip" else _write_tar)(file, self.members())


def _write_zip(file: BinaryIO, members: Iterable[Member]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path, data in members:
            entry = zipfile.ZipInfo(path, _ZIP_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)


def _write_tar(file: BinaryIO, members: Iterable[Member]) -> None:
    with (
        gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1, mtime=0, filename="") as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for path, data in members:
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


def _document(document: Document) -> bytes:
    if document.listed:
        return _yaml(list(document.records))
    return b"---\n".join(_yaml(record) for record in document.records)


def _yaml(value: Any) -> bytes:
    text = yaml.dump(value, Dumper=_DUMPER, allow_unicode=True, sort_keys=False)
    return str(text).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, date) else value
