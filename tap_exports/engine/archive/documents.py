"""YAML documents as plain values, item by item: no tag is executed, and no alias, depth or length exhausts anything.

Values are built from the parser's events, so that a list of any length needs the memory of one item, and each limit
holds before the value exists. libyaml parses where PyYAML was built with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import yaml
from yaml import events as ev

from tap_exports.engine.archive.scalars import plain
from tap_exports.errors import BadContentError, LimitError

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MAX_DEPTH = 100
MAX_ITEM_BYTES = 64 * 1024 * 1024
_NODE_BYTES = 64  # about what a value costs in memory beside its text
_CORE = "tag:yaml.org,2002:"
_TYPED = frozenset(f"{_CORE}{name}" for name in ("null", "bool", "int", "float", "timestamp"))
_PLAIN_KINDS = frozenset({None, "!", *(f"{_CORE}{name}" for name in ("map", "seq", "set", "omap", "pairs"))})


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes, empty at the end."""


@dataclass(frozen=True, slots=True)
class Item:
    """One value of a file.

    Attributes:
        value: A JSON value, numbers with a fraction as decimals.
        bytes: About what it takes in memory, aliases counted each time.
    """

    value: Any
    bytes: int


@dataclass(frozen=True, slots=True)
class _Node:
    value: Any
    bytes: int
    height: int


def read_items(stream: Readable, where: str) -> Iterator[Item]:
    """Yield the items of a file's documents: the elements of a list, else the document; a null document has none.

    Args:
        stream: UTF-8 or UTF-16 bytes.
        where: The file's name, for messages.

    Raises:
        BadContentError: It is not YAML, a mapping has a key twice, or a tag asks for more than a plain value.
        LimitError: An item is deeper than 100 levels or larger than 64 MiB, its aliases written out.
    """
    bounded = _Bounded(stream, where)
    try:
        loader = LOADER(bounded)
        for item in _Builder(loader.get_event, where).items():
            bounded.restart()
            yield item
    except yaml.YAMLError as error:
        raise BadContentError(f"{where}: {_describe(error)}") from None


class _Bounded:
    """Bounds the bytes that the parser takes for one item: it holds a scalar whole before anybody can look at it."""

    def __init__(self, stream: Readable, where: str) -> None:
        self._stream, self._where = stream, where
        self._read = 0

    def restart(self) -> None:
        self._read = 0

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(size)
        self._read += len(data)
        if self._read > MAX_ITEM_BYTES:
            raise LimitError(f"{self._where}: an item is larger than {MAX_ITEM_BYTES // 2**20} MiB")
        return data


