"""Paths into replies: JMESPath (https://jmespath.org), limited to fields, indices and projections, or `header:Name`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

HEADER = "header:"
_LISTS = frozenset({"projection", "value_projection", "flatten"})
_ALLOWED = _LISTS | {"field", "subexpression", "index", "index_expression", "identity"}
MOST_LISTS = 8  # of one path: each looks at every value again
_DOTTED_INDEX = re.compile(r"\.(\d+)(?=[.\[]|$)")


class PathError(ValueError):
    """A path that does not parse, or uses more of JMESPath than is allowed."""


@lru_cache(maxsize=512)
def compiled(path: str) -> Any:  # noqa: ANN401 - the library is not typed
    """Return a path as the library wants it; `result.0` is the same as `result[0]`.

    Raises:
        PathError: It does not parse, or holds filters, functions or other expressions.
    """
    try:
        found = jmespath.compile(_DOTTED_INDEX.sub(r"[\1]", path))
    except (JMESPathError, RecursionError):
        raise PathError(f'"{path}" is no path') from None
    kinds = list(_kinds(found.parsed))
    if strange := set(kinds) - _ALLOWED:
        raise PathError(f'"{path}" holds a {min(strange).replace("_", " ")}; fields, indices and lists are allowed')
    if sum(kind in _LISTS for kind in kinds) > MOST_LISTS:
        raise PathError(f'"{path}" holds more than {MOST_LISTS} lists')
    return found


def pick(body: object, path: str | None, headers: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - JSON
    """Return what stands at a path of a JSON value, or in a header; None where nothing does.

    Args:
        body: A JSON value.
        path: None or an empty text for the value itself.
        headers: Those of the reply.
    """
    if not path:
        return body
    if path.startswith(HEADER):
        return (headers or {}).get(path.removeprefix(HEADER))
    return compiled(path).search(body)


def check(path: str) -> None:
    """Check a path.

    Raises:
        PathError: See `compiled`; or a header without a name.
    """
    if not path.startswith(HEADER):
        compiled(path)
    elif not re.fullmatch(r"[A-Za-z0-9-]+|:status", path.removeprefix(HEADER)):
        raise PathError(f'"{path}" names no header')


def _kinds(node: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield the types of a parsed expression and of all below it; a slice has parts that are nothing."""
    if isinstance(node, Mapping):
        yield str(node["type"])
        for child in node["children"]:
            yield from _kinds(child)
