"""The providers that are installed: packages that distributions name in one group of entry points.

An entry point's name is the provider's name, and with it the name of its block in the configuration. Its value is a
package with two modules: `settings` with `SETTINGS`, the property of that name, and `streams` with `discover`, which
yields the streams of a block. The providers of this distribution come through the same group.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import Distribution, distributions
from types import ModuleType

GROUP = "tap_exports.providers"
OWN = f"{GROUP}."  # packages of this distribution
NAME = re.compile(r"[a-z][a-z0-9]*")
RESERVED = frozenset({"export"})  # `export_jobs` and `export_rejects` are the tap's own streams


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider as it was registered.

    Attributes:
        name: Its name.
        package: The package with its modules.
        by: The distribution that registered it and its version, for messages; empty for those of this distribution.
        refusal: Why it cannot be used; empty where nothing is known against it.
    """

    name: str
    package: str
    by: str = ""
    refusal: str = ""

    @property
    def is_own(self) -> bool:
        """Return whether it belongs to this distribution."""
        return not self.by

    def module(self, name: str) -> ModuleType:
        """Import one of its modules.

        Raises:
            Exception: Whatever the module raises.
        """
        return import_module(f"{self.package}.{name}")

    def refused(self, reason: str) -> str:
        """Return the message that it cannot be used."""
        return f"{self.name}: the provider of the package {self.by} cannot be used: {reason}"


@cache
def providers() -> dict[str, Provider]:
    """Return the installed providers by name: those of this distribution first, all by name.

    A name that several packages register belongs to this distribution if it is one of its own, else to none of them.
    """
    claims = dict.fromkeys(_claims())
    own = {each.name: each for each in sorted(claims, key=lambda each: each.name) if each.is_own}
    others: dict[str, list[Provider]] = {}
    for each in claims:
        if not each.is_own:
            others.setdefault(each.name, []).append(each)
    return own | {name: _only(others[name]) for name in sorted(others) if name not in own}


@cache
def refused() -> tuple[Provider, ...]:
    """Return the registrations of others that take a name of this distribution; they are never used."""
    taken = [each for each in dict.fromkeys(_claims()) if not each.is_own and providers()[each.name].is_own]
    why = "the name is that of a built-in provider"
    return tuple(Provider(each.name, each.package, each.by, why) for each in taken)


def _only(claims: list[Provider]) -> Provider:
    first = claims[0]
    if len(claims) > 1:
        both = " and ".join(sorted(each.by for each in claims))
        return Provider(first.name, first.package, both, "several packages register that name; remove all but one")
    if not NAME.fullmatch(first.name) or first.name in RESERVED:
        why = "a name is a lower-case letter, then lower-case letters and digits; and not `export`"
        return Provider(first.name, first.package, first.by, why)
    return first


def _claims() -> Iterator[Provider]:
    """Yield every registration, in the order of the path; the text is searched first, as parsing takes longer."""
    for found in distributions():
        if GROUP in (found.read_text("entry_points.txt") or ""):
            for point in found.entry_points:
                if point.group == GROUP:
                    by = "" if point.value.startswith(OWN) else _named(found)
                    yield Provider(point.name, point.value, by)


def _named(found: Distribution) -> str:
    return f"{found.metadata['Name']} {found.version}"
