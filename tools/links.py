"""Check that every relative link in the Markdown files leads to a file, and every fragment to a heading.

Exit code 1 when one does not. Links to other sites are not followed: the check works offline.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SKIPPED = frozenset({"node_modules", "dist", "build"})
FENCE = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
ELSEWHERE = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def documents() -> list[Path]:
    """List the Markdown files, without what tools made."""
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*.md"))
    return sorted(path for path in found if not any(_is_made(part) for part in path.parts))


def _is_made(part: str) -> bool:
    """Tell of a folder that tools make: all with a dot but the host's own."""
    return part in SKIPPED or (part.startswith(".") and part != ".github")


def prose(path: Path) -> str:
    """Read a document without its code blocks."""
    return FENCE.sub("", (ROOT / path).read_text(encoding="utf-8"))


def anchors(path: Path) -> set[str]:
    """Return the fragments of a document's headings, as code hosts make them."""
    headings = HEADING.findall(prose(path))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def faults(path: Path) -> Iterator[str]:
    """Yield the links of a document that lead nowhere."""
    for link in LINK.findall(CODE.sub("", prose(path))):
        if ELSEWHERE.match(link):
            continue
        name, _, fragment = link.partition("#")
        target = (path.parent / name) if name else path
        if not (ROOT / target).exists():
            yield f"{path}: no file at {link}"
        elif fragment and target.suffix == ".md" and fragment not in anchors(target):
            yield f"{path}: no heading for {link}"


def main() -> int:
    """Check all documents.

    Returns:
        0 when every link leads somewhere, else 1.
    """
    paths = documents()
    found = [fault for path in paths for fault in faults(path)]
    print(*found, f"{len(paths)} documents, {len(found)} dead links", sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
