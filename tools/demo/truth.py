"""What must stand at the target: per provider a table of streams, each with where its truth is at the source."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tools.demo.source import Row, Source

Block = Mapping[str, Any]
NAMED_LISTS = frozenset({"groups"})


@dataclass(frozen=True, slots=True)
class Truth:
    """The rows of one stream as they stand at the source.

    Attributes:
        stream: Name of the stream and of its table.
        rows: Columns that are not named here are the tap's own, and not compared.
        keys: Columns that tell rows apart; without any, whole rows are counted.
        partial: Whether a column that a row lacks is unknown, instead of null.
        full: Whether each run reads the whole table anew, so that a target may keep what is gone.
        unsettled: Keys of jobs that the run made, or that still run: whether it saw them, and how far, is chance.
    """

    stream: str
    rows: list[Row]
    keys: tuple[str, ...] = ()
    partial: bool = False
    full: bool = False
    unsettled: frozenset[Any] = frozenset()


@dataclass(slots=True)
class Jobs:
    """The jobs at the source, by provider: those that others made before, and those that there were before the run."""

    first: dict[str, frozenset[str]] = field(default_factory=dict)
    before: dict[str, frozenset[str]] = field(default_factory=dict)

    def look(self, source: Source) -> None:
        """Note which jobs there are, before a run."""
        self.before = {name: frozenset(_job_ids(source, name)) for name in source.providers if name in JOBS}
        self.first = self.first or self.before

    def of_run(self, source: Source, provider: str) -> list[Row]:
        """Return the jobs that the last run made."""
        return [job for job in _jobs(source, provider) if _id(job) not in self.before[provider]]

    def of_tap(self, source: Source, provider: str) -> list[Row]:
        """Return the jobs that all runs made, apart from those that grew at the source meanwhile."""
        grown = {_id(job) for job in source.added.get(provider, {}).get("exports", ())}
        return [job for job in _jobs(source, provider) if _id(job) not in self.first[provider] | grown]


JOBS = {"closient": "jobs", "cornect": "exports", "exelensia": "exports", "packagex": "exports"}


def _jobs(source: Source, provider: str) -> list[Row]:
    return list(source.truth(f"{provider}/{JOBS[provider]}"))


def _job_ids(source: Source, provider: str) -> Iterator[str]:
    yield from map(_id, _jobs(source, provider))


def _id(job: Row) -> str:
    return str(job.get("id") or job["job_id"])


def truths(source: Source, jobs: Jobs) -> Iterator[Truth]:
    """Yield the truth of every stream of the configured providers, and of the receipts."""
    for provider in source.providers:
        yield from STREAMS[provider](source, source.config[provider], jobs)
    receipts = [row for provider in source.providers for row in RECEIPTS[provider](source, jobs)]
    yield Truth("export_jobs", receipts, ("provider", "job_id"), partial=True)
    yield Truth("export_rejects", [], full=True)


# Cension


def cension(source: Source, block: Block, _: Jobs) -> Iterator[Truth]:
    """Runs that are configured, rows of each in the order of the runs (a later one wins), saved queries."""
    numbers = block["operation_ids"]
    yield Truth("cension_operations", list(_operations(source)), ("operationId",))
    for entry in block["exports"]:
        path = f"cension/export/{entry['export_id']}"
        rows = [row for number in numbers for row in source.truth(path, operationId=number)]
        yield Truth(_stream("cension_export", entry), rows, tuple(entry["primary_keys"]))
    for entry in block["queries"]:
        rows = source.truth(f"cension/query/{entry['query_id']}")
        yield Truth(_stream("cension_query", entry), rows, tuple(entry["primary_keys"]))


def _operations(source: Source) -> Iterator[Row]:
    numbers = source.config["cension"]["operation_ids"]
    yield from (row for row in source.truth("cension/operations") if row["operationId"] in numbers)


def cension_receipts(source: Source, _: Jobs) -> Iterator[Row]:
    """One receipt per run that was read."""
    for row in _operations(source):
        rows = row["processedItems"]
        yield {"provider": "cension", "job_id": str(row["operationId"]), "status": "completed", "rows": rows}


# Exelensia


def exelensia(source: Source, block: Block, jobs: Jobs) -> Iterator[Truth]:
    """All lists, and each export as it would be made now: equal to all windows together."""
    made = frozenset(job["id"] for job in jobs.of_run(source, "exelensia"))
    for name in ("schemas", "templates", "files", "processes", "results", "exports"):
        unsettled = made if name == "exports" else frozenset()
        yield Truth(f"exelensia_{name}", source.truth(f"exelensia/{name}"), ("id",), unsettled=unsettled)
    for entry in block["exports"]:
        query = {name: entry[name] for name in ("schema_id", "expand_array") if name in entry}
        answer = source.truth("exelensia/export", **query)
        rows = [dict(zip(answer["columns"], cells, strict=True)) for cells in answer["rows"]]
        yield Truth(_stream("exelensia_export", entry), rows, tuple(entry.get("primary_keys", ())))


def exelensia_receipts(source: Source, jobs: Jobs) -> Iterator[Row]:
    """One receipt per job that the tap made, with its window and the rows that are in it."""
    for job in jobs.of_tap(source, "exelensia"):
        asked = {name: job[name] for name in ("schema_id", "start_date", "end_date", "expand_array") if job[name]}
        found = {"window_start": job["start_date"], "window_end": job["end_date"]}
        found |= {"rows": len(source.truth("exelensia/export", **asked)["rows"])}
        yield {"provider": "exelensia", "job_id": job["id"], "status": job["status"].lower(), **found}


# PackageX


def packagex(source: Source, block: Block, jobs: Jobs) -> Iterator[Truth]:
    """Jobs, and the three files of each export; two of them are always CSV."""
    made = frozenset(job["id"] for job in jobs.of_run(source, "packagex"))
    yield Truth("packagex_exports", source.truth("packagex/exports"), ("id",), unsettled=made)
    for entry in block["exports"]:
        stream, answer = _stream("packagex_export", entry), source.truth("packagex/export", resource=entry["resource"])
        rows = [_cells(row) for row in answer["rows"]] if entry["format"] == "csv" else answer["rows"]
        yield Truth(stream, rows, ("id",))
        yield Truth(f"{stream}_errors", answer["errors"], ("id",))
        yield Truth(f"{stream}_sanitized", [_harmless(_cells(row)) for row in answer["sanitized"]], ("id",))


def packagex_receipts(source: Source, jobs: Jobs) -> Iterator[Row]:
    """One receipt per job that the tap made, with the provider's count."""
    for job in jobs.of_tap(source, "packagex"):
        yield {"provider": "packagex", "job_id": job["id"], "status": job["status"], "rows": job["count_total"]}


