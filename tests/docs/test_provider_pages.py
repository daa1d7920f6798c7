"""The page of each provider: its configurations run as they stand, and its table of streams is that of the tap."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tap_exports.sandbox import Sandbox, SandboxOptions
from tap_exports.sandbox.closient.api import JOB_ID
from tap_exports.tap import PROVIDERS
from tests.tap.harness import Json, Ran, only, tap

PAGES = sorted((Path(__file__).resolve().parents[2] / "docs" / "providers").glob("*.md"))
HEADINGS = ["What you need", "Smallest configuration", "Full configuration", "Streams", "Incremental"]
OPEN = "What the documents leave open"
# Streams that a configuration rightly leaves empty: it names no run.
EMPTY = {
    ("cension", 0): {"cension_operations"},
    ("cension", 2): {"cension_operations"},
}


def configurations() -> Iterator[Any]:
    """Yield every configuration of every page."""
    for page in PAGES:
        blocks = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        for number, text in enumerate(blocks):
            yield pytest.param(page, number, yaml.safe_load(text), id=f"{page.stem}-{number}")


def rows_of_table(page: Path) -> dict[str, tuple[list[list[str]], str]]:
    """Return the streams of a page: the keys that each may have, and the bookmark."""
    text = page.read_text(encoding="utf-8").partition("## Streams")[2].partition("\n## ")[0]
    rows, above = {}, ""
    for name, keys, bookmark in re.findall(r"^\| `([\w<>]+)` \| (.+) \| (.+) \|$", text, re.MULTILINE):
        above = above if bookmark == "as above" else bookmark
        rows[name] = ([re.findall(r"`(\w+)`", key) for key in re.split(r";|\bor\b", keys)], above)
    return rows


def row_of(stream: str, rows: Iterable[str]) -> str | None:
    """Return the row that a stream stands in: its own name, else the longest pattern that fits."""
    fitting = [row for row in rows if re.fullmatch(row.replace("<name>", r"\w+"), stream)]
    return max(fitting, key=lambda row: (row == stream, len(row)), default=None)


def runnable(box: Sandbox, provider: str, shown: Json, folder: Path) -> Json:
    """Return a shown configuration with what the page cannot know: keys, the address, ids that only the sandbox has."""
    whole = only(box.config(provider), provider)
    own = {k: whole[provider][k] for k in ("api_key", "api_token", "api_url") if k in whole[provider]}
    ids = {k: e[k] for e in whole[provider].get("exports", ()) for k in ("list_id", "export_id") if k in e}
    known = ids | {k: v for k, v in own.items() if k == "api_key"}
    block = {**shown[provider], **own}
    if exports := block.get("exports"):
        block["exports"] = [{k: known.get(k, v) for k, v in entry.items()} for entry in exports]
    block |= {k: v for k, v in (("job_ids", [JOB_ID]), ("files_storage", str(folder / "assets"))) if k in block}
    return {**whole, **shown, "start_date": str(shown.get("start_date", whole["start_date"])), provider: block}


def shown_by(ran: Ran, provider: str) -> dict[str, Json]:
    """Return the last schema of each stream of a provider."""
    names = {m["stream"] for m in ran.messages if m["type"] == "SCHEMA" and m["stream"].startswith(f"{provider}_")}
    return {name: ran.schema(name) for name in names}


def test_every_provider_has_a_page() -> None:
    assert [page.stem for page in PAGES] == sorted(PROVIDERS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_have_one_form(page: Path) -> None:
    """The same headings in the same order; costs and limits are always told."""
    found = re.findall(r"^## (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert (found[:5], found[-1]) == (HEADINGS, OPEN)
    assert [name for name in ("Costs", "imits") if not any(name in heading for heading in found)] == []


@pytest.mark.parametrize(("page", "number", "shown"), list(configurations()))
def test_the_configurations_of_the_page_run(tmp_path: Path, page: Path, number: int, shown: Json) -> None:
    """What the page shows works as it stands, every stream has rows, and keys and bookmarks are those of the table."""
    provider, rows = page.stem, rows_of_table(page)
    with Sandbox(SandboxOptions(job_seconds=0)) as box:
        ran = tap(tmp_path, runnable(box, provider, shown, tmp_path)).succeeded()
        assert number or not box.spend()[provider].get("credits"), "a smallest configuration costs nothing"
    streams = shown_by(ran, provider)
    places = {name: row_of(name, rows) for name in streams}
    assert [name for name, place in places.items() if place is None] == []
    assert {name for name in streams if not ran.records[name]} == EMPTY.get((provider, number), set())
    entries = [*shown[provider].get("exports", ()), *shown[provider].get("queries", ())]
    for name, place in places.items():
        keys, bookmark = rows[str(place)]
        assert streams[name]["key_properties"] in [*keys, *(e.get("primary_keys") for e in entries)], name
        follows = (streams[name].get("bookmark_properties") or ["full table"])[0]
        assert follows in bookmark or follows in [e.get("replication_key") for e in entries], name
    if number == 1:
        assert set(places.values()) == set(rows)
