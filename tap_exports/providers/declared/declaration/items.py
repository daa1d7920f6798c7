"""One job per item: an entry of the configuration becomes as many entries as the list that `each` names has items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tap_exports.errors import ConfigError
from tap_exports.providers.declared.declaration.check import Declaration

MOST_ITEMS = 1000  # each is a stream of its own; `each.most` of a declaration may allow fewer
Entry = Mapping[str, Any]


def entries_of(declaration: Declaration, entry: Entry, where: str) -> Iterator[Entry]:
    """Yield an entry for each item of its list, or the entry itself where the declaration has no `each`.

    Each has a name, and so a stream, a bookmark and jobs of its own: an item that fails holds back no other one.

    Args:
        declaration: The declaration.
        entry: As the configuration has it.
        where: For messages.

    Raises:
        ConfigError: There is no list, or it has more items than are allowed; it is not looked at then.
    """
    each = declaration.spec.get("each")
    if each is None:
        yield entry
        return
    name, params = str(each["of"]), entry.get("params") or {}
    items, most = params.get(name), each.get("most", MOST_ITEMS)
    if not isinstance(items, Sequence) or isinstance(items, str) or not items:
        raise ConfigError(f"{where}: params.{name}: a list is due: {declaration.name} makes one job per item of it")
    if len(items) > most:
        raise ConfigError(f"{where}: params.{name} has {len(items)} items, `each.most` of {declaration.name} is {most}")
    for item in items:
        if isinstance(item, Mapping | list) or item in {None, ""}:
            raise ConfigError(f"{where}: params.{name}: text or a number is due for each item")
        left = {key: value for key, value in params.items() if key != name}
        yield {**entry, "name": f"{entry['name']}_{item}", "params": {**left, each["as"]: item}}
