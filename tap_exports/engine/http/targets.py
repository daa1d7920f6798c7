"""What stands in a request line, byte for byte: a signature may cover every character, and libraries tidy URLs up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

_NOT_SENDABLE = re.compile(r"[^\x21-\x7e]+")
_DROPPED = re.compile(r"[\t\r\n]")  # as browsers and `urlsplit` do


class Headers(dict[str, str]):
    """The headers of a request, and the target that they go out with; of names that differ in case the last counts.

    Attributes:
        target: Path and query, or the whole URL for a proxy of plain http.
    """

    def __init__(self, headers: Mapping[str, str], target: str) -> None:
        """Keep both."""
        super().__init__({name.lower(): (name, value) for name, value in headers.items()}.values())
        self.target = target

    def copy(self) -> Headers:
        """Return a copy with the same target."""
        return Headers(self, self.target)


def split_target(url: str) -> tuple[str, str]:
    """Return origin and target of an URL; only what no request line can carry is escaped.

    Args:
        url: Absolute; its fragment is dropped.

    Raises:
        ValueError: It cannot be parsed.
    """
    url = _DROPPED.sub("", url.strip())
    parts = urlsplit(url)
    rest = url.partition("://")[2][len(parts.netloc) :].partition("#")[0]
    target = rest if rest.startswith("/") else f"/{rest}"
    return f"{parts.scheme}://{parts.netloc}", _NOT_SENDABLE.sub(lambda found: quote(found[0]), target)
