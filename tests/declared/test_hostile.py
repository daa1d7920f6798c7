"""A declaration that means harm is refused or bounded: what it names, what it repeats, how large it is."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tap_exports.errors import ConfigError, TapError
from tap_exports.providers.declared.api import MATCHED_CHARACTERS
from tap_exports.providers.declared.declaration.items import entries_of
from tap_exports.providers.declared.declaration.paths import PathError, compiled, pick
from tap_exports.providers.declared.declaration.source import MOST_BYTES, parsed, read
from tap_exports.sandbox import Sandbox
from tests.declared.vendors import NAME, STREAM, VENDOR, config, declaration, landed, paths, served, truth, vendor
from tests.tap.harness import Json, tap

SECONDS = 5


def within(seconds: float, task: Callable[[], Any]) -> Any:  # noqa: ANN401 - of the task
    """Return what a task returns, once it is seen to be quick."""
    began = time.monotonic()
    try:
        return task()
    finally:
        assert time.monotonic() - began < seconds


def refused(spec: Json) -> str:
    with pytest.raises(ConfigError) as caught:
        within(SECONDS, lambda: declaration(spec))
    return caught.value.message


# Where requests go

OUTSIDE = {
    "an absolute URL": "https://elsewhere.example/{id}",
    "another host": "//elsewhere.example/{id}",
    "a file": "file:///etc/passwd",
    "a parent": "/exports/../../admin/{id}",
    "a parent behind a backslash": "/exports/..\\..\\admin",
}
CALLS: dict[str, Callable[[str], Json]] = {
    "submit": lambda path: {"submit": {"post": path, "json": {}}},
    "then": lambda path: {"then": [{"post": path}]},
    "poll": lambda path: {"poll": {"get": path}},
    "files.get": lambda path: {"files": {"get": path, "url": "url"}},
    "files.path": lambda path: {"files": {"path": path}},
    "list": lambda path: {"list": {"get": path, "items": "data"}},
    "delete": lambda path: {"delete": {"delete": path}},
}


@pytest.mark.parametrize("outside", OUTSIDE)
@pytest.mark.parametrize("call", CALLS)
def test_no_call_leads_out_of_base_url(call: str, outside: str) -> None:
    """The key goes to one origin, below one path."""
    said = refused(vendor(**CALLS[call](OUTSIDE[outside]), window={"key": "moment"}))
    assert "vendor.yaml: " in said
    assert "a path below base_url is due" in said or "leads out of base_url" in said


@pytest.mark.parametrize("base", ["file:///etc", "ftp://host", "gopher://host", "//host", "{base}", "javascript:1"])
def test_a_base_url_is_http(base: str) -> None:
    """And nothing else."""
    assert "base_url: an URL is due" in refused(vendor(base_url=base))


@pytest.mark.parametrize(
    "value", ["evil.example/", "evil.example#", "evil.example?", "a@evil.example", "a:80", "..", "", "a b"]
)
def test_a_variable_of_base_url_is_a_part_of_a_host(tmp_path: Path, value: str) -> None:
    """The key goes where base_url says, whatever stands behind the hole."""
    spec = vendor(base_url="https://{account}.vendor.example")
    with served(spec) as box:
        block = {"variables": {"account": value}, "api_url": ""}
        ran = tap(tmp_path, config(box, block=block))
        assert ran.code == 1
        assert "variables.account: a host or a part of one is due" in ran.stderr
        assert box.requests() == []


@pytest.mark.parametrize("value", ["..", "."])
def test_a_value_is_no_way_up(tmp_path: Path, value: str) -> None:
    """Values in paths are quoted; dots alone, which quoting leaves, are refused before anything is sent."""
    spec = vendor(submit={"post": "/exports/{type}/new", "json": {}}, window=None, find={"type": "{type}"})
    with served(spec) as box:
        ran = tap(tmp_path, config(box, entry={"params": {"type": value}}))
        assert ran.code == 1
        assert "filled, it leads to another path" in ran.stderr
        assert paths(box, "POST") == []


def test_the_key_goes_to_no_url_of_another_origin(tmp_path: Path) -> None:
    """`keyed` URLs of the API's own origin get it; those of another one are read without."""
    spec = vendor(files={**VENDOR["files"], "keyed": True})
    with served(vendor()) as other, served(spec) as box:
        box.set_faults(None)
        stolen = {"redirect": other.files_url + "/stolen.csv"}
        box.set_faults({"faults": [{"match": {"path": "/_keyed/*", "nth": 1}, "action": stolen}]})
        ran = tap(tmp_path, config(box)).succeeded()
        assert landed(ran) == truth(box)
        assert [entry["auth"] for entry in other.requests()] == [None]


