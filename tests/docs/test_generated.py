"""The generated parts of documents and meltano.yml are those that the tap itself would give."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.process.child import Child

ROOT = Path(__file__).resolve().parents[2]
FILES = (
    *("README.md", "meltano.yml", "plugins/tap-exports.yml", "docs/upstream/meltano-hub.yml", ".env.example"),
    *("docs/commands.md", "docs/loaders.md", "docs/settings.md", "docs/streams.md", "docs/sandbox.md"),
)
OTHERS = ("docs/declare.md", "docs/examples/helpdesk.yaml", "tap_exports/providers/declared/declaration.schema.json")
# One word of the generated parts of each file, and a wrong one.
STALE = {
    "settling_seconds": "settling_hours",
    "exelensia_results": "exelensia_outcomes",
    "CENSION_QUERIES": "CENSION_QUESTIONS",
    "wrong_content_range": "wrong_range",
    "creates nothing": "creates much",
    "memory_limit_mb": "memory_limit_gb",
}


def generate(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the generator of a tree."""
    script = {"path_name": str(root / "tools" / "generate.py"), "run_name": "__main__"}
    child = Child(arguments, entry="runpy:run_path", given=script)
    out, err = child.communicate(60)
    return subprocess.CompletedProcess(arguments, child.wait(), out.decode(), err.decode())


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a tree with the generator and its files."""
    scripts = (str(path.relative_to(ROOT)) for path in (ROOT / "tools").glob("*.py"))
    for name in (*FILES, *OTHERS, "pyproject.toml", *scripts):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_nothing_is_stale() -> None:
    """Settings and streams stand in the documents as the tap has them."""
    done = generate(ROOT, "--check")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize("name", FILES)
def test_stale_part_is_shown_and_mended(copy: Path, name: str) -> None:
    """The check fails with a diff that names the file, writes nothing, and the generator mends it."""
    good = (copy / name).read_text(encoding="utf-8")
    begin = good.find("generated -->")  # what people wrote stands before it, in some files
    stale = good[: max(0, begin)] + re.sub("|".join(STALE), lambda word: STALE[word[0]], good[max(0, begin) :])
    (copy / name).write_text(stale, encoding="utf-8")
    checked = generate(copy, "--check")
    assert (checked.returncode, (copy / name).read_text(encoding="utf-8")) == (1, stale)
    assert f"--- {name}\n" in checked.stdout
    assert generate(copy).stdout == f"{name}: written\n"
    assert (copy / name).read_text(encoding="utf-8") == good


def test_missing_marker_is_an_error(copy: Path) -> None:
    """A part without its marker lines is not passed over."""
    text = (copy / "README.md").read_text(encoding="utf-8")
    (copy / "README.md").write_text(text.replace("<!-- streams: end -->", ""), encoding="utf-8")
    done = generate(copy, "--check")
    assert done.returncode == 1
    assert "README.md: the lines '<!-- streams: generated -->'" in done.stderr
