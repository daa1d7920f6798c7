"""Bare GET requests of pages over raw connections: what the API server can do at least.

Run as `python -m bench.peers.requests_in_flight ORIGIN PAGES CONNECTIONS`; prints the bytes. Every connection
sends its next request when the last reply is there, and nothing is done with a body.
"""

from __future__ import annotations

import asyncio
import re
import sys
from urllib.parse import urlsplit


async def one(host: str, port: int, numbers: list[int]) -> int:
    """Ask for pages over one connection."""
    reader, writer = await asyncio.open_connection(host, port)
    size = 0
    for number in numbers:
        writer.write(f"GET /v1/results?page={number} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"Content-Length: (\d+)", head)
        size += len(await reader.readexactly(int(found[1]) if found else 0))
    writer.close()
    return size


async def main(origin: str, pages: int, connections: int) -> None:
    """Ask for all pages."""
    parts = urlsplit(origin)
    numbers = list(range(1, pages + 1))
    parts_of = [numbers[start::connections] for start in range(connections)]
    print(sum(await asyncio.gather(*(one(parts.hostname or "", parts.port or 80, each) for each in parts_of))))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
