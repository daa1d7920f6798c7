"""What docs/sandbox.md shows of the sandbox works: each example of a fault, and each block of the page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from tap_exports.sandbox.effects import CONTENT, INSTEAD, LISTS, NAMES, REPLY, Effect
from tap_exports.sandbox.faults import Faults
from tests.sandbox.client import Client, Clients

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8")
FAULTS: Mapping[str, Effect[Any]] = {**INSTEAD, **CONTENT, **REPLY}
OPTIONS = [(name, option) for name, effect in INSTEAD.items() for option in effect.options]
DOWNLOAD = "/v1/exports/019760a0-0050-7000-8000-000000000050/download"
OF_LISTS = {"null_field"}
Seen = tuple[object, ...]


def seen(client: Client, action: Mapping[str, Any] | None) -> Seen:
    """Return what a client sees of a range of a file, times roughly."""
    rules = [{"match": {"origin": "files"}, "action": action}] if action else []
    client.box.set_faults({"faults": rules})
    url = client.get(DOWNLOAD)["url"]
    try:
        reply = requests.get(url, headers={"range": "bytes=10-200"}, timeout=10, allow_redirects=False)
    except requests.exceptions.RequestException as error:
        return (type(error),)
    told = {name: value for name, value in reply.headers.items() if name not in {"Date", "Last-Modified"}}
    apart = datetime.now(timezone.utc) - parsedate_to_datetime(reply.headers["Date"])
    return reply.status_code, told, reply.content, round(reply.elapsed.total_seconds()), apart > timedelta(minutes=1)


@pytest.mark.parametrize("name", [name for name in FAULTS if name not in OF_LISTS])
def test_each_fault_shows(clients: Clients, name: str) -> None:
    """The documented example of a fault changes what the client sees."""
    client = clients("exelensia")
    assert seen(client, {name: FAULTS[name].example}) != seen(client, None)


@pytest.mark.parametrize("name", sorted(OF_LISTS))
def test_each_fault_of_a_list_shows(clients: Clients, name: str) -> None:
    """The documented example of a fault changes a list of the API."""
    client = clients("exelensia")
    plain = client.get("/v1/exports")
    client.box.set_faults({"faults": [{"match": {"path": "/v1/exports"}, "action": {name: FAULTS[name].example}}]})
    assert client.get("/v1/exports") != plain


@pytest.mark.parametrize("name", LISTS)
def test_each_way_of_a_list_to_move_shows(clients: Clients, name: str) -> None:
    """The documented example changes what two pages of a list show."""
    client = clients("exelensia")
    plain = [client.get("/v1/results", limit=4, page=page) for page in (1, 2)]
    rule = {"match": {"path": "/v1/results"}, "action": {name: LISTS[name].example}}
    client.box.set_faults({"faults": [rule]})
    assert [client.get("/v1/results", limit=4, page=page) for page in (1, 2)] != plain


@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_each_option_of_a_fault_shows(clients: Clients, name: str, option: str) -> None:
    """The documented example of an option changes what its fault shows."""
    client, effect = clients("exelensia"), INSTEAD[name]
    plain = {name: effect.example}
    assert seen(client, {**plain, option: effect.options[option][0]}) != seen(client, plain)


def test_false_is_no_fault(clients: Clients) -> None:
    """A fault that is set to false does nothing, wherever it would act."""
    client = clients("exelensia")
    assert seen(client, {"reset": False, "bom": False, "no_range": False, "lose_reply": False}) == seen(client, None)


def test_every_key_is_on_the_page() -> None:
    """The page has a row for each key that an action may have."""
    assert set(re.findall(r"^\| `(\w+): ", PAGE, re.MULTILINE)) == NAMES


def blocks(language: str) -> list[str]:
    """Return the code blocks of the page."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_plans_of_the_page_are_accepted() -> None:
    plans = blocks("yaml")
    assert plans
    for plan in plans:
        Faults().set_yaml(plan)


def test_python_of_the_page_runs() -> None:
    programs = blocks("python")
    assert programs
    for program in programs:
        exec(program, {})  # noqa: S102 - the page is ours
