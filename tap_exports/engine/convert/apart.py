"""Short work beside a worker's own: loads nothing itself, since it is unpickled in the event loop of a Dask worker."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any


async def apart(module: str, name: str, task: dict[str, Any]) -> Any:  # noqa: ANN401 - whatever the function returns
    """Return what a function of a module returns, called in a thread: to load the module takes seconds."""
    return await asyncio.get_running_loop().run_in_executor(None, _called, module, name, task)


def _called(module: str, name: str, task: dict[str, Any]) -> Any:  # noqa: ANN401 - as above
    return getattr(importlib.import_module(module), name)(task)
