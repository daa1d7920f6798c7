"""Every value of every setting is either accepted or refused in one or two lines that name the setting."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator
from datetime import datetime, timezone
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tap_exports.engine.http import Transport
from tap_exports.errors import ConfigError, UnreachableError
from tap_exports.settings import date_range
from tap_exports.tap import TapExports

Json = dict[str, Any]
Path = tuple[str | int, ...]
KEY = "sk9Qz7Lm2Xw8Rt4Vb6Nc1"
BASE: Json = {
    "cension": {
        "api_key": KEY,
        "exports": [{"export_id": 1, "start": {"endpoint": "vertical/create", "body": {}}}],
        "queries": [{"query_id": 2}],
    },
    "exelensia": {"api_key": KEY, "exports": [{"schema_id": "a"}]},
    "packagex": {"api_key": KEY, "exports": [{"resource": "shipment"}]},
    "cornect": {"api_token": KEY, "exports": [{"name": "a", "search_filters": {}}], "searches": [{"name": "a"}]},
    "declared": [{"file": "sendgrid", "credentials": {"key": KEY}, "exports": [{"name": "a"}]}],
    "closient": {"api_key": KEY, "organization_ids": ["vytxeTZskVKR7C7WgdSP3d"]},
}


def schema() -> Json:
    """Return the schema of all settings, the SDK's included."""
    found: Json = copy.deepcopy(TapExports.config_jsonschema)
    TapExports.append_builtin_config(found)
    return found


def paths(of: Json, before: Path = ()) -> Iterator[tuple[Path, Json]]:
    """Yield the place of each setting, those of list entries included."""
    for name, prop in of.get("properties", {}).items():
        here = (*before, name)
        yield here, prop
        yield from paths(prop, here)
        if "items" in prop:
            yield (*here, 0), prop["items"]
            yield from paths(prop["items"], (*here, 0))


SETTINGS = list(paths(schema()))
OWN: Any = TapExports.config_jsonschema["properties"]
OURS = [(path, prop) for path, prop in SETTINGS if path[0] in OWN]
NUMBERS = [(path, prop) for path, prop in OURS if {"integer", "number"} & set(prop.get("type", ()))]


def ident(value: object) -> str | None:
    return ".".join(map(str, value)) if isinstance(value, tuple) else "_"


def with_value(path: Path, value: object) -> Json:
    """Return a valid configuration with one value in its place."""
    config: Any = copy.deepcopy(BASE)
    place = config
    for step, following in pairwise(path):
        if isinstance(place, dict):
            place = place.setdefault(step, [] if isinstance(following, int) else {})
        else:
            place += [] if place else [{"name": "a"}]  # an account
            place = place[step]
    if isinstance(place, list):
        place[:1] = [value]
    else:
        place[path[-1]] = value
    return dict(config)


def edges(prop: Json) -> list[Any]:
    """Return values below, at and above the bounds of a setting."""
    bounds = [prop[rule] for rule in ("minimum", "maximum", "exclusiveMinimum") if rule in prop]
    near = [value for bound in bounds for value in (bound - 1, bound, bound + 1, bound + 0.5)]
    return [
        *near,
        0,
        -1,
        10**9,
        10**30,
        -(10**30),
        10**400,
        1e308,
        1e-300,
        float("nan"),
        float("inf"),
        "5",
        "nan",
        "-1",
    ]


def refusal(config: Json) -> list[str] | None:
    """Construct the tap as a run does; return the lines with which it refuses, None where it accepts."""
    try:
        tap = TapExports(config=config)
    except ConfigError as error:
        return error.message.splitlines()
    assert tap.streams
    return None


