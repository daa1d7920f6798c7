"""Nothing but pyarrow's CSV parser over an HTTP reply: `python -m bench.peers.pyarrow_parse URL`, prints the rows.

Docs: https://arrow.apache.org/docs/python/csv.html, incremental reading; types are inferred, as by default.
"""

from __future__ import annotations

import sys
from typing import IO, cast

import requests
from pyarrow import csv


def main(url: str) -> None:
    """Parse and count."""
    with requests.get(url, stream=True, timeout=60) as reply:
        reply.raise_for_status()
        options = csv.ParseOptions(newlines_in_values=True)
        with csv.open_csv(cast("IO[bytes]", reply.raw), parse_options=options) as batches:
            print(sum(batch.num_rows for batch in batches))


if __name__ == "__main__":
    main(sys.argv[1])
