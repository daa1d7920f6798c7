"""A declaration is checked before anything is sent: one line for each error, with file, line and the nearest key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tap_exports.engine.secrets import Redactor
from tap_exports.errors import ConfigError
from tap_exports.providers.declared.declaration import checked
from tap_exports.providers.declared.declaration.source import parsed, read
from tap_exports.providers.declared.streams import SHIPPED

NAMES = sorted(path.stem for path in SHIPPED.glob("*.yaml"))
GOOD = """\
name: vendor
base_url: https://api.vendor.example
auth: {headers: {x-key: "{key}"}}
submit:
  post: /exports
  json: {from: "{start:iso}", to: "{until:iso}"}
  refusals: [{matches: "too many", means: busy}]
job: {id: id, status: state}
status: {OPEN: running, DONE: completed}
poll: {get: "/exports/{id}"}
files: {url: "parts[].url", format: csv}
list: {get: /exports, items: data}
find: {from: "{start:iso}"}
window: {key: created}
"""
BAD = {
    "unknown key": ("job: {id: id", "jobb: {id: id", 'x.yaml:8: jobb: unknown key; the nearest is "job"'),
    "unknown key below": (
        "  post: /exports\n",
        "  psot: /exports\n",
        'x.yaml:5: submit.psot: unknown key; the nearest is "post"',
    ),
    "missing key": ('poll: {get: "/exports/{id}"}\n', "", 'x.yaml: the key "poll" is missing'),
    "missing verb": ("  post: /exports\n", "", "x.yaml:4: submit: one of get, post, put, patch, delete is due"),
    "two verbs": ("list: {get: /exports", "list: {get: /exports, post: /exports", "x.yaml:12: list: one of"),
    "unknown word": ("DONE: completed", "DONE: complete", "x.yaml:9: status.DONE: one of pending, running, completed"),
    "no success": ("DONE: completed", "DONE: failed", "x.yaml:9: status: no word means completed"),
    "form": (
        "{until:iso}",
        "{until:isso}",
        'x.yaml:6: submit.json.to: {until:isso}: unknown form; the nearest is "iso"',
    ),
    "hole too early": ("{until:iso}", "{id}", "x.yaml:6: submit.json.to: nobody fills {id} before there is a job"),
    "hole without window": ("window: {key: created}\n", "", "x.yaml:4: submit: nobody fills {start} without `window`"),
    "path": ("parts[].url", "parts[?a", 'x.yaml:11: files.url: "parts[?a" is no path'),
    "filter": ("parts[].url", "parts[?a].url", 'x.yaml:11: files.url: "parts[?a].url" holds a filter projection'),
    "function": (
        "status: state",
        'status: "length(a)"',
        'x.yaml:8: job.status: "length(a)" holds a function expression',
    ),
    "a checksum beside the URLs": (
        'files: {url: "parts[].url", format: csv}',
        'files: {get: "/exports/{id}/files", url: "parts[].url", format: csv}\nproof: {sha256: "parts[].sha256"}',
        "x.yaml:12: proof.sha256: it is read in the job, and the reply of the call in `files`",
    ),
    "find without list": ("list: {get: /exports, items: data}\n", "", "x.yaml:12: find: needs `list`"),
    "find that is not": ('find: {from: "{start:iso}"}', "lost_reply: find", "x.yaml:13: lost_reply: needs `find`"),
    "group repeated": ('"too many"', '"(a+)+b"', "x.yaml:7: submit.refusals[0].matches: repeats a group"),
    "many repeats": (
        '"too many"',
        '"a*a*a*a*a*b"',
        "x.yaml:7: submit.refusals[0].matches: repeats a group, or has too many",
    ),
    "no regex": ('"too many"', '"("', "x.yaml:7: submit.refusals[0].matches: no regular expression"),
    "same without id": ("means: busy", "means: same", "x.yaml:7: submit.refusals[0].matches: `same` needs the group"),
    "key twice": ("name: vendor\n", "name: vendor\nname: other\n", "x.yaml:2: name: this key stands twice"),
    "alias": ("name: vendor\n", "name: &a vendor\ndocs: *a\n", "x.yaml:2: aliases are not allowed"),
    "file URL": (
        "https://api.vendor.example",
        "file:///etc/passwd",
        'x.yaml:2: base_url: an URL is due, beginning with https://, got "file:///etc/passwd"',
    ),
    "no mapping": (GOOD, "- a\n", "x.yaml: a mapping is due"),
    "no YAML": ("job: {id: id", "job: {id: [", "x.yaml:8: no YAML"),
    "no path below": (
        "/exports/{id}",
        "https://elsewhere.example/{id}",
        "x.yaml:10: poll.get: a path below base_url is due, beginning with one /, got",
    ),
    "misspelt method": ("poll: {get:", "poll: {gte:", 'x.yaml:10: poll.gte: unknown key; the nearest is "get"'),
    "upper case": ("name: vendor", "Name: vendor", 'x.yaml:1: Name: unknown key; the nearest is "name"'),
    "misspelt hole": (
        "{until:iso}",
        "{untl:iso}",
        "x.yaml:6: submit.json.to: {untl:iso}: only instants have forms; the nearest is {until}",
    ),
    "hole of another language": (
        "{until:iso}",
        "{{ until }}",
        "x.yaml:6: submit.json.to: {{ until }} is no hole; write {until}",
    ),
    "unquoted hole": (
        '"{until:iso}"',
        "{until:iso}",
        "x.yaml:6: submit.json.to: {until:iso} without quotes is a mapping; write",
    ),
    "unquoted hole of a header": (
        '{x-key: "{key}"}',
        "{x-key: {key}}",
        "x.yaml:3: auth.headers.x-key: a text is due; {key} without quotes",
    ),
    "unquoted hole in a path": (
        '"/exports/{id}"',
        "/exports/{id}",
        "x.yaml:10: no YAML: expected ',' or '}', but got '{'; quote a text",
    ),
    "list for a mapping": (
        "{OPEN: running, DONE: completed}",
        "[OPEN, DONE]",
        "x.yaml:9: status: a mapping is due, got a list",
    ),
    "text for a list": (
        '[{matches: "too many", means: busy}]',
        '"too many"',
        'x.yaml:7: submit.refusals: a list is due, got "too many"',
    ),
    "text for a mapping": ('poll: {get: "/exports/{id}"}', "poll: /x", 'x.yaml:10: poll: a mapping is due, got "/x"'),
    "text for a number": (
        "{key: created}",
        "{key: created, days: ten}",
        'x.yaml:14: window.days: a number is due, got "ten"',
    ),
    "number for a text": ('"parts[].url"', "3", "x.yaml:11: files.url: a text is due, got 3"),
    "too small": ("{key: created}", "{key: created, days: 0}", "x.yaml:14: window.days: at least 0.001 is due, got 0"),
    "nothing": ("  post: /exports\n", "  post:\n", "x.yaml:5: submit.post: a text is due, got nothing"),
    "a key pasted into auth": (
        '{headers: {x-key: "{key}"}}',
        "sk_live_1",
        "x.yaml:3: auth: a mapping is due, got a text",
    ),
    "no slash": (
        '"/exports/{id}"',
        '"exports/{id}"',
        "x.yaml:10: poll.get: a path below base_url is due, beginning with one /",
    ),
    "no scheme": ("https://api", "api", "x.yaml:2: base_url: an URL is due, beginning with https://, got"),
    "another language of paths": (
        "{id: id",
        "{id: $.id",
        'x.yaml:8: job.id: "$.id" is no path; a path begins with a field',
    ),
    "a word of YAML": ("OPEN: running", "on: running", "x.yaml:9: status.on: YAML reads this key as true: quote it"),
    "a number of YAML": (
        "OPEN: running",
        "0100: running",
        "x.yaml:9: status.0100: YAML reads this key as 64: quote it",
    ),
    "word with a blank": ("OPEN: running", "OPEN: in progress", "x.yaml:9: status.OPEN: one of pending, running"),
    "name with a hyphen": (
        "name: vendor",
        "name: my-vendor",
        "x.yaml:1: name: lower-case letters, digits and _ are due",
    ),
    "no day": ("name: vendor\n", "name: vendor\nseen: today\n", "x.yaml:2: seen: a day such as 2026-01-31 is due"),
    "unknown format": ("format: csv", "format: xlsx", "x.yaml:11: files.format: one of csv, tsv, json, jsonl is due"),
    "tab": (
        "submit:\n  post",
        "submit:\n\tpost",
        "x.yaml:5: no YAML: found character '\\t' that cannot start any token; a tab",
    ),
    "indentation": (
        "  json: {from",
        "   json: {from",
        "x.yaml:6: no YAML: mapping values are not allowed here; look at",
    ),
    "two documents": (
        "name: vendor\n",
        "name: vendor\n---\nb: 1\n",
        "x.yaml:2: no YAML: but found another document; a file",
    ),
    "merge key": ("{headers: {", "{<<: *h, headers: {", "x.yaml:3: aliases are not allowed"),
    "merge key without an alias": (
        "name: vendor\n",
        "name: vendor\n<<: {docs: x}\n",
        "x.yaml:2: <<: merge keys are not allowed",
    ),
    "window without a bound": (
        '{from: "{start:iso}", to: "{until:iso}"}',
        '{from: "{strat}", to: "{utnil}"}',
        "x.yaml:14: window: no call sends {start} or {end} or {until}; {strat} looks like {start}",
    ),
    "path of Python": (
        "name: vendor\n",
        "name: vendor\npython: ../vendor.py\n",
        "x.yaml:2: python: the name of a Python file beside the declaration is due, without a folder, such as",
    ),
    "two ways of files": (
        'url: "parts[].url"',
        'url: u, path: "/f/{id}"',
        "x.yaml:11: files: one of url, path is due, got",
    ),
    "a header that is no text": (
        '{x-key: "{key}"}',
        "{Authorization: 12345}",
        "x.yaml:3: auth.headers[Authorization]: a text is due, got a number",
    ),
    "object in YAML": ("name: vendor", "name: !!python/object/apply:os.system [ls]", "x.yaml:1: no YAML"),
}


@pytest.mark.parametrize("case", BAD)
def test_an_error_names_file_line_and_key(case: str) -> None:
    """One line for each, before anything is sent."""
    old, new, message = BAD[case]
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        checked(parsed("x.yaml", GOOD.replace(old, new, 1)))
    assert caught.value.message.splitlines()[0].startswith(message)


def test_a_checksum_of_the_job_is_none_beside_the_urls() -> None:
    """A field whose name only begins as that of the URLs stands in the job."""
    asks = 'files: {get: "/exports/{id}/files", url: "parts[].url", format: csv}\nproof: {sha256: part.sha256}'
    checked(parsed("x.yaml", GOOD.replace('files: {url: "parts[].url", format: csv}', asks)))


WINDOWS = {
    "days without an end": (
        "{key: created, days: 7}",
        "{start:iso}",
        "{ends}",
        "{end} or {until}; {ends} looks like {end}",
    ),
    "days without a beginning": ("{key: created, days: 7}", "{from}", "{until:iso}", "{start}"),
    "a day by its beginning": ("{key: created, days: 1, by: day}", "{start:date}", "{x}", ""),
    "no days, no end": ("{key: created}", "{start:iso}", "{x}", ""),
}


@pytest.mark.parametrize("case", WINDOWS)
def test_windows_cut_what_is_asked_for(case: str) -> None:
    """A declaration whose windows have ends that no call sends would read everything for each of them."""
    window, start, end, missing = WINDOWS[case]
    text = (
        GOOD.replace("{key: created}", window)
        .replace('"{start:iso}", to', f'"{start}", to')
        .replace("{until:iso}", end)
    )
    if not missing:
        assert checked(parsed("x.yaml", text)).is_windowed
        return
    with pytest.raises(ConfigError) as caught:
        checked(parsed("x.yaml", text))
    assert caught.value.message == f"x.yaml:14: window.days: cuts nothing: no call sends {missing}"


def test_a_misplaced_header_is_told_in_a_log() -> None:
    """The words behind the name of a header with credentials are no credentials."""
    old, new, message = BAD["a header that is no text"]
    with pytest.raises(ConfigError) as caught:
        checked(parsed("x.yaml", GOOD.replace(old, new, 1)))
    assert Redactor().cut(caught.value.message) == message


@pytest.mark.parametrize(("data", "message"), [(b"name: a\ndocs: \xff\n", "x.yaml:2: not UTF-8")])
def test_a_file_of_another_encoding_is_named_with_its_line(tmp_path: Path, data: bytes, message: str) -> None:
    """As every other error is."""
    file = tmp_path / "x.yaml"
    file.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        read(file)
    assert caught.value.message == message


def test_python_that_is_not_there_is_an_error_of_the_file(tmp_path: Path) -> None:
    """`tap-exports check` tells it, not only the first run."""
    file = tmp_path / "x.yaml"
    file.write_text(f"{GOOD}python: vendor.py\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        checked(read(file))
    assert caught.value.message == "x.yaml:15: python: there is no vendor.py beside the declaration"


def test_a_good_declaration_passes() -> None:
    """The one that the bad ones are made of."""
    assert checked(parsed("x.yaml", GOOD)).name == "vendor"


def test_all_errors_are_told_at_once() -> None:
    """A file with two errors has two lines."""
    text = GOOD.replace("DONE: completed", "DONE: complete").replace("parts[].url", "a").replace("find:", "fnd:")
    with pytest.raises(ConfigError) as caught:
        checked(parsed("x.yaml", text))
    assert [re.sub(r":.*", "", line.removeprefix("x.yaml:")) for line in caught.value.message.splitlines()] == [
        "9",
        "13",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_shipped_declarations_name_their_documents(name: str) -> None:
    """And the day when they were read."""
    spec = checked(parsed(name, (SHIPPED / f"{name}.yaml").read_text(encoding="utf-8"))).spec
    assert spec["name"] == name
    assert spec["docs"].startswith("https://")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", spec["seen"])
