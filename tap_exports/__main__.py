"""The command `tap-exports`; it imports what it consists of with the garbage collector at rest."""

from __future__ import annotations

import gc
from typing import NoReturn


def main() -> NoReturn:
    """Run the tap and end the process; the exit code is 0 only when every selected stream is complete."""
    gc.disable()
    from tap_exports.command import command  # noqa: PLC0415 - not before: see above

    gc.freeze()  # what the imports left is never garbage, and need not be looked through again
    gc.enable()
    command()


if __name__ == "__main__":
    main()
