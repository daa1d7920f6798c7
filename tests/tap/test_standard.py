"""The SDK's standard tests for every stream, against the sandbox, and what they do not look at: keys are unique."""

from __future__ import annotations

import atexit
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from singer_sdk.testing import SuiteConfig, TapTestRunner, get_tap_test_class

from tap_exports.sandbox import Sandbox, SandboxOptions
from tap_exports.tap import PROVIDERS, TapExports
from tests.tap.harness import tap

BOX = Sandbox(SandboxOptions(job_seconds=0))
BOX.start()
atexit.register(BOX.stop)
CONFIG = {**BOX.config(*PROVIDERS), "start_date": "2020-01-01T00:00:00Z"}
# Columns that only later pages or expanded arrays show: a first discovery cannot know them.
CONFIG["cension"]["exports"][0]["schema"] = {"late_column": "string"}
CONFIG["exelensia"]["exports"][1]["schema"] = {
    f"lines.{name}": "string" for name in ("description", "quantity", "amount")
}

# Streams that are rightly empty here: nothing is rejected.
EMPTY = ["export_rejects"]

# An export shows its columns once there is one: the SDK's tests compare with a catalog that is read before any run.
TapTestRunner(TapExports, CONFIG, parse_env_config=False).sync_all()

STANDARD: Any = get_tap_test_class(
    TapExports,
    config=CONFIG,
    suite_config=SuiteConfig(max_records_limit=None, ignore_no_records_for_streams=EMPTY),
    parse_env_config=False,
)


@pytest.mark.filterwarnings("ignore:Fields in transformed catalog but not in records")  # bookmarks of windows
@pytest.mark.filterwarnings("ignore:No records were available to test")  # attributes that are null in every row
class TestStandard(STANDARD):  # type: ignore[misc] # the SDK makes the class at run time
    """The SDK's tests."""


AGAIN = {"cension_export_companies": ["_sdc_operation_id"]}  # a later run may process a company again


def test_keys_are_unique(tmp_path: Path) -> None:
    """No two records of a stream share a key."""
    ran = tap(tmp_path, CONFIG).succeeded()
    repeated = {}
    for stream, records in ran.records.items():
        names = [*ran.schema(stream)["key_properties"], *AGAIN.get(stream, ())]
        counts = Counter(tuple(str(record[n]) for n in names) for record in records)
        repeated[stream] = [key for key, n in counts.items() if n > 1]
    assert {stream: keys for stream, keys in repeated.items() if keys} == {}
