"""Plays what a cluster has to bear, with Dask, pools of processes, Ray, and an S3 server that checks signatures.

Every case ends with the very objects that `threads:4` makes of the same export, byte by byte, or with a message and no
job created. Prints one line a case; the exit code is 1 when one does not hold.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.cluster import bytes_of_rows, cases, engines, five, unfit
from tests.cluster.rig import Rig
from tests.cluster.servers import s3

CASES = (
    cases.as_threads_do,
    cases.worker_killed,
    cases.worker_stopped,
    cases.workers_join,
    cases.short_lives,
    cases.scheduler_restarted,
    cases.scheduler_gone,
    cases.tap_killed,
    cases.with_certificates,
    unfit.no_worker,
    unfit.wrong_address,
    unfit.no_package,
    unfit.other_version,
    unfit.no_s3fs,
    unfit.no_credentials,
    unfit.wrong_credentials,
    unfit.other_storage,
    unfit.secret_in_config,
    engines.pool_spawned,
    engines.pool_forked,
    engines.pool_broken,
    engines.pool_orphaned,
    engines.on_ray,
    bytes_of_rows.everywhere,
    five.five_providers,
)


def main() -> int:
    """Return 1 when a case does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--only", metavar="WORD", nargs="*", default=[""], help="cases whose name holds one of these")
    asked = parser.parse_args()
    wrong = 0
    for case in CASES:
        if any(word in case.__name__ for word in asked.only):
            wrong += not _holds(case)
    return int(wrong > 0)


def _holds(case: cases.Case) -> bool:
    began, told = time.monotonic(), (case.__doc__ or "").partition("\n")[0]
    with tempfile.TemporaryDirectory() as folder, s3(Path(folder) / "s3") as url:
        rig = Rig(Path(folder), url)
        try:
            remark = case(rig)
        except Exception:  # noqa: BLE001 - whatever it is, the case does not hold
            print(f"FAILED {case.__name__}: {told}\n{traceback.format_exc()}", flush=True)
            return False
        finally:
            rig.end()
    print(f"holds  {case.__name__} ({time.monotonic() - began:.0f} s): {told} [{remark}]", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
