"""docs/csv.md: each example of an option gives the rows that stand below it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tap_exports.engine.decode import CsvDialect, Layout, read
from tap_exports.engine.model import Column, Kind, LocalFile, Rows
from tap_exports.engine.publish.lines import record_lines
from tap_exports.singer.options import CSV

PAGE = Path("docs/csv.md").read_text()
EXAMPLE = re.compile(r"```yaml\ncsv: ([^\n]*)\n```\n```text\n(.*?)```\n```json\n(.*?)\n```", re.DOTALL)
KINDS = {"total": Kind.NUMBER, "date": Kind.DATE, "at": Kind.DATETIME, "ok": Kind.BOOLEAN}


def examples() -> Iterator[tuple[str, str, str]]:
    """Yield block, file and rows of each example."""
    yield from (match.groups() for match in EXAMPLE.finditer(PAGE))  # type: ignore[misc] # there are three groups


@pytest.mark.parametrize(("block", "text", "due"), list(examples()))
def test_an_example_gives_its_rows(tmp_path: Path, block: str, text: str, due: str) -> None:
    path = tmp_path / "f.csv"
    path.write_text(text)
    rows = json.loads(due)
    known = {name: Column(name, KINDS.get(name, Kind.STRING)) for name in rows[0]}
    layout = Layout(known, csv=CsvDialect.of(yaml.safe_load(block)))
    batches = [e for e in read(LocalFile("f.csv", path, 1, ""), "csv", layout) if isinstance(e, Rows)]
    lines = b"".join(bytes(record_lines(batch, frozenset(known))) for batch in batches)
    assert [json.loads(line) for line in lines.splitlines()] == rows


def test_every_option_is_explained() -> None:
    (schema,) = CSV.to_dict().values()
    headings = re.findall(r"^### (.*)$", PAGE, re.MULTILINE)
    assert sorted(name for heading in headings for name in heading.split(", ")) == sorted(schema["properties"])
