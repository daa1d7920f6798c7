"""The organizations of Closient, and what stands in their archives.

Documents carry what breaks careless YAML readers: GTINs and codes with leading zeros, `NO`, texts that look like
numbers, dates or null, long whole numbers, line ends, other scripts, an unquoted date, a document per file, a list per
file, several documents in one file.
"""

from __future__ import annotations

import functools
import hashlib
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from tap_exports.sandbox.companies import companies
from tap_exports.sandbox.ids import named_uuid, short

Record = dict[str, Any]

ACME, SOUND, BROKEN, LOAD, STRANGER = (
    short(named_uuid(f"closient {name}")) for name in ("acme", "sound", "broken", "load", "stranger")
)
NAMES = {ACME: "Acme Foods, Inc.", SOUND: "Sönd GmbH", BROKEN: "Bröken GmbH", LOAD: "Load Ltd."}
PRODUCTS = 24
_TEXTS = (
    "NO",
    "007",
    "1e5",
    "null",
    "~",
    "2024-05-01",
    "",
    "Grüße\nzwei Zeilen",
    "yes: no # maybe",
    " padded ",
    "東京",
)


@dataclass(frozen=True, slots=True)
class Binary:
    """A file that is not YAML."""

    path: str
    data: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML file: `records` in one list when `listed`, else one mapping each, as documents of their own."""

    path: str
    records: Sequence[Record]
    listed: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """One section of an archive; a failed one has an error and holds nothing."""

    key: str
    documents: Sequence[Document] = ()
    binaries: Sequence[Binary] = ()
    error: str | None = None

    @property
    def records(self) -> int:
        """The number of records."""
        if isinstance(self.documents, Generated):
            return len(self.documents)
        return sum(len(document.records) for document in self.documents)


class Generated(Sequence[Document]):
    """The documents of the load organization, one record each, made when they are asked for."""

    def __init__(self, size: int) -> None:
        """Offer `size` documents."""
        self._size = size

    def __len__(self) -> int:
        """Return the number of documents."""
        return self._size

    def __getitem__(self, index: Any) -> Any:
        """Make one document, or several."""
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(self._size))]
        if not 0 <= index < self._size:
            raise IndexError(index)
        record = {"gtin": f"{index:014d}", "name": f"Trade item {index}", "net_weight": index % 1000, "active": True}
        return Document(f"trade_items/{index // 1000:04d}/{index:08d}.yaml", [record])


def sections(organization: str, grown: int, rows: int, style: str) -> list[Section]:
    """Return the sections of an organization's archive.

    Args:
        organization: shortuuid.
        grown: number of products beyond the seeded ones.
        rows: number of documents of the load organization.
        style: `mixed`, `per_record` or `per_section` files.
    """
    if organization == LOAD:
        return [Section("trade_items", Generated(rows))]
    broken = organization == BROKEN
    size = PRODUCTS + grown if organization == ACME else 5
    products = [_product(number) for number in range(size)]
    error = "Could not read certificates: storage timed out"
    return [
        Section("organization", [Document("organization.yaml", [_organization(organization)])]),
        Section("products", _products(products, style), [_image(number) for number in range(0, size, 3)]),
        Section("brands", _listed("brands", [_brand(number) for number in range(4)], style)),
        Section("locations", [Document("locations/all.yaml", [_location(number) for number in range(3)])]),
        Section("certificates", error=error) if broken else _certificates(),
        Section("recalls", [Document("recalls.yaml", [], listed=True)]),
    ]


def _products(products: list[Record], style: str) -> list[Document]:
    if style == "per_section":
        return _listed("products", products, style)
    return [Document(f"products/{product['gtin']}.yaml", [product]) for product in products]


def _listed(key: str, records: list[Record], style: str) -> list[Document]:
    if style == "per_record":
        return [Document(f"{key}/{number:03d}.yaml", [record]) for number, record in enumerate(records)]
    return [Document(f"{key}.yaml", records, listed=True)]


def _organization(organization: str) -> Record:
    return {"id": organization, "name": NAMES[organization], "country": "NO", "is_brand": True, "metadata": {}}


def _product(number: int) -> Record:
    record = {
        "id": short(named_uuid(f"closient product {number}")),
        "gtin": f"{number * 7919:014d}",
        "name": companies()[number % 503]["Security"],
        "description": _TEXTS[number % len(_TEXTS)],
        "price": {"amount": f"{number}.90", "currency": "USD"},
        "launched": date(2024, 1 + number % 12, 1 + number % 28),
        "created": f"2024-01-{1 + number % 28:02d}T08:00:00Z",
        "units": 12345678901234567890 + number,
        "weight_kg": number / 4,
        "discontinued": None if number % 3 == 0 else number % 2 == 0,
        "claims": ["vegan", "älter"][: number % 3],
    }
    return {**record, "allergens": [{"code": f"{number:03d}", "level": "may contain"}]} if number % 4 == 0 else record


def _brand(number: int) -> Record:
    return {"id": number + 1, "public_id": f"aceg{number}", "name": f"Brand {number}", "note": _TEXTS[number]}


def _location(number: int) -> Record:
    return {"gln": f"{number:013d}", "name": f"Plant {number}", "geo": {"lat": 59.9 + number, "lon": -0.5}}


def _certificates() -> Section:
    records = [{"id": f"{number:04d}", "file": f"certificates/files/{number:04d}.pdf"} for number in range(3)]
    binaries = [Binary(record["file"], _pdf(record["id"]), "application/pdf") for record in records]
    return Section("certificates", [Document("certificates/index.yaml", records, listed=True)], binaries)


@functools.cache
def _image(number: int) -> Binary:
    return Binary(f"products/images/{number * 7919:014d}.png", _png(number), "image/png")


def _png(number: int) -> bytes:
    # Noise does not compress, so that the images have a size worth streaming.
    side = 8 + 16 * number
    noise = b"".join(_noise(f"{number}", side * side))
    rows = b"".join(b"\x00" + noise[side * row : side * (row + 1)] for row in range(side))
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _noise(name: str, size: int) -> Iterator[bytes]:
    for block in range(-(-size // 32)):
        yield hashlib.sha256(f"{name}:{block}".encode()).digest()


def _pdf(name: str) -> bytes:
    return f"%PDF-1.4\n1 0 obj << /Title ({name}) >> endobj\ntrailer << /Root 1 0 R >>\n%%EOF\n".encode()
