"""Exports of several accounts through Meltano, for Airflow 3: one mapped group of tasks for each.

Each group submits its jobs, looks now and then whether they are over, without a process that waits, and collects them.
`meltano.yml` of PROJECT has a plugin for each name, such as `tap-exports--exelensia` with `inherit_from: tap-exports`.
"""

from __future__ import annotations

import json
import os
import subprocess
from datetime import datetime, timedelta

from airflow.sdk import PokeReturnValue, dag, task, task_group

PROJECT = os.environ.get("EXPORTS_PROJECT", "/opt/exports")
LOADER = "target-postgres"
ACCOUNTS = ["exelensia", "packagex"]
OPEN = {"pending", "running", "unknown"}


def meltano(*arguments: str, detach: bool = False) -> str:
    """Run Meltano in the project and return what it prints; an exit code other than 0 fails the task."""
    environment = {**os.environ, "TAP_EXPORTS_JOB_WAIT": "detach" if detach else "wait"}
    done = subprocess.run(["meltano", *arguments], cwd=PROJECT, env=environment, check=True, stdout=subprocess.PIPE)
    return done.stdout.decode()


@dag(schedule="0 * * * *", start_date=datetime(2026, 1, 1), catchup=False, max_active_runs=1)
def exports() -> None:
    """Load what is new of all accounts, once an hour."""

    @task_group
    def account(name: str) -> None:
        @task(retries=2, retry_delay=timedelta(minutes=5))
        def submit(name: str) -> None:
            meltano("run", f"tap-exports--{name}", LOADER, detach=True)

        @task.sensor(poke_interval=60, timeout=6 * 3600, mode="reschedule")
        def wait(name: str) -> PokeReturnValue:
            state_id = f"dev:tap-exports--{name}-to-{LOADER}"
            told = meltano("invoke", f"tap-exports--{name}:jobs", "--state-id", state_id, "--format", "json")
            jobs = json.loads(told)["jobs"]
            return PokeReturnValue(is_done=not [job for job in jobs if job["ours"] and job["state"] in OPEN])

        @task(retries=2, retry_delay=timedelta(minutes=5))
        def collect(name: str) -> None:
            meltano("run", f"tap-exports--{name}", LOADER)

        submit(name) >> wait(name) >> collect(name)

    account.expand(name=ACCOUNTS)


exports()
