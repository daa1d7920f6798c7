"""Numbers as people read them."""

from __future__ import annotations

_KILO = 1000


def size(count: int) -> str:
    """Return bytes as `0 B`, `7.5 kB`, `1.2 GB`."""
    amount, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while amount >= _KILO and len(units) > 1:
        amount /= _KILO
        units.pop(0)
    return f"{count} B" if units[0] == "B" else f"{amount:.1f} {units[0]}"


def plain(count: int | None) -> str:
    """Return a count with its thousands apart, and nothing for None."""
    return "" if count is None else f"{count:,}"
