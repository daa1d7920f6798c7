"""Forks one tap after the other from a process that has imported it: a crash costs milliseconds, not a start of Python.

Reads orders as lines of JSON; answers each with the tap's process id, then with what became of it.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
from typing import Any, NoReturn

from tap_exports.command import command
from tap_exports.tap import PROVIDERS, discoverer
from tests.crash.hooked import end_at, hasten
from tests.crash.points import Place, Strike


def serve() -> None:
    """Carry out orders until stdin ends."""
    for provider in PROVIDERS:
        discoverer(provider)  # once, not by each tap
    gc.freeze()
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            become_tap(json.loads(line))
        tell(pid)
        while True:
            _, status = os.waitpid(pid, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                break
            tell("stopped")
        tell(os.waitstatus_to_exitcode(status))


def tell(news: object) -> None:
    """Write a line; end once nobody listens any more."""
    try:
        os.write(1, f"{news}\n".encode())
    except BrokenPipeError:
        os._exit(0)


def become_tap(order: dict[str, Any]) -> NoReturn:
    """Be the command, with the stdout, stderr and folder that the order names."""
    for number, name, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, order["stdout"], os.O_WRONLY),
        (2, order["stderr"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        opened = os.open(name, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    tempfile.tempdir = order["folder"]
    sys.argv = ["tap-exports", *order["arguments"]]
    if strike := order["strike"]:
        end_at(Strike(Place(**strike["place"]), strike["way"]))
    if order["speed"] != 1:
        hasten(order["speed"])
    command()


if __name__ == "__main__":
    serve()
