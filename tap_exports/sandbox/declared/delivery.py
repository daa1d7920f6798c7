"""The files of a declared provider: whole or in parts, at signed URLs, at URLs that need the key, or behind the API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from tap_exports.sandbox.declared.orders import Order
from tap_exports.sandbox.declared.rows import Form, Table
from tap_exports.sandbox.files import FileStore

Spec = Mapping[str, Any]
MEDIA = {"csv": "text/csv", "tsv": "text/tab-separated-values", "json": "application/json", "jsonl": "application/json"}
WHOLE = -1


class Delivery:
    """Writes the files of jobs.

    Args:
        spec: The declaration.
        table: The rows behind it.
        store: Where signed files are.
        provider: The provider's name.
        page_rows: Rows of a part.
    """

    def __init__(self, spec: Spec, table: Table, store: FileStore, provider: str, page_rows: int) -> None:
        """Keep the parts."""
        self._files, self._table, self._store, self._provider = spec["files"], table, store, provider
        self._page_rows, rows = page_rows, self._files.get("rows", {})
        self._form = Form(self._files.get("format", "csv"), rows.get("at", ""), "columns_at" in rows)
        self._first = self._files.get("pages", {}).get("first", 1 if "count" in self._files.get("pages", {}) else 0)

    @property
    def names(self) -> list[str]:
        """Return the names of the columns."""
        return self._table.names

    def number(self, name: object) -> int:
        """Return the number of the part, from 0, that a request names; the first where it names none."""
        return 0 if name is None else int(str(name)) - self._offset

    @property
    def _offset(self) -> int:
        return self._first if isinstance(self._first, int) else 0

    def parts(self, order: Order) -> int:
        """Return the number of parts; an empty export has one."""
        return max(1, -(-len(order.rows) // self._page_rows))

    def after(self, order: Order, number: int) -> int | None:
        """Return what names the part behind another one, or None."""
        return number + 1 + self._offset if number + 1 < self.parts(order) else None

    def whole(self, order: Order) -> bytes:
        """Return all rows of a job as one file."""
        return self._table.encoded(order.rows, self._form)

    def part(self, order: Order, number: int, outer: object = None) -> bytes:
        """Return some rows of a job."""
        first = number * self._page_rows
        return self._table.encoded(order.rows[first : first + self._page_rows], self._form, outer)

    def url(self, order: Order, address: str, number: int = WHOLE) -> str:
        """Return the URL of a file, or of a part: a signed one, or one that needs the key.

        Args:
            order: The job.
            address: The API's own URL.
            number: Of the part.
        """
        if self._files.get("keyed"):
            return f"{address}/_keyed/{order.id}/{number}"
        path = f"/{self._provider}/{order.id}{'' if number == WHOLE else f'-{number}'}.{self._form.name}"
        content = self._store.content(path, self._writer(order, number))
        content.make()
        self._store.publish(path, content, style="token", media_type=MEDIA[self._form.name])
        return self._store.sign(path)[0]

    def _writer(self, order: Order, number: int) -> Callable[[BinaryIO], None]:
        def write(file: BinaryIO) -> None:
            file.write(self.whole(order) if number == WHOLE else self.part(order, number))

        return write
