"""Providers that other packages bring: which there are, and which of them cannot be used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tap_exports.operator.checks.result import MACHINE, Check, Verdict
from tap_exports.registry import BROKEN, providers, refused

NAME = "provider package"


def packages(config: Mapping[str, Any]) -> Iterator[Check]:
    """Yield a finding per provider of another package; one that is not configured is no failure."""
    for provider in providers().values():
        if error := BROKEN.get(provider.name):
            verdict = Verdict.FAIL if config.get(provider.name) else Verdict.WARN
            yield Check(MACHINE, NAME, verdict, error.message, "mend or remove the package; docs/providers.md")
        elif not provider.is_own:
            yield Check(MACHINE, NAME, Verdict.OK, f"{provider.name} of {provider.by}")
    for provider in refused():
        yield Check(MACHINE, NAME, Verdict.WARN, provider.refused(provider.refusal), "remove the package")
