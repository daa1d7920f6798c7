"""`tap-exports jobs cancel`: cancels a job of ours where the provider can."""

from __future__ import annotations

from tap_exports.engine.api import Cancels
from tap_exports.errors import ConfigError
from tap_exports.operator.account import is_meant, ledger_jobs
from tap_exports.operator.loading import streams_of
from tap_exports.operator.origins import take_over_ledger
from tap_exports.operator.report import Report
from tap_exports.tap import TapExports


def cancel(tap: TapExports, job_id: str, provider: str | None = None) -> Report:
    """Cancel a job that STATE or the durable ledger holds.

    Raises:
        ConfigError: It is in neither, or a job of several accounts, or its provider cannot cancel; nothing was sent.
        TapError: The provider refused.
    """
    known = [job for job in ledger_jobs(tap, take_over_ledger(tap), poll=False) if job.id == job_id]
    meant = [job for job in known if is_meant(provider, job.provider)]
    if not meant:
        places = "open neither in the STATE nor in the tap's own ledger"
        whose = f" for {provider}" if provider else ""
        raise ConfigError(f"job {job_id} is {places}{whose}: only jobs of the tap's own are cancelled")
    if len(meant) > 1:
        names = ", ".join(job.provider for job in meant)
        raise ConfigError(f"job {job_id} is one of each of {names}: say with --provider which is to be cancelled")
    found = meant[0]
    api = next((stream.asked for _, stream in streams_of(tap) if stream.name in found.streams), None)
    if not isinstance(api, Cancels):
        raise ConfigError(f"{found.provider} documents no way to cancel a job; `forget` drops it from STATE")
    api.cancel(job_id)
    data = {"command": "jobs cancel", "version": 1, "provider": found.provider, "job": job_id, "cancelled": True}
    then = "the next run finds it cancelled and does as on_failed_run says"
    return Report(data, notes=[f"{found.provider}: job {job_id} is cancelled; {then}"])
