"""Forks processes that have imported the tap: a start costs milliseconds instead of a second of imports.

`tests/process/child.py` gives the orders. Each comes over the socket that is stdin: one byte with four files, which are
the child's stdin, stdout, stderr and a line. The line brings the order as JSON and takes back the child's process id,
`stopped` whenever it stops, and its exit code.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import tempfile
from importlib import import_module
from json import loads
from posix import _exit  # not `os._exit`, in which coverage saves what it measured
from typing import Any, NoReturn

from tap_exports.tap import PROVIDERS, discoverer

FILES = 4
ALSO_IMPORTED = (
    "pyarrow.dataset",
    "pyarrow.parquet",
    "tap_exports.command",
    "tap_exports.engine.archive",
    "tap_exports.engine.publish.storage",
    "tap_exports.sandbox.__main__",
)
DEFAULTED = {signal.SIGTERM, signal.SIGHUP, signal.SIGABRT, signal.SIGCHLD}


def serve(orders: socket.socket) -> None:
    """Fork a child for each order, until nobody can give one any more; in the child, run what was ordered."""
    for provider in PROVIDERS:
        discoverer(provider)  # imports its streams
    for name in ALSO_IMPORTED:
        import_module(name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait for the children
    while True:
        _, files, _, _ = socket.recv_fds(orders, 1, FILES)
        if not files:
            break
        if not os.fork():
            orders.close()
            _look_after(files)
        for each in files:
            os.close(each)


def _look_after(files: list[int]) -> NoReturn:
    """Fork the child and report what becomes of it."""
    *streams, last = files
    with socket.socket(fileno=last) as line:
        order = loads(line.makefile("r").readline())
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if pid := os.fork():
            for each in streams:
                os.close(each)
            _report(pid, line)
    _become(order, streams)


def _report(pid: int, line: socket.socket) -> NoReturn:
    """Report on a child and end."""
    try:
        line.sendall(b"%d\n" % pid)
        while os.WIFSTOPPED(status := os.waitpid(pid, os.WUNTRACED)[1]):
            line.sendall(b"stopped\n")
        line.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    finally:
        _exit(0)


def _become(order: dict[str, Any], streams: list[int]) -> NoReturn:
    """Be the process that was ordered."""
    for number, opened in enumerate(streams):
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    tempfile.tempdir = None  # it is where TMPDIR says
    sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    module, _, function = order["entry"].partition(":")
    sys.argv = ["__main__.py", *order["arguments"]]
    sys.modules["__main__"].__package__ = module.partition(".")[0]  # as `python -m` has it
    for number in DEFAULTED:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    getattr(import_module(module), function)(**order["given"])
    sys.exit()


if __name__ == "__main__":
    serve(socket.socket(fileno=os.dup(0)))