def _cells(row: Row) -> Row:
    return {name: _cell(value) for name, value in row.items()}


def _cell(value: Any) -> Any:
    """Return a nested value as the provider's CSV has it: names of a list of things, else JSON."""
    if isinstance(value, list) and value and all(isinstance(each, dict) and "name" in each for each in value):
        return ", ".join(each["name"] for each in value)
    return _json(value) if isinstance(value, list | dict) else value


def _harmless(row: Row) -> Row:
    return {k: f"'{v}" if isinstance(v, str) and v.startswith("=") else v for k, v in row.items()}


# Cornect


def cornect(source: Source, block: Block, jobs: Jobs) -> Iterator[Truth]:
    """Credits as the API shows them, transactions, jobs that a charge or the configuration tells of, their files."""
    token = {"Authorization": f"Bearer {block['api_token']}"}
    credit = source.api("cornect", "api/v1/credits", **token)
    yield Truth("cornect_credits", [_only(credit, "workspace_id", "balance")], ("workspace_id",), full=True)
    transactions = source.truth("cornect/transactions")
    yield Truth("cornect_credit_transactions", transactions, ("id",))
    found = [
        {"search_name": entry["name"], **row}
        for entry in block["searches"]
        for row in source.truth("cornect/search", filters=json.dumps(entry["search_filters"]))
    ]
    yield Truth("cornect_companies", found, ("search_name", "id"), full=True)
    yield _cornect_exports(source, block, jobs, transactions)
    for entry in block["exports"]:
        stream = _stream("cornect_export", entry)
        rows = [row for job in _cornect_jobs(source, jobs, stream, entry) for row in _cornect_rows(source, job)]
        yield Truth(
            stream, rows, ("id",), full=True
        )  # the same company of a later export replaces that of an earlier one


