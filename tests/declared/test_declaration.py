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