class _Builder:
    """Builds values from events."""

    def __init__(self, event: Callable[[], Any], where: str) -> None:
        self._next = event
        self._where = where
        self._anchors: dict[str, _Node] = {}
        self._anchored = self._bytes = 0

    def items(self) -> Iterator[Item]:
        while not isinstance(event := self._next(), ev.StreamEndEvent):
            if isinstance(event, ev.DocumentStartEvent):
                self._anchors, self._anchored = {}, 0
                yield from self._document(self._next())

    def _document(self, first: Any) -> Iterator[Item]:  # noqa: ANN401 - PyYAML's events
        if isinstance(first, ev.SequenceStartEvent):
            self._check_tag(first)
            while not isinstance(event := self._next(), ev.SequenceEndEvent):
                yield self._item(event, 1)
        elif (item := self._item(first, 0)).value is not None:
            yield item

    def _item(self, event: Any, depth: int) -> Item:  # noqa: ANN401 - PyYAML's events
        self._bytes = 0
        node = self._node(event, depth)
        return Item(node.value, node.bytes)

    def _node(self, event: Any, depth: int) -> _Node:  # noqa: ANN401 - PyYAML's events
        if isinstance(event, ev.AliasEvent):
            return self._alias(event, depth)
        before = self._bytes
        self._count(_NODE_BYTES, depth)
        if isinstance(event, ev.ScalarEvent):
            self._count(len(event.value), depth)
            value, height = self._scalar(event), 0
        elif isinstance(event, ev.SequenceStartEvent):
            value, height = self._sequence(event, depth)
        else:
            value, height = self._mapping(event, depth)
        node = _Node(value, self._bytes - before, height)
        if event.anchor is not None:
            self._anchor(event.anchor, node)
        return node

    def _sequence(self, start: Any, depth: int) -> tuple[list[Any], int]:  # noqa: ANN401 - PyYAML's events
        self._check_tag(start)
        values, height = [], 0
        while not isinstance(event := self._next(), ev.SequenceEndEvent):
            node = self._node(event, depth + 1)
            values.append(node.value)
            height = max(height, node.height + 1)
        return values, height

    def _mapping(self, start: Any, depth: int) -> tuple[dict[str, Any], int]:  # noqa: ANN401 - PyYAML's events
        self._check_tag(start)
        values: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        height = 0
        while not isinstance(event := self._next(), ev.MappingEndEvent):
            key = self._key(event)
            node = self._node(self._next(), depth + 1)
            height = max(height, node.height + 1)
            if key in values:
                raise self._bad(event, f"the key {key[:80]!a} stands twice in one mapping")
            if key == "<<" and event.implicit[0]:
                merged = self._merge(event, node.value)
            else:
                values[key] = node.value
        return (merged | values if merged else values), height

    def _key(self, event: Any) -> str:  # noqa: ANN401 - PyYAML's events
        """Return a key as the text that the file holds; JSON has no other keys."""
        if not isinstance(event, ev.ScalarEvent):
            raise self._bad(event, "a key is not a plain value")
        if event.anchor is not None:
            self._anchor(event.anchor, _Node(self._scalar(event), _NODE_BYTES + len(event.value), 0))
        self._count(_NODE_BYTES + len(event.value), 0)
        return str(event.value)

    def _merge(self, event: Any, value: object) -> dict[str, Any]:  # noqa: ANN401 - PyYAML's events
        """Return what `<<` brings in (https://yaml.org/type/merge.html): the first of several mappings wins."""
        merged: dict[str, Any] = {}
        for mapping in reversed(value if isinstance(value, list) else [value]):
            if not isinstance(mapping, dict):
                raise self._bad(event, "<< does not name a mapping")
            merged |= mapping
        return merged

    def _scalar(self, event: Any) -> Any:  # noqa: ANN401 - PyYAML's events
        if event.implicit[0] or event.tag in _TYPED:
            return plain(event.value)
        if event.implicit[1] or event.tag in {None, "!", f"{_CORE}str"}:
            return event.value
        if event.tag == f"{_CORE}binary":
            return "".join(event.value.split())
        raise self._bad(event, f"the tag {event.tag[:80]!a} is not followed")

    def _alias(self, event: Any, depth: int) -> _Node:  # noqa: ANN401 - PyYAML's events
        node = self._anchors.get(event.anchor)
        if node is None:
            raise self._bad(event, f"the alias {event.anchor[:80]!a} stands for nothing, or for what it is part of")
        self._count(node.bytes, depth + node.height)
        return node

    def _anchor(self, name: str, node: _Node) -> None:
        self._anchored += node.bytes
        if self._anchored > MAX_ITEM_BYTES:
            raise LimitError(f"{self._where}: anchored values take more than {MAX_ITEM_BYTES // 2**20} MiB")
        self._anchors[name] = node

    def _count(self, size: int, depth: int) -> None:
        self._bytes += size
        if self._bytes > MAX_ITEM_BYTES:
            raise LimitError(
                f"{self._where}: an item is larger than {MAX_ITEM_BYTES // 2**20} MiB, aliases written out"
            )
        if depth > MAX_DEPTH:
            raise LimitError(f"{self._where}: an item is nested deeper than {MAX_DEPTH} levels")

    def _check_tag(self, event: Any) -> None:  # noqa: ANN401 - PyYAML's events
        if event.tag not in _PLAIN_KINDS:
            raise self._bad(event, f"the tag {event.tag[:80]!a} is not followed")

    def _bad(self, event: Any, what: str) -> BadContentError:  # noqa: ANN401 - PyYAML's events
        return BadContentError(f"{self._where}: line {event.start_mark.line + 1}: {what}")


def _describe(error: yaml.YAMLError) -> str:
    """Return place and problem of a syntax error, without the text around it."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    line = f"line {mark.line + 1}: " if mark else ""
    return f"{line}not YAML: {problem or getattr(error, 'reason', 'it cannot be read')}"