def _cornect_exports(source: Source, block: Block, jobs: Jobs, transactions: list[Row]) -> Truth:
    known = {str(entry.get("export_id")) for entry in block["exports"]}
    known |= {str(each["reference"]).split(":")[1] for each in transactions}
    made = {job["id"] for job in jobs.of_tap(source, "cornect")}
    unsettled = frozenset(job["id"] for job in jobs.of_run(source, "cornect"))
    rows = [row for row in source.truth("cornect/exports") if row["id"] in known | made]
    unsettled |= {row["id"] for row in rows if row["status"] == "processing"}  # counts on until the comparison
    return Truth("cornect_exports", rows, ("id",), unsettled=unsettled)


def _cornect_jobs(source: Source, jobs: Jobs, stream: str, entry: Block) -> list[str]:
    """Return the ids of the jobs that the last run read for a stream; the tap writes its name into those it makes."""
    if entry.get("export_id"):
        return [str(entry["export_id"])]
    return [job["id"] for job in jobs.of_run(source, "cornect") if job["name"].split()[0] == stream]


def _cornect_rows(source: Source, job_id: str) -> Iterator[Row]:
    job = next(job for job in source.truth("cornect/exports") if job["id"] == job_id)
    for number, row in enumerate(source.truth(f"cornect/export/{job_id}"), 1):
        cells = {k: _joined(v) for k, v in row.items()} if job["export_format"] == "csv" else row
        yield {**cells, "_sdc_job_id": job_id, "_sdc_row": number}


def _joined(value: Any) -> Any:
    """Return a nested value as the provider's CSV has it: texts of a list, else JSON."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return "; ".join(value)
    return _json(value) if isinstance(value, list | dict) else value


def cornect_receipts(source: Source, jobs: Jobs) -> Iterator[Row]:
    """One receipt per job that the tap made or was told of."""
    given = {entry.get("export_id") for entry in source.config["cornect"]["exports"]}
    made = {job["id"] for job in jobs.of_tap(source, "cornect")}
    for job in source.truth("cornect/exports"):
        if job["id"] in given | made:
            yield {"provider": "cornect", "job_id": job["id"], "status": job["status"], "rows": job["total_records"]}


# Closient


def closient(source: Source, _: Block, jobs: Jobs) -> Iterator[Truth]:
    """The jobs of the last run, and what stands in the archive of each."""
    made = jobs.of_run(source, "closient")
    hidden = ("download_url", "expires_at", "sections")
    rows = [{k: v for k, v in job.items() if k not in hidden} for job in made]
    yield Truth("closient_exports", rows, ("job_id",), full=True)
    for name, keys in CLOSIENT.items():
        found = [{**_owner(job), **row} for job in made for row in source.truth(f"closient/{name}", **_asked(job))]
        yield Truth(f"closient_export_{name}", found, keys, full=True)


CLOSIENT = {
    "sections": ("job_id", "key"),
    "records": ("job_id", "section", "path", "index"),
    "files": ("job_id", "path"),
}


def _owner(job: Row) -> Row:
    return _only(job, "job_id", "organization_id")


def _asked(job: Row) -> Row:
    return _only(job, "organization_id")


def closient_receipts(source: Source, jobs: Jobs) -> Iterator[Row]:
    """One receipt per job that the tap made."""
    for job in jobs.of_tap(source, "closient"):
        yield {"provider": "closient", "job_id": job["job_id"], "status": job["status"]}


# All

Streams = Callable[[Source, Block, Jobs], Iterable[Truth]]
Receipts = Callable[[Source, Jobs], Iterable[Row]]
STREAMS: dict[str, Streams] = {
    "cension": cension,
    "closient": closient,
    "cornect": cornect,
    "exelensia": exelensia,
    "packagex": packagex,
}
RECEIPTS: dict[str, Receipts] = {
    "cension": cension_receipts,
    "closient": closient_receipts,
    "cornect": cornect_receipts,
    "exelensia": exelensia_receipts,
    "packagex": packagex_receipts,
}


def _stream(prefix: str, entry: Block) -> str:
    """Return a stream's name: every run of other characters than a-z and 0-9 is one `_`."""
    return f"{prefix}_{re.sub('[^a-z0-9]+', '_', entry['name'].lower()).strip('_')}"


def _only(row: Row, *names: str) -> Row:
    return {name: row[name] for name in names}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_number)


def _number(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else str(value)
