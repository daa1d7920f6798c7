"""The command `tap-exports`; it imports the package with garbage collection disabled, for a faster start."""

from __future__ import annotations

import gc
from typing import NoReturn


def main() -> NoReturn:
    """Run the tap and end the process; the exit code is 0 only when every selected stream is complete."""
    gc.disable()
    from tap_exports.command import command  # noqa: PLC0415 - after gc.disable()

    gc.freeze()  # excludes the imported objects, which live as long as the process, from later collections
    gc.enable()
    command()


if __name__ == "__main__":
    main()
