"""The command `tap-exports`; it imports the package with garbage collection disabled, for a faster start.

The first argument may name a subcommand; all else is the Singer command, which takes options only.
"""

from __future__ import annotations

import gc
import sys
from typing import NoReturn

INTERRUPTED = 130


def main() -> NoReturn:
    """Run the tap or a subcommand and end the process with an exit code."""
    gc.disable()
    try:
        from tap_exports.command import command  # noqa: PLC0415 - after gc.disable()

        call = None
        if sys.argv[1:2] and not sys.argv[1].startswith("-"):
            from tap_exports.operator.entry import operate  # noqa: PLC0415 - a run does without it

            call = operate
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    gc.freeze()  # excludes the imported objects, which live as long as the process, from later collections
    gc.enable()
    command(call)


if __name__ == "__main__":
    main()
