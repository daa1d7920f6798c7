"""How names in a file, or keys of JSON rows, become property names: all different, also where a target folds case."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import count

from tap_exports.engine.decode.layout import Layout

RESERVED = "_sdc_"  # of lineage columns, this tap's and the SDK's
_DIGITS = 8


def is_reserved(name: str) -> bool:
    """Return whether a name could be that of a lineage column."""
    return name[: len(RESERVED)].casefold() == RESERVED


def bounded(name: str, longest: int | None) -> str:
    """Return a name of at most so many bytes: a longer one is cut, and a digest of the whole tells it from others."""
    if longest is None or len(name.encode()) <= longest:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]
    return f"{name.encode()[: longest - _DIGITS - 1].decode(errors='ignore')}_{digest}"


def property_names(header: Sequence[str], layout: Layout) -> list[str]:
    """Return one property name for each column of a file, all different without case.

    An empty name becomes `column_<position>`. One that is taken (repeated, or equal but for case; by the catalog, too)
    and one that begins like a lineage column gets `_2`, `_3`, …: the first number that makes it differ from every name
    in the header. A name that the catalog knows as it is keeps it. A name that is too long is cut. Aliases apply last.
    """
    plain = [name or f"column_{position}" for position, name in enumerate(header, 1)]
    return _aliased(plain, _Names(plain, layout).free(), layout)


def renamed(keys: Sequence[str], layout: Layout) -> dict[str, str]:
    """Return the property of each key of JSON rows that has another name; the rules of `property_names`."""
    names = _aliased(keys, _Names(keys, layout).free(), layout)
    return {key: name for key, name in zip(keys, names, strict=True) if key != name}


class _Names:
    """The names of one header against those of the catalog.

    Args:
        header: The names, none of them empty.
        layout: What the catalog knows.
    """

    def __init__(self, header: Sequence[str], layout: Layout) -> None:
        self._header, self._layout, self._longest = header, layout, layout.longest_name
        self._known = {*layout.columns, *layout.deselected}
        self._folded: Mapping[str, str] = {name.casefold(): name for name in self._known}
        self._spelt = {name.casefold() for name in header}
        self._numbers: defaultdict[str, Iterator[int]] = defaultdict(lambda: count(2))  # none is tried twice

    def free(self) -> list[str]:
        """Return the names; those that the catalog knows are given away first."""
        exact = set(filter(self._is_exact, self._header))
        taken = {name.casefold() for name in exact}
        names: list[str] = []
        for name in self._header:
            names.append(name if name in exact else self._numbered(name, taken))
            exact.discard(name)
            taken.add(names[-1].casefold())
        return names

    def _is_exact(self, name: str) -> bool:
        return name in self._known and not is_reserved(name)

    def _numbered(self, name: str, taken: Collection[str]) -> str:
        short = bounded(name, self._longest)
        if short.casefold() not in taken and not is_reserved(name) and self._is_free(short, name):
            return short
        forms = (bounded(f"{name}_{number}", self._longest) for number in self._numbers[name.casefold()])
        return next(form for form in forms if not self._is_taken(form.casefold(), taken) and self._is_free(form, ""))

    def _is_taken(self, folded: str, taken: Collection[str]) -> bool:
        return folded in taken or folded in self._spelt

    def _is_free(self, form: str, name: str) -> bool:
        """Tell whether the catalog knows no other property that is equal without case."""
        return name in self._layout.aliases or self._folded.get(form.casefold(), form) == form


def _aliased(header: Sequence[str], names: list[str], layout: Layout) -> list[str]:
    """Replace names by their aliases' properties, each property once."""
    owners = {name.casefold(): index for index, name in enumerate(names)}
    for index, name in enumerate(header):
        target = bounded(layout.aliases.get(name, ""), layout.longest_name)
        if target and owners.setdefault(target.casefold(), index) == index:
            names[index] = target
    return names
