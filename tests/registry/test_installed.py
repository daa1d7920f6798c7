"""Providers come through entry points: order, clashes of names, and packages that cannot be used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint

import pytest

from tap_exports import tap
from tap_exports.errors import ConfigError
from tap_exports.registry import installed
from tap_exports.registry.installed import GROUP, Provider

OWN = ("tap-exports", {"exelensia": "tap_exports.providers.exelensia", "cension": "tap_exports.providers.cension"})


@dataclass
class Found:
    """A distribution as `importlib.metadata` finds it."""

    name: str
    points: dict[str, str]
    version: str = "1.0"
    asked: list[str] = field(default_factory=list)

    def read_text(self, _name: str) -> str | None:
        return f"[{GROUP}]" if self.points else None

    @property
    def entry_points(self) -> Iterator[EntryPoint]:
        return (EntryPoint(name, value, GROUP) for name, value in self.points.items())

    @property
    def metadata(self) -> dict[str, str]:
        self.asked.append(self.name)
        return {"Name": self.name}


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Found]]:
    found = [Found(*OWN)]
    monkeypatch.setattr(installed, "distributions", lambda: iter(found))
    for cached in (installed.providers, installed.refused):
        cached.cache_clear()
    yield found
    for cached in (installed.providers, installed.refused):
        cached.cache_clear()


def names(found: Iterable[Provider]) -> list[tuple[str, str, str]]:
    return [(each.name, each.by, each.refusal) for each in found]


def test_own_providers_come_first_and_all_by_name(install: list[Found]) -> None:
    """Whatever the order of the path; nothing but entry points is read of this distribution."""
    install[:0] = [Found("z-exports", {"zeta": "z_exports"}), Found("nothing", {})]
    install += [Found("a-exports", {"alpha": "a_exports", "beta": "a_exports.beta"})]
    assert list(installed.providers()) == ["cension", "exelensia", "alpha", "beta", "zeta"]
    assert names(installed.providers().values())[2] == ("alpha", "a-exports 1.0", "")
    assert next(each for each in install if each.name == "tap-exports").asked == []


def test_a_name_of_two_packages_belongs_to_none(install: list[Found]) -> None:
    """The message names both; nobody's keys go to a package that the user did not mean."""
    install += [Found("one", {"acme": "one"}), Found("two", {"acme": "two"})]
    provider = installed.providers()["acme"]
    assert provider.refusal == "several packages register that name; remove all but one"
    assert provider.by == "one 1.0 and two 1.0"


def test_a_distribution_that_stands_twice_on_the_path_is_one(install: list[Found]) -> None:
    """As in a checkout that is installed too."""
    install += [Found("one", {"acme": "one"}), Found("one", {"acme": "one"}), Found(*OWN)]
    assert names(installed.providers().values())[2:] == [("acme", "one 1.0", "")]


def test_a_built_in_name_cannot_be_taken(install: list[Found]) -> None:
    """The built-in provider stays, wherever the other one stands on the path."""
    install.insert(0, Found("thief", {"exelensia": "thief"}))
    assert installed.providers()["exelensia"].package == "tap_exports.providers.exelensia"
    assert names(installed.refused()) == [("exelensia", "thief 1.0", "the name is that of a built-in provider")]


@pytest.mark.parametrize("name", ["Acme", "acme-exports", "acme_exports", "1acme", "export", ""])
def test_a_name_that_streams_cannot_begin_with_is_refused(install: list[Found], name: str) -> None:
    """The first word of a stream's name says whose it is."""
    install += [Found("one", {name: "one"})]
    assert installed.providers()[name].refusal.startswith("a name is a lower-case letter")


def test_an_installation_without_providers_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of an editable one that was made before providers were registered: no key is called unknown for it."""
    monkeypatch.setattr(tap, "PROVIDERS", ())
    with pytest.raises(ConfigError, match="install the package again"):
        tap.TapExports(config={"cension": {"api_key": "secret"}})
