"""Stand-ins of the repository's pins: the same names, versions, markers and dependencies, with tiny wheels."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.markers import Marker
from packaging.utils import canonicalize_name

from tests.setup.wheels import EXTRA, Wheel

PIN = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[^\s;]+)(?: ; (?P<marker>[^\\]+?))? \\$")
PARENT = re.compile(r"^ +# +(?:via )?(?P<name>[\w.-]+)(?: \(.+\))?$")
OTHER_HASH = "0" * 64


@dataclass(frozen=True, slots=True)
class Pin:
    """One requirement of a pins file.

    Attributes:
        name: Normalized name.
        version: The only version allowed.
        marker: Where it applies; empty for everywhere.
        parents: Names of the packages that require it.
    """

    name: str
    version: str
    marker: str = ""
    parents: tuple[str, ...] = ()

    @property
    def applies(self) -> bool:
        """Tell whether it is for this interpreter and system."""
        return not self.marker or Marker(self.marker).evaluate()

    @property
    def condition(self) -> str:
        """Return the marker as it follows a requirement."""
        return f" ; {self.marker}" if self.marker else ""


def read(path: Path) -> list[Pin]:
    """Read a pins file that uv has written."""
    pins: list[Pin] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if found := PIN.match(line):
            pins.append(Pin(canonicalize_name(found["name"]), found["version"], found["marker"] or ""))
        elif (found := PARENT.match(line)) and found["name"] != "via":
            pins[-1] = replace(pins[-1], parents=(*pins[-1].parents, canonicalize_name(found["name"])))
    return pins


def pinned(pins: list[Pin]) -> dict[Pin, Wheel]:
    """Make a wheel for each pin, which requires its dependencies with an extra, whatever the real one asks for.

    What a real package asks for with an extra today, another may tomorrow: all of them do here.
    """
    requires = defaultdict(list)
    for pin in pins:
        for parent in pin.parents:
            requires[parent].append(f"{pin.name}[{EXTRA}]>={pin.version}{pin.condition}")
    return {pin: Wheel(pin.name, pin.version, tuple(requires[pin.name])) for pin in pins}


def later(pins: list[Pin]) -> Iterator[Wheel]:
    """Make what an index may hold some days after the pins were made, for each of them."""
    for pin in pins:
        yield Wheel(pin.name, pin.version, build="1")
        yield Wheel(pin.name, "97.0", yanked=True)
        yield Wheel(pin.name, "98.0")
        yield Wheel(pin.name, "99.0", (f"{pin.name}-needs-more>=1",))
        yield Wheel(pin.name, "100.0rc1")


def written(wheels: dict[Pin, Wheel]) -> str:
    """Write a pins file for made wheels, in the form of the real ones."""
    lines: list[str] = []
    for pin, wheel in wheels.items():
        hashes = (f"--hash=sha256:{digest}" for digest in (OTHER_HASH, wheel.sha256))
        lines.append(" \\\n    ".join([f"{pin.name}=={pin.version}{pin.condition}", *hashes]))
    return "\n".join([*lines, ""])
