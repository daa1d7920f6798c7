"""The sandbox of a declaration behaves as the declaration says, also where jobs fail and exports are empty."""

from __future__ import annotations

import pytest
import requests

from tap_exports.sandbox import Sandbox, SandboxOptions
from tap_exports.sandbox.declared import provider_of
from tap_exports.sandbox.declared.access import KEY
from tests.declared.test_shipped import SPECS
from tests.declared.vendors import NAME, served, vendor
from tests.tap.harness import Json

INTERVAL = {"interval_start": "2026-01-01T00:00:00.000Z", "interval_end": "2026-02-01T00:00:00.000Z"}
REPORT = {"report": "balance", "parameters": INTERVAL}
SAME = {"matches": r"425.*duplicate of : (?P<id>\w+)", "means": "same", "sample": "duplicate of : {id}"}
AUTH = {"headers": {"Authorization": "Bearer {key}"}}
HEADERS = {"Authorization": f"Bearer {KEY}"}


def sandbox(name: str, faults: Json | None = None, *refusals: Json, **knobs: int) -> Sandbox:
    """Return the sandbox of a shipped declaration that takes the key in a header."""
    options = SandboxOptions(job_seconds=0, knobs={name: knobs})
    submit = {**SPECS[name]["submit"], "refusals": list(refusals)}
    return Sandbox(options, faults=faults, providers=[provider_of({**SPECS[name], "auth": AUTH, "submit": submit})])


def post(box: Sandbox, name: str, path: str, body: Json) -> requests.Response:
    return requests.post(box.api_url(name) + path, json=body, headers=HEADERS, timeout=10)


def get(box: Sandbox, name: str, path: str) -> Json:
    told: Json = requests.get(box.api_url(name) + path, headers=HEADERS, timeout=10).json()
    return told


@pytest.mark.parametrize(
    ("plan", "expected"),
    [({}, 425), ({"outcome": "hang"}, 425), ({"status": "NEW_WORD"}, 425)]
    + [({"outcome": outcome}, 201) for outcome in ("fail", "vanish")],
)
def test_an_equal_request_is_a_duplicate_unless_the_job_came_to_nothing(plan: Json, expected: int) -> None:
    """The refusal names the job that stands for it."""
    with sandbox("stripe", {"jobs": [{"provider": "stripe", "nth": 1, **plan}]}, SAME) as box:
        first = post(box, "stripe", "/v2/data/report_runs", REPORT)
        second = post(box, "stripe", "/v2/data/report_runs", REPORT)
        assert (first.status_code, second.status_code) == (201, expected)
        assert (f"duplicate of : {first.json()['id']}" in second.text) == (expected == 425)


@pytest.mark.parametrize(("rows", "expected"), [(0, "no_data"), (10, "completed")])
def test_an_empty_export_has_the_word_for_it(rows: int, expected: str) -> None:
    """Where the declaration has one."""
    with sandbox("intercom", rows=rows) as box:
        asked = {"created_at_after": 1767225600, "created_at_before": 1769904000}
        made = post(box, "intercom", "/export/content/data", asked).json()
        assert get(box, "intercom", f"/export/content/data/{made['job_identifier']}")["status"] == expected


@pytest.mark.parametrize(("rows", "expected"), [(0, False), (10, True)])
def test_an_empty_export_has_no_url_where_that_means_empty(rows: int, *, expected: bool) -> None:
    """A declaration says so with `null_is_empty`."""
    options = {"limit": "all", "created_at": "bwi:2026-01-01T00:00:00.000Z,2026-03-31T23:59:59.999Z"}
    fields = {"timezone": "UTC", "datetime_format": "yyyy-MM-dd'T'HH:mm:ssxxx"}
    with sandbox("packagex_declared", rows=rows) as box:
        asked = {"resource": "shipment", "options": options, "csv_field_options": fields}
        made = post(box, "packagex_declared", "/v1/exports", asked).json()["data"]
        found = get(box, "packagex_declared", f"/v1/exports/{made['id']}?include_csv=true&include_json=true")["data"]
        assert bool(found.get("_csv_url")) == expected


@pytest.mark.parametrize(("rows", "expected"), [(0, [None]), (10, [str])])
def test_a_call_that_tells_urls_tells_none_of_an_empty_export(rows: int, expected: list[object]) -> None:
    """As a job without rows shows none."""
    with sandbox("iterable", rows=rows) as box:
        asked = {
            "outputFormat": "application/x-json-stream",
            "dataTypeName": "emailSend",
            "startDateTime": "2026-01-01T00:00:00Z",
            "endDateTime": "2026-04-01T00:00:00Z",
        }
        made = post(box, "iterable", "/api/export/start", asked).json()
        told = get(box, "iterable", f"/api/export/{made['jobId']}/files")["files"]
        assert [each["url"] and type(each["url"]) for each in told] == expected


def test_rows_can_stand_twice() -> None:
    """The count says so too."""
    options = {"limit": "all", "created_at": "bwi:2026-01-01T00:00:00.000Z,2026-03-31T23:59:59.999Z"}
    fields = {"timezone": "UTC", "datetime_format": "yyyy-MM-dd'T'HH:mm:ssxxx"}
    with sandbox("packagex_declared", rows=10, repeated_rows=3) as box:
        asked = {"resource": "shipment", "options": options, "csv_field_options": fields}
        made = post(box, "packagex_declared", "/v1/exports", asked).json()["data"]
        found = get(box, "packagex_declared", f"/v1/exports/{made['id']}?include_csv=true&include_json=true")["data"]
        ids = [line[:6] for line in requests.get(found["_csv_url"], timeout=10).text.splitlines() if line[:4] == "0000"]
        assert (found["count_total"], ids[-6:]) == (13, ["000007", "000008", "000009"] * 2)


def test_a_job_is_seen_where_it_was_made() -> None:
    """The list of an account shows its own jobs, and no other account knows their ids: `find` may rely on it."""
    spec = vendor(
        each={"of": "profiles", "as": "profile"},
        submit={"post": "/p/{profile}/exports", "json": {"type": "{type}", "from": "{start}", "to": "{end}"}},
        poll={"get": "/p/{profile}/exports/{id}"},
        list={"get": "/p/{profile}/exports", "items": "data"},
    )
    with served(spec) as box:
        address, key = box.api_url(NAME), {"x-key": KEY}
        asked = {"type": "t", "from": "2026-01-01T00:00:00.000Z", "to": "2026-01-31T23:59:59.999Z"}
        made = [
            requests.post(f"{address}/p/{item}/exports", json=asked, headers=key, timeout=10).json()["id"]
            for item in ("one", "two")
        ]
        listed = requests.get(f"{address}/p/two/exports", headers=key, timeout=10).json()["data"]
        assert [job["id"] for job in listed] == made[1:]
        looks = [requests.get(f"{address}/p/two/exports/{job}", headers=key, timeout=10).status_code for job in made]
        assert looks == [404, 200]
