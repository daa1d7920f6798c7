"""docs/declare.md, llms.txt and the declarations under docs/examples: what they name is there, and works."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from tap_exports.providers.declared.declaration import checked, read
from tap_exports.providers.declared.streams import SHIPPED
from tap_exports.sandbox import Sandbox, SandboxOptions
from tap_exports.sandbox.declared import provider_of
from tests.operator.calling import Caller
from tests.tap.harness import tap

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGE = (DOCS / "declare.md").read_text(encoding="utf-8")
LLMS = (DOCS / "llms.txt").read_text(encoding="utf-8")
EXAMPLES = [p for p in sorted((DOCS / "examples").glob("*.yaml")) if "base_url:" in p.read_text(encoding="utf-8")]
SCHEMA = ROOT / "tap_exports" / "providers" / "declared" / "declaration.schema.json"
CODE = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tap_exports").rglob("*.py"))


@pytest.fixture
def call(tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Caller:
    return Caller(tmp_path, capsys, caplog)


def test_every_link_of_llms_txt_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", LLMS)
    assert [link for link in links if not (DOCS / link).exists()] == []
    assert len(links) > 10
    assert LLMS.startswith("# tap-exports\n\n> ")


def test_llms_txt_counts_the_shipped_declarations() -> None:
    assert f"{len(list(SHIPPED.glob('*.yaml')))} are shipped" in LLMS.replace("\n", " ").replace("> ", "")


def test_messages_that_the_page_explains_are_those_of_the_code() -> None:
    told = PAGE.partition("| what the first run says | cause |")[2].partition("\n\n")[0]
    messages = re.findall(r"^\| `([^`]+)` \|", told, re.MULTILINE)
    assert [words for words in messages if words not in CODE] == []
    assert len(messages) == 4


def test_steps_name_the_commands_that_there_are(call: Caller) -> None:
    """`check --schema` prints what the package ships."""
    assert json.loads(call("check", "--schema").out) == json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert (call("check").code, call("check", "--schema").code) == (2, 0)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_brings_all_rows(tmp_path: Path, path: Path) -> None:
    """Through the sandbox that is made from it."""
    spec = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert checked(read(path)).name == path.stem
    options = SandboxOptions(job_seconds=0, knobs={path.stem: {"rows": 90}})
    with Sandbox(options, providers=[provider_of(spec)]) as box:
        span = {"start_date": "2026-01-01T00:00:00Z", "end_date": "2026-03-31", "progress": "never"}
        ran = tap(tmp_path, {**box.config(), **span}).succeeded()
        expected = {row["row_id"] for row in box.truth(f"{path.stem}/rows")}
    found = {row["row_id"] for name, rows in ran.records.items() if "_export_" in name for row in rows}
    assert found == expected


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_editors_find_the_schema_of_an_example(path: Path) -> None:
    """By the comment in its first line."""
    first = path.read_text(encoding="utf-8").splitlines()[0]
    named = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert named is not None
    assert (path.parent / named[1]).resolve() == SCHEMA