@pytest.mark.parametrize("url", ["http://tokens.example/t", "file:///etc/passwd", "//tokens.example"])
def test_a_token_url_is_https(url: str) -> None:
    """The client's secret goes there."""
    oauth2 = {"token_url": url, "grant": "client_credentials", "client_id": "{id_}", "client_secret": "{secret}"}
    assert "auth.oauth2.token_url: an URL is due" in refused(vendor(auth={"oauth2": oauth2}))


def test_a_value_adds_no_header(tmp_path: Path) -> None:
    """A line break within a header would begin another one."""
    spec = vendor(submit={**VENDOR["submit"], "headers": {"X-Type": "{type}"}})
    with served(spec) as box:
        ran = tap(tmp_path, config(box, entry={"params": {"type": "a\r\nX-Admin: 1"}}))
        assert ran.code == 1
        assert paths(box, "POST") == []


# What is evaluated

TEXTS = ("a" * 240, "ab" * 120, "a" * 239 + "!", " " * 240, "(" * 240)
ENDLESS = (
    "(a+)+$",
    "(a*)*b",
    "(?:a|aa)+$",
    "(a|a){30}b",
    "(?P<id>(a+)+)b",
    "a*a*a*a*a*a*b",
    r"\d*[^0-9]" * 4 + "b",
    "a?" * 40 + "a" * 40,
    "a?" * 20 + "b",
    "a*a*a*a*b",
    "(a|aa)" * 28 + "b",
    "(?:x?x?){20}y",
    ".*.*.*.*.*=",
    r"\s*(?:b)?\s*(?:b)?\s*(?:b)?\s*x",
    "a*a*a*(?:b)?a",
    "a*a*a*(b|a)c",
    "(?i)a*A*a*A*b",
    "(?x)a* a* a* a* b",
    r"a*\ba*\ba*\ba*b",
    r"\x61*a*\x61*a*b",
)
ALLOWED = (
    "a*a*a*b",
    "a?" * 15 + "b",
    "a*a*" + "a?" * 5 + "b",
    "a*" + "a?" * 10 + "b",
    r"^425.*duplicate of\s?:\s?(?P<id>[A-Za-z0-9-]+)",
    "(?:429|503).*(?:too many|slow down)",
    r"425.*duplicate of\s*:\s*(?P<id>[A-Za-z0-9-]+)",
    r"^(\w+)-(\w+)-(\w+)/(?P<id>\d+) ",
)


def refusing(pattern: str) -> Json:
    return vendor(submit={**VENDOR["submit"], "refusals": [{"matches": pattern, "means": "busy"}]})


@pytest.mark.parametrize("pattern", ENDLESS)
def test_a_pattern_that_may_never_end_is_refused(pattern: str) -> None:
    """By its form, before it meets a text."""
    assert "it may never end" in refused(refusing(pattern))


@pytest.mark.parametrize("pattern", ALLOWED)
def test_a_pattern_that_passes_ends_soon(pattern: str) -> None:
    """On the worst text of the length that a refusal's text is cut to."""
    declaration(refusing(pattern))
    for text in TEXTS:
        assert len(text) <= MATCHED_CHARACTERS
        began = time.process_time()  # other work of the machine is no fault of the pattern
        re.search(pattern, text)
        assert time.process_time() - began < SECONDS


