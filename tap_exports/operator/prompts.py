"""Questions to the person at the terminal."""

from __future__ import annotations

import sys

import click

from tap_exports.errors import ConfigError


def asked(what: str, instead: str, kind: click.Choice[str] | None = None, *, hidden: bool = False) -> str:
    """Return what a person types; a key is not shown.

    Raises:
        ConfigError: There is no terminal to ask at.
    """
    if not sys.stdin.isatty():
        raise ConfigError(f"no {what}: set {instead}, or call init on a terminal")
    answer: str = click.prompt(what, type=kind, hide_input=hidden, err=True)
    return answer


def optional(what: str, default: str) -> str:
    """Return what a person types, or the default; it may be empty."""
    answer: str = click.prompt(what, default=default, err=True)
    return answer


def is_possible() -> bool:
    """Return whether there is a terminal to ask at."""
    return sys.stdin.isatty()
