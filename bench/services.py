"""What is served during a measurement, all on loopback: files by nginx, the API by `bench.server`."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.process import BrokenRunError

WAIT_SECONDS = 10
_NGINX = """
{user}daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; sendfile on; tcp_nopush on; default_type application/octet-stream;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; root {data}; }}
}}
"""


@contextmanager
def nginx(data: Path) -> Iterator[str]:
    """Serve a folder and yield the origin.

    Raises:
        BrokenRunError: nginx does not start, or is not there.
    """
    with tempfile.TemporaryDirectory(prefix="bench-nginx-") as made:
        folder, port = Path(made), free_port()
        # Started by root it would change to a user that may not be allowed to read the data.
        user = "user root; " if os.geteuid() == 0 else ""
        text = _NGINX.format(user=user, folder=folder, port=port, data=data.resolve())
        (folder / "nginx.conf").write_text(text, encoding="utf-8")
        command: list[str | Path] = [binary(), "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"]
        with background(command):
            wait_for(port)
            yield f"http://127.0.0.1:{port}"


def binary() -> str:
    """Return nginx' path; Debian installs it where only root looks.

    Raises:
        BrokenRunError: It is not there.
    """
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise BrokenRunError("nginx is missing: install your system's package, on Debian `apt-get install nginx-light`")
    return found


@contextmanager
def api(data: Path, files: str, *, job_seconds: float = 0, latency: float = 0) -> Iterator[str]:
    """Run the API and yield its origin."""
    command: list[str | Path] = [sys.executable, "-m", "bench.server", "--data", data, "--files", files]
    command += ["--job-seconds", str(job_seconds), "--latency", str(latency)]
    with background(command, stdout=subprocess.PIPE) as process:
        origin = process.stdout.readline().decode().strip() if process.stdout else ""
        if not origin:
            raise BrokenRunError("bench.server does not start")
        yield origin


@contextmanager
def background(command: list[str | Path], stdout: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for as long as the block runs."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout) as process:
        try:
            yield process
        finally:
            process.terminate()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for(port: int) -> None:
    """Wait until somebody listens.

    Raises:
        BrokenRunError: Nobody does in time.
    """
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until:
        with socket.socket() as tried:
            if not tried.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.02)
    raise BrokenRunError(f"nobody listens on port {port}")
