"""Mandrill against the same API on loopback."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox import Mandrill

from tap_exports.sandbox import Sandbox, SandboxOptions
from tap_exports.testing import ProviderConformance

SPAN = {"start_date": "2024-01-01T00:00:00Z", "end_date": "2024-01-31", "progress": "never"}


class TestMandrill(ProviderConformance):
    provider = "mandrill"

    @contextmanager
    def served(self) -> Iterator[Mapping[str, Any]]:
        """Serve the API, with jobs that are completed at once."""
        with Sandbox(SandboxOptions(job_seconds=0), providers=[Mandrill]) as box:
            yield {**box.config(), **SPAN}

    def test_all_rows_arrive_through_a_lost_reply(self, tmp_path: Path) -> None:
        """A job whose creation got no reply is made again, and no row is missing."""
        lost = {"match": {"path": "*/exports/activity", "nth": 1}, "action": {"lose_reply": True}}
        with Sandbox(SandboxOptions(job_seconds=0), faults={"faults": [lost]}, providers=[Mandrill]) as box:
            ran = self.run(tmp_path, {**box.config(), **SPAN})
        assert ran.code == 0, ran.stderr
        assert len({row["Email Address"] for row in ran.records["mandrill_export_all"]}) == 200