@pytest.mark.parametrize(
    "path",
    [
        "a[?b].c",
        "length(a)",
        "a || b",
        "a | b",
        "[a, b, a]",
        "{a: a, b: a}",
        "a[*].[b, b]",
        "sort_by(a, &b)",
        "`[1]`",
        "'text'",
        "a[::-1]",
        "(" * 400 + "a" + ")" * 400,
        "a." * 300 + "a",
        "a" * 501,
        "[" * 300,
    ],
)
def test_a_path_is_a_path_and_no_program(path: str) -> None:
    """Filters, functions, literals, selections that multiply, and what is too long or too deep are refused."""
    said = refused(vendor(job={**VENDOR["job"], "status": path}))
    assert "job.status" in said


def test_lists_within_lists_do_not_multiply() -> None:
    """A path is at most as long as it takes to look at every value once for each of its steps."""
    wide: Any = 1
    for _ in range(6):
        wide = [wide] * 8
    found = within(SECONDS, lambda: pick({"a": wide}, "a" + "[]" * 4))
    assert len(found) == 8**5
    with pytest.raises(PathError, match="more than 8 lists"):
        compiled("a" + "[]" * 9)
    with pytest.raises(PathError):
        compiled("a[*][?@]")


# How large it is


def test_a_billion_items_are_refused_without_a_look() -> None:
    """Their number says enough: none of them is made."""
    spec = declaration(vendor(each={"of": "profiles", "as": "profile", "most": 50}))
    entry = {"name": "rows", "params": {"profiles": range(1_000_000_000)}}
    with pytest.raises(ConfigError) as caught:
        within(1, lambda: next(entries_of(spec, entry, "config: vendor: rows")))
    words = "config: vendor: rows: params.profiles has 1000000000 items, `each.most` of vendor is 50"
    assert caught.value.message == words


@pytest.mark.parametrize("items", [None, [], "one", {"one": 1}, 7])
def test_items_are_a_list(items: object) -> None:
    """Text is no list of letters, and nothing is no list of no items: a stream would be missing unseen."""
    spec = declaration(vendor(each={"of": "profiles", "as": "profile"}))
    with pytest.raises(ConfigError, match=r"params\.profiles: a list is due"):
        next(entries_of(spec, {"name": "rows", "params": {"profiles": items}}, "config"))


def test_two_items_of_one_name_are_an_error(tmp_path: Path) -> None:
    """Their streams would be one."""
    spec = vendor(
        each={"of": "profiles", "as": "profile"}, submit={"post": "/p/{profile}", "json": {}}, window=None, find=None
    )
    with served(spec) as box:
        ran = tap(tmp_path, config(box, entry={"params": {"profiles": ["a-b", "a b"]}}))
        assert ran.code == 1
        assert f"{STREAM}_a_b" in ran.stderr


