"""A bare download whose bytes are dropped: `python -m bench.peers.download URL`; what the server can do at least."""

from __future__ import annotations

import http.client
import sys
from urllib.parse import urlsplit


def main(url: str) -> None:
    """Read everything and print the bytes."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    connection.request("GET", parts.path)
    reply, buffer, size = connection.getresponse(), bytearray(1 << 20), 0
    while read := reply.readinto(buffer):
        size += read
    print(size)


if __name__ == "__main__":
    main(sys.argv[1])