def check(path: Path, value: object) -> None:
    """Hold one value against the rule."""
    lines = refusal(with_value(path, value))
    name = next(str(step) for step in reversed(path) if isinstance(step, str))
    assert lines is None or len(lines) in {1, 2}
    assert lines is None or name in "\n".join(lines), lines
    assert KEY not in "\n".join(lines or ())


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=4,
)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep hundreds of taps from logging, from making requests, and from creating files where the tests run."""

    def unreachable(*_: object, **__: object) -> None:
        raise UnreachableError("no network")

    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))
    monkeypatch.setattr(Transport, "open", unreachable)
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(place=st.sampled_from([path for path, _ in OURS]), data=st.data())
def test_any_value(place: Path, data: st.DataObject) -> None:
    """Values of every type, near the bounds and far from them: accepted, or refused by name."""
    check(place, data.draw(st.sampled_from(edges(dict(OURS)[place])) | JSON_VALUES))


@pytest.mark.parametrize(("path", "prop"), NUMBERS, ids=ident)
def test_numbers_have_bounds(path: Path, prop: Json) -> None:
    """Every number has both bounds in the schema; each bound is accepted, and what lies beyond is refused with it."""
    least, most = prop["exclusiveMinimum" if "exclusiveMinimum" in prop else "minimum"], prop["maximum"]
    below = least if "exclusiveMinimum" in prop else least - 1
    for wrong, bound in ((below, least), (most + 1, most), (-(10**30), least), (10**30, most)):
        lines = refusal(with_value(path, wrong))
        assert lines is not None
        assert str(path[-1]) in lines[0]
        assert lines[0].endswith(f" {bound}")
    right = [most, least + 1 if "exclusiveMinimum" in prop else least]
    assert [refusal(with_value(path, value)) for value in right] == [None, None]


DATES = {
    "0000-01-01": 'config: start_date "0000-01-01" is not an ISO 8601 date-time, such as 2026-01-31T00:00:00Z',
    "0001-01-01": "config: start_date 0001-01-01 must be in the years 1900 to 2199",
    "9999-12-31": "config: start_date 9999-12-31 must be in the years 1900 to 2199",
    "10000-01-01": 'config: start_date "10000-01-01" is not an ISO 8601 date-time, such as 2026-01-31T00:00:00Z',
    "2026-02-30": 'config: start_date "2026-02-30" is not an ISO 8601 date-time, such as 2026-01-31T00:00:00Z',
    KEY: 'config: start_date "… (21 characters)" is not an ISO 8601 date-time, such as 2026-01-31T00:00:00Z',
}


@pytest.mark.parametrize("text", DATES, ids=str)
def test_dates_beyond_sense(text: str) -> None:
    """A date is refused with what is wrong; a key that was pasted in its place is not shown."""
    assert refusal({**BASE, "start_date": text}) == [DATES[text]]


def test_end_date_without_time_is_the_whole_day() -> None:
    """An `end_date` that names a day covers its last millisecond, one with a time ends there."""
    ends = [
        date_range({"end_date": text, "settling_seconds": 60}).until for text in ("2026-03-31", "2026-03-31T00:00Z")
    ]
    assert ends == [
        datetime(2026, 3, 31, 23, 59, 59, 999000, timezone.utc),
        datetime(2026, 3, 31, tzinfo=timezone.utc),
    ]


def test_start_and_end_may_be_one_day() -> None:
    assert refusal({**BASE, "start_date": "2026-03-31T12:00:00Z", "end_date": "2026-03-31"}) is None


def test_start_in_the_future_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is due before it: a schedule may be set up early, so it is no error."""
    logging.disable(logging.NOTSET)
    assert refusal({**BASE, "start_date": "2190-01-01"}) is None
    assert "config: start_date 2190-01-01 is in the future: nothing is due yet" in caplog.messages


@pytest.mark.parametrize("place", [(), ("exelensia",), ("exelensia", "exports", 0)], ids=ident)
def test_key_in_place_of_a_name_is_not_shown(place: Path) -> None:
    """A credential pasted as the name of a setting appears in no message; a misspelt name does."""
    pasted, misspelt = (refusal(with_value((*place, name), 1)) or [""] for name in (KEY, "expand_arrays"))
    assert "… (21 characters)" in pasted[0]
    assert KEY not in pasted[0]
    assert "expand_arrays" in misspelt[0]


def test_null_is_the_default() -> None:
    """A setting that is null is one that is not set."""
    nulls: Json = {str(path[0]): None for path, _ in OURS if len(path) == 1 and path[0] not in BASE}
    assert refusal({**BASE, **nulls}) is None
