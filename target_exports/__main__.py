"""The command `target-exports`; errors end with a message and exit code 1, never with a traceback."""

from __future__ import annotations

import gc
import logging
import sys
from contextlib import suppress

import click

from target_exports.errors import LoadError

INTERRUPTED = 130
LOGGER = logging.getLogger("target-exports")


def main() -> int:
    """Run the target and return its exit code."""
    gc.disable()
    try:
        import pyarrow as pa  # noqa: PLC0415 - as below

        with suppress(NotImplementedError):  # jemalloc is not on every system; it returns freed memory sooner
            pa.set_memory_pool(pa.jemalloc_memory_pool())
        from target_exports.target import TargetExports  # noqa: PLC0415 - after gc.disable()

        gc.freeze()
        gc.enable()
        TargetExports.cli(standalone_mode=False)
    except LoadError as error:
        LOGGER.error("%s", error)  # noqa: TRY400 - the message tells all
        return 1
    except (KeyboardInterrupt, click.Abort):  # as which click has it
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except Exception as error:  # last resort: users see one line, the traceback is logged at DEBUG
        LOGGER.debug("failed", exc_info=True)
        LOGGER.error("%s: %s", type(error).__name__, str(error).partition("\n")[0])  # noqa: TRY400 - as above
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