def test_aliases_that_multiply_are_refused() -> None:
    """Nine lines would be a billion items."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ConfigError, match="aliases are not allowed"):
        within(1, lambda: parsed("x.yaml", "\n".join(lines)))


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    """By its size."""
    file = tmp_path / "huge.yaml"
    file.write_text("# " + "x" * MOST_BYTES, encoding="utf-8")
    with pytest.raises(ConfigError, match="larger than 64 KiB"):
        within(1, lambda: read(file))
    with file.open("wb") as sparse:
        sparse.truncate(1 << 40)
    with pytest.raises(ConfigError, match="larger than 64 KiB"):
        within(1, lambda: read(file))


def test_a_pipe_is_no_declaration() -> None:
    """Nothing waits for what never comes."""
    with pytest.raises(ConfigError, match="no file"):
        within(1, lambda: read(Path("/dev/zero")))


NESTED = {
    "lists": "a: " + "[" * 5000 + "]" * 5000,
    "mappings": "a: " + "{b: " * 5000 + "1" + "}" * 5000,
    "blocks": "".join(f"{' ' * n}a:\n" for n in range(600)),
}


@pytest.mark.parametrize("kind", NESTED)
def test_deep_nesting_is_refused(kind: str) -> None:
    """With a message, not with a traceback."""
    with pytest.raises(ConfigError) as caught:
        within(SECONDS, lambda: declaration_of(NESTED[kind]))
    assert "too deep" in caught.value.message or "levels" in caught.value.message


def declaration_of(text: str) -> object:
    from tap_exports.providers.declared.declaration import checked  # noqa: PLC0415 - beside `declaration` of the tests

    return checked(parsed("x.yaml", text))


def test_deep_nesting_within_the_configuration_is_refused(tmp_path: Path) -> None:
    """A declaration may stand in the configuration itself, which is JSON."""
    deep: Any = "{start}"
    for _ in range(300):
        deep = [deep]
    with served(vendor()) as box:
        given = config(box)
        given["declared"][0]["api"]["submit"]["json"] = {"deep": deep}
        ran = tap(tmp_path, given)
        assert ran.code == 1
        assert "more than 40 levels of mappings and lists" in ran.stderr
        assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system [ls]",
        "a: !!python/name:os.system",
        "a: !!set {x, y}",
        "a: !!binary aGk=",
        "a: !!omap [x: 1]",
        "a: .inf",
        "a: .nan",
        "a: !!int " + "9" * 5000,
        "seen: 2026-13-45",
        "? [a, b]\n: c",
        "a: 1\na: 2",
        "a: \x00",
        "--- {a: 1}\n--- {b: 2}",
        "\ufeff- a",
    ],
)
def test_yaml_that_is_no_json_is_refused(text: str) -> None:
    """Objects, sets, bytes, numbers that no JSON holds, two documents: one line each, no traceback."""
    with pytest.raises(ConfigError) as caught:
        within(SECONDS, lambda: declaration_of(text))
    assert caught.value.message.startswith("x.yaml")


# What a provider answers


def test_windows_without_number_are_refused() -> None:
    """Each would be a job."""
    with pytest.raises(ConfigError, match=r"window\.days: at least 0\.001 is due, got 1e-07"):
        declaration(vendor(window={"key": "moment", "days": 1e-7}))


def test_a_count_of_pages_is_bounded(tmp_path: Path) -> None:
    """A job that says it has a billion files is an error, not a billion requests."""
    files = {"path": "/exports/{id}/rows", "pages": {"count": "made_up", "param": "n"}}
    spec = vendor(files=files, job={**VENDOR["job"], "also": {"made_up_too": "made_up"}})
    with Counting(spec) as box:
        ran = tap(tmp_path, config(box))
        assert ran.code == 1
        assert "has 1000000000 files, 10000 are allowed" in ran.stderr


class Counting:
    """A sandbox whose jobs say that they have a billion files."""

    def __init__(self, spec: Json) -> None:
        self._box = served(spec)

    def __enter__(self) -> Sandbox:
        box = self._box.__enter__()
        provider: Any = box._providers[NAME]
        provider.delivery.parts = lambda _order: 1_000_000_000
        return box

    def __exit__(self, *error: object) -> None:
        self._box.__exit__(*error)  # type: ignore[arg-type] # as given


def test_no_declaration_raises_anything_but_its_own_errors(tmp_path: Path) -> None:
    """Whatever stands in the place of a block: an error of the configuration, no traceback."""
    values: list[Any] = [None, 0, -1, True, "", "x", [], {}, [[]], {"x": {}}, 1e308, "{", "{{", "{}", "\u0000"]
    for key in VENDOR:
        for value in values:
            spec = {**VENDOR, key: value}
            try:
                declaration(spec)
            except TapError as error:
                assert error.message  # noqa: PT017 - either way is right
