"""Python beside a declaration: one verb is overridden, and the file must stand where the declaration stands."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tap_exports.sandbox import Sandbox
from tests.declared.vendors import NAME, STREAM, config, landed, paths, receipts, served, truth, vendor
from tests.tap.harness import Json, Ran, tap

HEAD = "from tap_exports.providers.declared.api import DeclaredApi\n\n\nclass Api(DeclaredApi):\n"
SIGN = """
    def sign(self, method, path, params, body):
        return {"X-Signature": f"{method} {path} {len(body or '')}"}
"""
ROW = """
    def row(self, row):
        return {**row, "name": (row["name"] or "").upper()}
"""
POLL = """
    def poll(self, job):
        self.looks = getattr(self, "looks", 0) + 1
        return super().poll(job)

    def open(self, job):
        print("opened after", self.looks, "looks", file=__import__("sys").stderr)
        return super().open(job)
"""
SUBMIT = """
    def submit(self, request):
        from dataclasses import replace
        return super().submit(replace(request, params={**request.params, "type": "by Python"}))
"""


def written(folder: Path, code: str, spec: Json | None = None, name: str = "hooks.py") -> tuple[Json, Path]:
    """Write a declaration and its Python beside each other."""
    found = (spec or vendor()) | {"python": name}
    file = folder / "vendor.yaml"
    file.write_text(yaml.safe_dump(found), encoding="utf-8")
    (folder / "hooks.py").write_text(HEAD + code, encoding="utf-8")
    return found, file


def ran(folder: Path, box: Sandbox, **changes: object) -> Ran:
    return tap(folder, config(box, **changes))  # type: ignore[arg-type] # settings


def test_sign_adds_headers_to_every_request(tmp_path: Path) -> None:
    """The API refuses what is not signed."""
    spec, file = written(tmp_path, SIGN)
    unsigned = {"match": {"origin": "api", "header": {"x-signature": None}}, "action": {"status": 400}}
    with served(spec, file=file) as box:
        box.set_faults({"faults": [unsigned]})
        assert landed(ran(tmp_path, box).succeeded()) == truth(box)


def test_row_changes_rows(tmp_path: Path) -> None:
    """Of JSON files, before their types are looked at."""
    spec, file = written(tmp_path, ROW, vendor(files={"url": "url", "format": "jsonl"}))
    with served(spec, file=file) as box:
        found = ran(tmp_path, box).succeeded().records[STREAM]
        assert {row["name"] for row in found} == {(r["name"] or "").upper() for r in box.truth(f"{NAME}/rows")}


def test_poll_and_open_are_overridden(tmp_path: Path) -> None:
    """And may call what they override."""
    spec, file = written(tmp_path, POLL)
    with served(spec, file=file) as box:
        found = ran(tmp_path, box).succeeded()
        assert landed(found) == truth(box)
        assert "opened after" in found.stderr


def test_submit_is_overridden(tmp_path: Path) -> None:
    """What it sends is what the job shows: an echo that differs from the configuration stops the read."""
    spec, file = written(tmp_path, SUBMIT)
    with served(spec, file=file) as box:
        found = ran(tmp_path, box)
        assert (found.code, found.records[STREAM]) == (1, [])
        assert "another type; nothing of it is read" in found.stderr


def test_a_function_that_fails_is_named(tmp_path: Path) -> None:
    """And moves no bookmark."""
    spec, file = written(
        tmp_path,
        "\n    def row(self, row):\n        return row['no such']\n",
        vendor(files={"url": "u", "format": "json"}),
    )
    with served(spec, file=file) as box:
        found = ran(tmp_path, box)
        assert found.code == 1
        assert "the function `row` failed: KeyError: 'no such'" in found.stderr
        assert [r["status"] for r in receipts(found)] == ["failed"] * 3


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../hooks.py", "the name of a Python file beside the declaration is due"),
        ("/etc/hooks.py", "the name of a Python file beside the declaration is due"),
        ("os", "the name of a Python file beside the declaration is due"),
        ("linked.py", "lies outside the folder of the declaration"),
        ("missing.py", "there is no missing.py beside the declaration"),
        ("broken.py", "broken.py cannot be imported: ZeroDivisionError"),
        ("empty.py", "empty.py has no class Api"),
    ],
)
def test_only_a_file_beside_the_declaration_is_imported(tmp_path: Path, name: str, words: str) -> None:
    """Nothing elsewhere, by whatever way it is named; and nothing is sent before that is known."""
    (outside := tmp_path / "elsewhere").mkdir()
    (folder := tmp_path / "here").mkdir()
    spec, file = written(folder, SIGN, name=name)
    (outside / "linked.py").write_text("print('imported')\n", encoding="utf-8")
    (folder / "linked.py").symlink_to(outside / "linked.py")
    (folder / "broken.py").write_text("1 / 0\n", encoding="utf-8")
    (folder / "empty.py").write_text("", encoding="utf-8")
    with served({**spec, "python": "hooks.py"}, file=file) as box:
        found = ran(tmp_path, box)
        assert found.code == 1
        assert words in found.stderr
        assert paths(box, "POST") == []


def test_a_declaration_within_the_configuration_runs_no_python(tmp_path: Path) -> None:
    """There is no folder beside which a file could stand."""
    spec, file = written(tmp_path, SIGN)
    with served(spec, file=file) as box:
        given = config(box)
        given["declared"][0] = {key: value for key, value in given["declared"][0].items() if key != "file"} | {
            "api": spec
        }
        found = tap(tmp_path, given)
        assert found.code == 1
        assert "a declaration within the configuration has no file beside it" in found.stderr


def test_row_needs_json(tmp_path: Path) -> None:
    """Rows of CSV are no objects."""
    spec, file = written(tmp_path, ROW)
    with served(spec, file=file) as box:
        assert "`row` needs files of the format json or jsonl" in ran(tmp_path, box).stderr
