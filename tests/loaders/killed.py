"""Kill `target-exports` at each message and before each statement of a run: `python -m tests.loaders.killed`.

Each time a run goes on from the last STATE, as a tap would, and the tables must equal the truth. What the kill left
must hold what the STATE that it keeps covers and nothing else, as its books say; that
STATE is the last one given out, or a later one.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tap_exports.operator.verified import WRONG, verified
from tests.loaders.target import Message, Row, Target, lines, record, schema, state

KEYED = schema("keyed", ["id"], id="integer", v="string", n="number")
WIDER = schema("keyed", ["id"], id="integer", v="string", n="number", more="string")
FULL = schema("full", ["id"], id="integer", v="string")


def _run() -> Iterator[Message]:
    """Yield a run: keyed rows that are replaced, a column that is added, one that widens, and a full read."""
    yield KEYED
    yield FULL
    for turn in range(12):
        if turn == 6:
            yield WIDER
        number = 0.5 if turn < 9 else 12345678901234567
        added = {"more": f"m{turn}"} if turn >= 6 else {}
        yield record("keyed", id=turn, v=f"new {turn}", n=number, **added)
        yield record("keyed", id=turn // 2, v=f"again {turn}", n=number, **added)
        yield record("full", 7, id=turn, v=f"full {turn}")
        yield state(turn + 1)
    yield {"type": "ACTIVATE_VERSION", "stream": "full", "version": 7}
    yield state(13)


RUN = list(_run())
BEFORE = [KEYED, FULL, record("keyed", id=100, v="old"), record("full", 6, id=100, v="old"), state(0)]


def truth(messages: list[Message]) -> dict[str, dict[int, Row]]:
    """Return the rows by stream and key that a loader has after messages."""
    tables: dict[str, dict[int, Row]] = {"keyed": {}, "full": {}}
    for each in messages:
        if each["type"] == "RECORD":
            tables[each["stream"]][each["record"]["id"]] = {**each["record"], "version": each.get("version")}
        elif each["type"] == "ACTIVATE_VERSION":
            rows = tables[each["stream"]]
            tables[each["stream"]] = {k: row for k, row in rows.items() if row["version"] == each["version"]}
    return tables


def landed(target: Target) -> dict[str, dict[int, Row]]:
    """Return the rows of the file in the same form."""
    return {name: {row["id"]: row for row in target.rows(name)} for name in ("keyed", "full")}


def wrong(folder: Path, at: int = len(RUN), dies_at: int = 0) -> list[str]:
    """Kill a run after so many messages, or before so many statements, go on, and return what is wrong."""
    target = Target(folder / "killed.duckdb", batch_rows=5)
    target.run(*BEFORE)
    given = target.killed(lines(RUN[:at]), dies_at)
    last, kept = given[-1] if given else 0, target.kept
    found = [] if kept >= last else [f"STATE {last} was given out, the file keeps {kept}"]
    start = _place(kept)
    found += _differences(f"after the kill, STATE {kept}", RUN[:start], landed(target))
    found += _unbooked("after the kill", target)
    target.run(*(each for each in RUN[:start] if each["type"] == "SCHEMA"), *RUN[start:])
    found += _differences("after the next run", RUN, landed(target))
    found += _unbooked("after the next run", target)
    return found


def statements(folder: Path) -> int:
    """Return how many statements the whole run has."""
    target = Target(folder / "counted.duckdb", batch_rows=5)
    target.run(*BEFORE)
    number = 1
    while target.killed(lines(RUN), number)[-1:] != [13]:
        number += 50
    return number


def _place(value: Any) -> int:
    """Return the number of messages that a STATE covers."""
    return next((number for number, each in enumerate(RUN, start=1) if each == state(value)), 0)


def _differences(when: str, messages: list[Message], tables: dict[str, dict[int, Row]]) -> Iterator[str]:
    """Yield the rows that differ."""
    for name, rows in truth([*BEFORE, *messages]).items():
        wanted, there = ({key: row["v"] for key, row in each.items()} for each in (rows, tables[name]))
        if wanted != there:
            yield f"{when}: {name} holds {there}, not {wanted}"


def _unbooked(when: str, target: Target) -> Iterator[str]:
    """Yield the tables that are not as their books say."""
    for each in verified(target.path).data["jobs"]:
        if each["verdict"] in WRONG:
            yield f"{when}: by the books {each}"


def main() -> int:
    """Kill everywhere; return 1 if something was wrong."""
    with tempfile.TemporaryDirectory() as folder:
        last = statements(Path(folder))
    moments = [*((at, 0) for at in range(len(RUN) + 1)), *((len(RUN), number) for number in range(1, last + 1))]
    faults = 0
    for at, dies_at in moments:
        with tempfile.TemporaryDirectory() as folder:
            found = wrong(Path(folder), at, dies_at)
        faults += bool(found)
        if found:
            print(at, dies_at, *found)  # noqa: T201 - it reports by printing
    print(f"{len(moments)} kills, {faults} with something wrong")  # noqa: T201 - as above
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
