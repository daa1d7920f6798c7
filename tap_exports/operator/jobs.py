"""`tap-exports jobs`: the jobs of the ledger, and of the account where the provider lists them; watch or cancel one."""

from __future__ import annotations

import click

from tap_exports.operator.account import Found, account_jobs, is_meant, ledger_jobs
from tap_exports.operator.cancelling import cancel
from tap_exports.operator.loading import catalog_option, config_option, format_option, load, read_state, state_options
from tap_exports.operator.origins import take_over_ledger
from tap_exports.operator.render import show
from tap_exports.operator.report import Report, Table
from tap_exports.operator.watching import watch
from tap_exports.tap import TapExports

COLUMNS = ("provider", "job", "ours", "status", "age", "progress", "stream", "window", "credits")
LISTED = 100


@click.group("jobs", invoke_without_command=True)
@config_option
@catalog_option
@state_options
@format_option
@click.option("--provider", help="Only this provider, or this account of one: <provider>@<account>")
@click.option("--limit", default=LISTED, show_default=True, help="Jobs of each account, the newest ones")
@click.pass_context
def command(  # noqa: PLR0913, PLR0917 - the options
    ctx: click.Context,
    config: tuple[str, ...],
    catalog: str | None,
    state: str | None,
    state_id: str | None,
    form: str | None,
    provider: str | None,
    limit: int,
) -> int | None:
    """List jobs: of STATE and of the tap's own ledger, and those that the provider lists. Reads only."""
    if ctx.invoked_subcommand:
        if any((config, catalog, state, state_id, form, provider)):
            raise click.UsageError(f"options stand behind `{ctx.invoked_subcommand}`")
        return None
    tap = load(config, read_state(state, state_id, config), catalog)
    found, complaints = every_job(tap, provider, limit)
    return show(report(found, complaints), form)


def every_job(tap: TapExports, provider: str | None, limit: int) -> tuple[list[Found], dict[str, str]]:
    """Return the jobs of STATE, ledger and accounts, and why some providers could not be asked."""
    origins = take_over_ledger(tap)
    own = [found for found in ledger_jobs(tap, origins) if is_meant(provider, found.provider)]
    others, complaints = account_jobs(tap, origins, own, provider, limit)
    return [*own, *others], complaints


def report(found: list[Found], complaints: dict[str, str]) -> Report:
    """Return jobs as a report."""
    data = {
        "command": "jobs",
        "version": 1,
        "jobs": [each.as_json() for each in found],
        "errors": [{"provider": name, "reason": reason} for name, reason in complaints.items()],
    }
    tables = [Table(COLUMNS, [each.cells() for each in found], "Jobs")] if found else []
    notes = [] if found else ["no job: the ledger is empty, and no provider lists any"]
    notes += [f"{name}: {reason}" for name, reason in complaints.items()]
    return Report(data, tables, notes, not complaints)


@command.command("watch")
@click.argument("job")
@config_option
@catalog_option
@state_options
@format_option
@click.option("--provider", help="Whose job it is; default: found out")
@click.option("--timeout", "seconds", type=float, help="Seconds to wait at most; default: job_timeout_seconds")
def watch_command(  # noqa: PLR0913, PLR0917 - the options
    job: str,
    config: tuple[str, ...],
    catalog: str | None,
    state: str | None,
    state_id: str | None,
    form: str | None,
    provider: str | None,
    seconds: float | None,
) -> int:
    """Poll JOB until it ends, and show each change. Reads only."""
    tap = load(config, read_state(state, state_id, config), catalog)
    return watch(tap, job, provider, seconds, form)


@command.command("cancel")
@click.argument("job")
@config_option
@catalog_option
@state_options
@format_option
@click.option("--provider", help="Whose job it is, where several accounts have one of that id: <provider>@<account>")
def cancel_command(  # noqa: PLR0913, PLR0917 - the options
    job: str,
    config: tuple[str, ...],
    catalog: str | None,
    state: str | None,
    state_id: str | None,
    form: str | None,
    provider: str | None,
) -> int:
    """Cancel JOB at the provider: one that STATE or the tap's own ledger holds, where the provider can."""
    tap = load(config, read_state(state, state_id, config), catalog)
    return show(cancel(tap, job, provider), form)
