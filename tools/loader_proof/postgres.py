"""A PostgreSQL server on loopback for as long as a block runs, from the binaries of this machine."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DEBIAN = "/usr/lib/postgresql"


@contextmanager
def server() -> Iterator[str]:
    """Run a fresh server and yield its URL, `postgresql://proof@127.0.0.1:<port>/postgres`.

    Raises:
        FileNotFoundError: No `initdb` on PATH nor where Debian puts it.
        subprocess.CalledProcessError: The server does not start.
    """
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as made:
        home, port = Path(made), _free_port()
        _give_away(home)
        data = home / "data"
        _run("initdb", "-D", str(data), "-U", "proof", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        options = f"-c listen_addresses=127.0.0.1 -p {port} -k {home} -c fsync=off"
        _run("pg_ctl", "-D", str(data), "-w", "-l", str(home / "log"), "-o", options, "start")
        try:
            yield f"postgresql://proof@127.0.0.1:{port}/postgres"
        finally:
            _run("pg_ctl", "-D", str(data), "-w", "-m", "immediate", "stop")


def _run(name: str, *arguments: str) -> None:
    command = [*_as_other_user(), _binary(name), *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")


def _binary(name: str) -> str:
    versions = sorted(Path(DEBIAN).glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    found = shutil.which(name) or (str(versions[-1]) if versions else None)
    if found is None:
        message = f"{name}: no PostgreSQL server on this machine; install the package `postgresql`"
        raise FileNotFoundError(message)
    return found


def _as_other_user() -> list[str]:
    # PostgreSQL refuses to run as root; Debian's package brings the user `postgres`.
    return ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []


def _give_away(home: Path) -> None:
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(home, user.pw_uid, user.pw_gid)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
