"""A build hook of hatchling: README.md as package metadata, where its relative links must be absolute.

The links lead to the `Source` of `[project.urls]`, at the tag of the version. In the repository they stay relative, so
that tools/links.py can check them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_RELATIVE = re.compile(r"(?<=\]\()(?![a-z][a-z0-9+.-]*:)([^)\s]+)(?=\))", re.IGNORECASE)


class Readme(MetadataHookInterface):
    """Sets the project's readme, which pyproject.toml names as dynamic."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add `readme` to the metadata of the project."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        made = absolute(text, metadata["urls"]["Source"], f"v{metadata['version']}")
        metadata["readme"] = {"content-type": "text/markdown", "text": made}


def absolute(text: str, source: str, tag: str) -> str:
    """Return Markdown with each relative link as an address below `source`, at `tag`."""
    return _RELATIVE.sub(lambda link: _address(link[1], source, tag), text)


def _address(link: str, source: str, tag: str) -> str:
    name, _, fragment = link.partition("#")
    kind = "tree" if name.endswith("/") else "blob"
    address = f"{source}/{kind}/{tag}/{name or 'README.md'}"
    return f"{address}#{fragment}" if fragment else address
