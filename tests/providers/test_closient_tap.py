"""Closient, the whole tap against the sandbox."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tap_exports.sandbox import Sandbox, SandboxOptions
from tap_exports.sandbox.closient.api import FAILED_JOB_ID, JOB_ID, TAR_JOB_ID
from tap_exports.sandbox.closient.seed import ACME, BROKEN, SOUND, STRANGER
from tests.engine.archives import tarred_as, zipped
from tests.tap.harness import Json, Ran, only, tap, without_lineage

EXPORTS, FILES, RECORDS, SECTIONS = (
    "closient_exports",
    "closient_export_files",
    "closient_export_records",
    "closient_export_sections",
)
DATA_EXPORT = "/dashboard/api/v1/data-export/"


@contextmanager
def sandbox(*, faults: Json | None = None, knobs: Json | None = None, **options: Any) -> Iterator[Sandbox]:  # noqa: ANN401 - of `SandboxOptions`
    given = {"job_seconds": 0, "knobs": {"closient": knobs or {}}, **options}
    with Sandbox(SandboxOptions(**given), faults=faults) as box:
        yield box


def config(box: Sandbox, **changes: object) -> Json:
    """Return a configuration of one organization, changed."""
    whole = only(box.config(), "closient")
    return {**whole, "closient": {**whole["closient"], "organization_ids": [ACME], **changes}}


def asked(box: Sandbox, method: str) -> list[str]:
    """Return the organizations of the requests for jobs."""
    paths = [entry["path"] for entry in box.requests() if entry["method"] == method]
    return [path.removeprefix(DATA_EXPORT).split("/")[0] for path in paths if path.startswith(DATA_EXPORT)]


def downloads(box: Sandbox) -> int:
    return sum(entry["origin"] == "files" for entry in box.requests())


def ledger(ran: Ran) -> list[Json]:
    return list(ran.states[-1]["bookmarks"][EXPORTS]["ledger"]["jobs"])


def truth(box: Sandbox, resource: str, organization: str = ACME) -> list[Json]:
    return list(box.truth(f"closient/{resource}", organization_id=organization))


def places(records: list[Json]) -> list[Json]:
    return [{k: r[k] for k in ("section", "path", "index", "record")} for r in records]


def catalog(folder: Path, config: Json, *selected: str) -> Json:
    """Return the discovered catalog with some streams selected."""
    found: Json = json.loads(b"\n".join(tap(folder, config, "--discover").succeeded().lines))
    for stream in found["streams"]:
        stream["metadata"] = [
            {**m, "metadata": {**m["metadata"], "selected": stream["stream"] in selected}} if not m["breadcrumb"] else m
            for m in stream["metadata"]
        ]
    return found


@pytest.mark.parametrize("archive_format", ["zip", "tar.gz"])
@pytest.mark.parametrize("knobs", [{}, {"root": "export-1", "files": "per_section", "created_status": 202}])
def test_what_stands_at_the_source_arrives(tmp_path: Path, archive_format: str, knobs: Json) -> None:
    """Every record, file and section, value by value, from both containers and any spread over files."""
    with sandbox(knobs=knobs) as box:
        ran = tap(tmp_path, config(box, archive_format=archive_format)).succeeded()
        root = f"{knobs['root']}/" if knobs else ""
        expected = {name: truth(box, name) for name in ("records", "files", "sections")}
    for row in expected["records"] + expected["files"]:
        row["path"] = root + row["path"]
    assert places(ran.records[RECORDS]) == expected["records"]
    own = {"job_id", "organization_id", "stored_url"}
    assert [{k: v for k, v in r.items() if k not in own} for r in ran.records[FILES]] == expected["files"]
    assert [{k: v for k, v in r.items() if k not in own} for r in ran.records[SECTIONS]] == expected["sections"]
    assert [r["archive_format"] for r in ran.records[EXPORTS]] == [archive_format]


def test_one_job_per_organization_feeds_all_streams(tmp_path: Path) -> None:
    """Asked for once and downloaded once, an organization given as a UUID too; the receipts tell of both jobs."""
    with sandbox() as box:
        ran = tap(tmp_path, only(box.config(), "closient"), fresh=True).succeeded()
        assert sorted(asked(box, "POST")) == sorted([ACME, SOUND])
        assert downloads(box) == 2
    jobs = [r["job_id"] for r in ran.records[EXPORTS]]
    assert [r["organization_id"] for r in ran.records[EXPORTS]] == [ACME, SOUND]
    assert [(r["job_id"], r["stream"], r["status"]) for r in ran.records["export_jobs"]] == [
        (job, EXPORTS, "completed") for job in jobs
    ]
    assert {r["job_id"] for r in ran.records[RECORDS]} == set(jobs)
    assert ledger(ran) == []


def test_keys_are_unique(tmp_path: Path) -> None:
    with sandbox() as box:
        ran = tap(tmp_path, only(box.config(), "closient")).succeeded()
    for stream in (EXPORTS, FILES, RECORDS, SECTIONS):
        keys = ran.schema(stream)["key_properties"]
        rows = [tuple(r[k] for k in keys) for r in ran.records[stream]]
        assert (len(rows) > 0, len(set(rows))) == (True, len(rows))


def test_records_carry_lineage(tmp_path: Path) -> None:
    with sandbox() as box:
        ran = tap(tmp_path, config(box)).succeeded()
    for row in ran.records[RECORDS]:
        lineage = {k: v for k, v in row.items() if k.startswith("_sdc_")}
        assert lineage == {
            "_sdc_job_id": row["job_id"],
            "_sdc_file": row["path"],
            "_sdc_row": row["index"] + 1,
            "_sdc_extra": None,
        }


def test_two_runs_say_the_same(tmp_path: Path) -> None:
    """The same data gives the same messages in the same order, ids of jobs and times aside."""
    with sandbox() as box:
        first, second = (tap(tmp_path, only(box.config(), "closient")).succeeded() for _ in range(2))
    for stream in (FILES, RECORDS, SECTIONS):
        rows = [[{**r, "job_id": ""} for r in without_lineage(ran.records[stream])] for ran in (first, second)]
        assert rows[0] == rows[1]


def test_a_failed_section_is_a_row_and_a_warning(tmp_path: Path) -> None:
    with sandbox() as box:
        ran = tap(tmp_path, config(box, organization_ids=[BROKEN])).succeeded()
        assert places(ran.records[RECORDS]) == truth(box, "records", BROKEN)
    (failed,) = [r for r in ran.records[SECTIONS] if r["error"]]
    warning = f'section {failed["key"]} is "failed": {failed["error"]}'
    assert warning in ran.stderr
    assert ran.records["export_jobs"][0]["warnings"] == [warning]
    activated = {m["stream"] for m in ran.messages if m["type"] == "ACTIVATE_VERSION"}
    assert activated == {EXPORTS, SECTIONS}
    assert f"{RECORDS}: not proven complete: no ACTIVATE_VERSION" in ran.stderr


def test_deselected_streams_cost_nothing(tmp_path: Path) -> None:
    """Sections alone need no download, and without any stream nothing is asked for."""
    with sandbox() as box:
        whole = config(box)
        few = catalog(tmp_path, whole, EXPORTS, SECTIONS)
        none = catalog(tmp_path, whole, "export_jobs")
        tap(tmp_path, whole, catalog=none).succeeded()
        assert asked(box, "POST") == []
        ran = tap(tmp_path, whole, catalog=few).succeeded()
        assert (len(asked(box, "POST")), downloads(box)) == (1, 0)
    assert sorted(k for k in ran.records if ran.records[k]) == [SECTIONS, EXPORTS]


def test_discovery_and_the_connection_test_create_nothing(tmp_path: Path) -> None:
    with sandbox() as box:
        tap(tmp_path, config(box), "--discover").succeeded()
        tap(tmp_path, config(box), "--test").succeeded()
        assert (asked(box, "POST"), box.spend()["closient"]) == ([], {"jobs_created": 0})


@pytest.mark.parametrize("job_id", [JOB_ID, TAR_JOB_ID])
def test_jobs_made_elsewhere_are_read(tmp_path: Path, job_id: str) -> None:
    """Nothing is asked for; which organization a job belongs to is found out."""
    with sandbox() as box:
        ran = tap(tmp_path, config(box, organization_ids=[BROKEN, ACME], job_ids=[job_id])).succeeded()
        assert asked(box, "POST") == []
        assert places(ran.records[RECORDS]) == truth(box, "records")
    (export,) = ran.records[EXPORTS]
    assert (export["job_id"], export["organization_id"], export["requested_at"]) == (job_id, ACME, None)


@pytest.mark.parametrize("selected", [(RECORDS,), (EXPORTS, RECORDS)])
def test_a_run_after_a_crash_reads_the_same_job(tmp_path: Path, selected: tuple[str, ...]) -> None:
    """The ledger stands under closient_exports whether that stream is selected or not."""
    with sandbox(faults={"faults": [{"match": {"origin": "files"}, "action": {"status": 404}}]}) as box:
        both = config(box, organization_ids=[BROKEN, ACME])
        chosen = catalog(tmp_path, both, *selected)
        broken = tap(tmp_path, both, catalog=chosen)
        assert (broken.code, len(ledger(broken))) == (1, 2)
        box.set_faults(None)
        box.clear_requests()
        ran = tap(tmp_path, both, state=broken.states[-1], catalog=chosen).succeeded()
        assert (asked(box, "POST"), {entry["status"] for entry in box.requests()}) == ([], {200})
        assert places(ran.records[RECORDS]) == truth(box, "records", BROKEN) + truth(box, "records")
    assert ledger(ran) == []


def test_a_detached_job_is_collected_by_the_next_run(tmp_path: Path) -> None:
    """The first run ends well, writes no rows and replaces nothing at the target."""
    with sandbox(job_polls=1) as box:
        first = tap(tmp_path, {**config(box), "job_wait": "detach"}).succeeded()
        kinds = {m["type"] for m in first.messages if m.get("stream", "").startswith("closient")}
        assert (kinds, len(ledger(first))) == ({"SCHEMA"}, 1)
        second = tap(tmp_path, config(box), state=first.states[-1]).succeeded()
        assert (len(asked(box, "POST")), len(second.records[RECORDS])) == (1, len(truth(box, "records")))


def test_a_lost_reply_costs_a_second_job_and_nothing_else(tmp_path: Path) -> None:
    """No list exists, and an export costs nothing, so it is asked for again."""
    fault = {"match": {"provider": "closient", "method": "POST", "nth": 1}, "action": {"lose_reply": True}}
    with sandbox(faults={"faults": [fault]}) as box:
        ran = tap(tmp_path, config(box)).succeeded()
        assert (len(asked(box, "POST")), len(ran.records[EXPORTS])) == (2, 1)
        assert places(ran.records[RECORDS]) == truth(box, "records")
    assert ledger(ran) == []


def test_a_job_that_failed_is_a_row_and_an_error(tmp_path: Path) -> None:
    """The other streams fail, and nothing at the target is replaced."""
    with sandbox() as box:
        ran = tap(tmp_path, config(box, job_ids=[FAILED_JOB_ID, JOB_ID]))
        assert len(ran.records[RECORDS]) == len(truth(box, "records"))
    assert ran.code == 1
    assert [(r["status"], r["error"]) for r in ran.records[EXPORTS]] == [
        ("failed", "Archive could not be stored"),
        ("completed", None),
    ]
    reason = f'closient_exports, job {FAILED_JOB_ID}: ended as "failed": Archive could not be stored; it has no rows'
    assert ran.errors[:-1] == [f"{FILES}, {RECORDS}, {SECTIONS}, {EXPORTS}: {reason}"]
    assert [m for m in ran.messages if m["type"] == "ACTIVATE_VERSION"] == []


def test_an_unknown_status_is_never_success(tmp_path: Path) -> None:
    plan = {"jobs": [{"provider": "closient", "status": "archived"}]}
    with sandbox(faults=plan) as box:
        ran = tap(tmp_path, {**config(box), "job_stall_timeout_seconds": 1})
    assert (ran.code, ran.records[RECORDS]) == (1, [])
    assert 'status "archived" is not known: say what it means in the setting closient.statuses' in ran.errors[0]
    assert len(ledger(ran)) == 1


def test_counts_that_differ_stop_unless_told_otherwise(tmp_path: Path) -> None:
    with sandbox(knobs={"count_error": 1}) as box:
        ran = tap(tmp_path, config(box))
        assert (ran.code, "organization: 1 of 2 (verify_counts: fail)" in ran.stderr) == (1, True)
        warned = tap(tmp_path, {**config(box), "verify_counts": "warn"}).succeeded()
        assert "organization: 1 of 2 (verify_counts: warn)" in warned.stderr
        assert places(warned.records[RECORDS]) == truth(box, "records")


HOSTILE = {
    "climbs": (zipped({"../../evil": b"x"}), "climbs out of the archive"),
    "link": (tarred_as("evil", b"2"), "is a symbolic link"),
    "bomb": (zipped({"a.png": bytes(40_000_000)}), "archive_max_ratio"),
    "tag": (zipped({"a.yaml": b"!!python/object/apply:os.system ['true']"}), "is not followed"),
    "laughs": (
        zipped(
            {
                "a.yaml": "\n".join(
                    ["a0: &a0 x", *(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 9}]" for n in range(1, 12))]
                ).encode()
            }
        ),
        "aliases written out",
    ),
    "page": (b"<html>sorry</html>", "HTML or XML came where a file is due: <html>sorry</html>, in 2 attempts"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused(tmp_path: Path, name: str) -> None:
    """One clear line, nothing unpacked, and the job stays open."""
    archive, message = HOSTILE[name]
    action = {"replace": {"base64": base64.b64encode(archive).decode()}}
    with sandbox(faults={"faults": [{"match": {"origin": "files"}, "action": action}]}) as box:
        changes = {"verify_counts": "off", "spool_dir": str(tmp_path / "spool"), "max_attempts": 2}
        ran = tap(tmp_path, {**config(box), **changes})
    assert ran.code == 1
    assert any(message in error for error in ran.errors), ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.records[RECORDS] == []
    assert list(tmp_path.rglob("*evil*")) == []
    assert list((tmp_path / "spool").iterdir()) == []


def test_assets_are_stored_under_their_content(tmp_path: Path) -> None:
    """Each file arrives byte by byte, twice the same names, nothing temporary is left."""
    folder = tmp_path / "assets"
    with sandbox() as box:
        ran = tap(tmp_path, config(box, files_storage=str(folder))).succeeded()
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
        tap(tmp_path, config(box, files_storage=folder.as_uri())).succeeded()
        after = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert before == after
    urls = {r["stored_url"]: (r["sha256"], r["bytes"]) for r in ran.records[FILES]}
    assert sorted(urls) == sorted(path.as_uri() for path in before)
    for url, (digest, size) in urls.items():
        path = Path(url.removeprefix("file://"))
        assert (path.stem, path.stat().st_size) == (digest, size)


def test_an_expired_url_is_renewed(tmp_path: Path) -> None:
    fault = {"match": {"origin": "files", "nth": 1}, "action": {"expire": True}}
    with sandbox(faults={"faults": [fault]}) as box:
        tap(tmp_path, config(box)).succeeded()
        assert len(asked(box, "POST")) == 1


def test_the_key_goes_nowhere_else(tmp_path: Path) -> None:
    """Neither key nor signed URL stands in what the tap writes, and the files' host never sees the key."""
    with sandbox() as box:
        whole = config(box)
        ran = tap(tmp_path, whole).succeeded()
        keyed = [entry for entry in box.requests() if entry["origin"] == "files" and entry["auth"]]
    text = b"\n".join(ran.lines).decode() + ran.stderr
    assert (keyed, whole["closient"]["api_key"] in text, "X-Amz-Signature" in text) == ([], False, False)


