"""Exports of several accounts through Meltano, for Prefect 3: one mapped task for each account.

`meltano.yml` of PROJECT has a plugin for each name, such as `tap-exports--exelensia` with `inherit_from: tap-exports`.
"""

import os
import subprocess

from prefect import flow, task

PROJECT = os.environ.get("EXPORTS_PROJECT", "/opt/exports")
LOADER = "target-postgres"
ACCOUNTS = ["exelensia", "packagex"]


@task(retries=2, retry_delay_seconds=300)
def load(account: str) -> None:
    """Load what is new of one account; a retry goes on where the last run stopped."""
    subprocess.run(["meltano", "run", f"tap-exports--{account}", LOADER], cwd=PROJECT, check=True)


@flow
def exports() -> None:
    """Load all accounts at once; one that fails does not stop the others."""
    load.map(ACCOUNTS).result()


if __name__ == "__main__":
    exports.serve(name="hourly", cron="0 * * * *", limit=1)
