"""A declaration is checked before anything is sent: one line for each error, with file, line and the nearest key."""

from __future__ import annotations

import re

import pytest

from tap_exports.errors import ConfigError
from tap_exports.providers.declared.declaration import checked
from tap_exports.providers.declared.declaration.source import parsed
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
    "file URL": ("https://api.vendor.example", "file:///etc/passwd", "x.yaml:2: base_url: does not fit: pattern"),
    "no mapping": (GOOD, "- a\n", "x.yaml: a mapping is due"),
    "no YAML": ("job: {id: id", "job: {id: [", "x.yaml:8: no YAML"),
    "no path below": ("/exports/{id}", "https://elsewhere.example/{id}", "x.yaml:10: poll.get: does not fit: pattern"),
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