def test_the_quota_is_kept(tmp_path: Path) -> None:
    """A day that is nearly used up ends the run with a clear line, its job in STATE; 20 requests are left to others."""
    with sandbox(knobs={"per_day": 100}, job_seconds=3600) as box:
        ran = tap(tmp_path, {**config(box), "poll_interval_seconds": 0.01, "poll_interval_max_seconds": 0.01})
        used = len(box.requests())
    assert (ran.code, used <= 80, len(ledger(ran))) == (1, True, 1)
    assert "closient: the key's quota asks for a wait of" in ran.errors[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"api_key": "csb_wrong_00000000"}, "closient: 401: key setting `closient.api_key` was refused"),
        ({"organization_ids": []}, 'config: "closient.organization_ids" names no organization'),
        ({"organization_ids": [STRANGER]}, "404 Not Found: NOT_FOUND: Organization not found"),
        ({"organization_ids": ["short"]}, "organization_id must be a shortuuid of 22 characters or a UUID"),
        ({"job_ids": [STRANGER]}, f"closient: export {STRANGER} is not known to any of organization_ids"),
        ({"archive_format": "rar"}, 'config: "closient.archive_format" must be one of zip, tar.gz'),
        ({"files_storage": "nowhere://x"}, "closient.files_storage: Protocol not known: nowhere"),
        ({"archive_fromat": "zip"}, 'unknown key "closient.archive_fromat"; the nearest setting is "archive_format"'),
    ],
)
def test_bad_input_is_told_in_one_line(tmp_path: Path, changes: Json, message: str) -> None:
    with sandbox() as box:
        ran = tap(tmp_path, config(box, **changes))
    assert (ran.code != 0, message in ran.stderr, "Traceback" in ran.stderr) == (True, True, False), ran.stderr
