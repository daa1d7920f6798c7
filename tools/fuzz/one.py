"""Fuzz one reader in this process: `python -m tools.fuzz.one TARGET [libFuzzer's arguments]`."""

from __future__ import annotations

import logging
import sys

import atheris

with atheris.instrument_imports(include=["tap_exports"]):
    from tools.fuzz.targets import TARGETS


def main() -> None:
    """Fuzz until libFuzzer ends the process."""
    logging.disable(logging.CRITICAL)
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[sys.argv[1]])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
