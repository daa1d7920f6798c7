"""Exports of several accounts through Meltano, for Dagster: one asset, a partition for each account.

`meltano.yml` of PROJECT has a plugin for each name, such as `tap-exports--exelensia` with `inherit_from: tap-exports`.
"""

import os
import subprocess
from collections.abc import Iterator

from dagster import (
    AssetExecutionContext,
    Definitions,
    RetryPolicy,
    RunRequest,
    StaticPartitionsDefinition,
    asset,
    define_asset_job,
    schedule,
)

PROJECT = os.environ.get("EXPORTS_PROJECT", "/opt/exports")
LOADER = "target-postgres"
ACCOUNTS = ["exelensia", "packagex"]
accounts = StaticPartitionsDefinition(ACCOUNTS)


@asset(partitions_def=accounts, retry_policy=RetryPolicy(max_retries=2, delay=300))
def exports(context: AssetExecutionContext) -> None:
    """Load what is new of one account; a retry goes on where the last run stopped."""
    command = ["meltano", "run", f"tap-exports--{context.partition_key}", LOADER]
    subprocess.run(command, cwd=PROJECT, check=True)


load = define_asset_job("load_exports", selection=[exports], partitions_def=accounts)


@schedule(job=load, cron_schedule="0 * * * *")
def hourly() -> Iterator[RunRequest]:
    """Ask for one run of each account."""
    for account in ACCOUNTS:
        yield RunRequest(partition_key=account)


defs = Definitions(assets=[exports], jobs=[load], schedules=[hourly])
