"""What a run does not need is not imported: a start is most of a short run."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tap_exports.tap import PROVIDERS

IMPORTS = """
import json, sys
from tap_exports.tap import TapExports
TapExports(config=json.loads({config!r})).streams
print(json.dumps(sorted(sys.modules)))
"""
UNUSED = (
    "pyarrow.parquet",
    "pyarrow.dataset",
    "rich",
    "yaml",
    "jmespath",
    "oauthlib",
    "jwt",
    "tap_exports.providers.declared.api",
    "tap_exports.providers.declared.declaration",
    "tap_exports.engine.publish.storage",
    "tap_exports.engine.archive",
)
CLOSIENT = {"closient": {"api_key": "secret", "organization_ids": ["0195c2a0-0000-7000-8000-000000000001"]}}
CENSION = {"cension": {"api_key": "secret"}}
DECLARED = {
    "declared": [
        {
            "file": "stripe",
            "api_url": "http://127.0.0.1:9",  # where nobody answers: columns come with the first file
            "credentials": {"key": "secret-key"},
            "exports": [{"name": "rows"}],
        }
    ],
    "allow_private_hosts": True,
    "max_attempts": 1,
}


def imported(config: object) -> set[str]:
    """Return the modules of a process that has made the streams of a configuration."""
    command = [sys.executable, "-c", IMPORTS.format(config=json.dumps(config))]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(("config", "needed"), [(CENSION, set()), (CLOSIENT, {"yaml", "tap_exports.engine.archive"})])
def test_what_other_runs_need_is_not_imported(config: dict[str, object], needed: set[str]) -> None:
    """Parquet, archives, bars and the other providers' streams wait until something asks for them."""
    others = {f"tap_exports.providers.{name}.streams" for name in PROVIDERS if name not in config}
    assert imported(config) & ({*UNUSED} | others) == needed


def test_a_declaration_alone_imports_what_reads_it() -> None:
    """The libraries of paths and of YAML come with the first declared block; that of assertions with its grant."""
    assert imported(DECLARED) & {"yaml", "jmespath", "oauthlib", "jwt"} == {"yaml", "jmespath", "oauthlib"}


def test_parts_of_lines_do_without_parquet() -> None:
    """What writes batches loads Parquet's library at the first part that needs it."""
    modules = "tap_exports.singer.messages.batches, tap_exports.engine.convert.work"
    code = f"import sys, {modules}; print('pyarrow.parquet' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE).stdout == b"False\n"
