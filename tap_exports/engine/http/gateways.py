"""Answers that do not come from the API: pages of what stands in front of it, and of the proxy on the way there."""

from __future__ import annotations

import re

from tap_exports.engine.http.markup import is_page, looks_like_page, title_of
from tap_exports.engine.http.reply import Reply

_FIRST_ERROR = 400
_PROXY_AUTHENTICATION = 407
_SHOWN_BYTES = 200
# Texts of Cloudflare, Envoy, and CDNs that send no markup.
_TEXTS = re.compile(rb"\s*(?:error code: \d+|upstream connect error|upstream request timeout|no healthy upstream)")
# Headers whose presence names the sender.
_MARKS = {
    "Cf-Mitigated": "Cloudflare",
    "Cf-Ray": "Cloudflare",
    "X-Amzn-Waf-Action": "AWS WAF",
    "X-Amz-Cf-Id": "CloudFront",
    "X-Iinfo": "Imperva",
    "X-Sucuri-Id": "Sucuri",
    "X-Azure-Ref": "Azure Front Door",
}


def is_foreign(reply: Reply) -> bool:
    """Return whether an error was sent by a gateway, a firewall or a proxy: it says nothing about the request."""
    if reply.status < _FIRST_ERROR:
        return False
    told = reply.status == _PROXY_AUTHENTICATION or "Cf-Mitigated" in reply.headers
    return told or is_page(reply.headers) or looks_like_page(reply.body) or bool(_TEXTS.match(reply.body))


def describe(reply: Reply) -> str:
    """Return who sent such an answer and what it calls itself, in a few words."""
    if reply.status == _PROXY_AUTHENTICATION:
        return "the proxy wants credentials: set them in HTTP_PROXY and HTTPS_PROXY, as http://user:password@host:port"
    name = next((name for header, name in _MARKS.items() if header in reply.headers), reply.headers.get("Server", ""))
    title = title_of(reply.text()) or ("" if is_page(reply.headers) else reply.text()[:_SHOWN_BYTES])
    who = f"a gateway in front of the API answered ({name})" if name else "a gateway in front of the API answered"
    return f"{who}, not the API itself: “{title}”" if title else f"{who}, not the API itself"
