"""Pages for people where data is due: how they are recognised, and what they say of themselves."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|!--|html|head|body|\?xml|error)\b", re.IGNORECASE)
_TITLE = re.compile(r"<(title|h1|message)\b[^>]*>(.*?)</\1\s*>", re.IGNORECASE | re.DOTALL)
_MEDIA = frozenset({"text/html", "application/xhtml+xml", "text/xml", "application/xml"})
_TITLE_CHARACTERS = 80


def media_of(headers: Mapping[str, str]) -> str:
    """Return the media type of a reply, lower case and without parameters."""
    return headers.get("Content-Type", "").partition(";")[0].strip().lower()


def is_page(headers: Mapping[str, str]) -> bool:
    """Return whether a reply says that it is HTML or XML."""
    return media_of(headers) in _MEDIA


def looks_like_page(head: bytes) -> bool:
    """Return whether a body begins like HTML or XML, whatever its headers say."""
    return bool(_MARKUP.match(head))


def title_of(body: str) -> str:
    """Return what a page calls itself, or an empty string."""
    found = _TITLE.search(body)
    text = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", found[2])).split()) if found else ""
    return text[:_TITLE_CHARACTERS]
