from __future__ import annotations

import codecs
import json
from pathlib import Path

import pytest

from tap_exports.errors import ConfigError, StateError
from tap_exports.singer.inputs import broken_variables, read_file, read_state

STATE = {"bookmarks": {"a": {"replication_key_value": "\u00fc"}}}
TEXT = json.dumps(STATE, ensure_ascii=False)
MESSAGE = json.dumps({"type": "STATE", "value": STATE})
FORMS = {
    "plain": TEXT.encode(),
    "mark": codecs.BOM_UTF8 + TEXT.encode(),
    "utf-16": TEXT.encode("utf-16"),
    "utf-16 without a mark": TEXT.encode("utf-16-le"),
    "utf-16 big": codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
    "utf-32": TEXT.encode("utf-32"),
    "wrapped": json.dumps({"singer_state": STATE}).encode(),
    "wrapped, with Meltano's own": json.dumps({"singer_state": STATE, "completed": True}).encode(),
    "message": MESSAGE.encode(),
    "message in UTF-16": f"{MESSAGE}\r\n".encode("utf-16"),
    "output of a target": (json.dumps({"bookmarks": {}}) + "\n\n" + TEXT + "\n").encode(),
    "messages": (json.dumps({"type": "STATE", "value": {}}) + "\n" + MESSAGE).encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_state_is_read_where_its_meaning_is_clear(form: str) -> None:
    assert read_state(FORMS[form], "state.json") == STATE


@pytest.mark.parametrize("name", ["singer_state", "type"])
def test_state_that_only_looks_wrapped_stays_as_it_is(name: str) -> None:
    state: dict[str, object] = {"bookmarks": {}, name: {"bookmarks": {"b": {}}}}
    assert read_state(json.dumps(state).encode(), "state.json") == state


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "--state: s.json is empty; restore it, or leave --state out to begin at start_date"),
        (b"\xff\xfe", "--state: s.json is empty; restore it, or leave --state out to begin at start_date"),
        (b" \n", "--state: s.json is empty; restore it, or leave --state out to begin at start_date"),
        (b"[]", "--state: s.json holds a JSON list, an object is due"),
        (b"{", "--state: s.json is not JSON: expecting property name enclosed in double quotes at line 1, column 2"),
        (b'{"a": "\xff"}', "--state: s.json is not in a Unicode encoding (invalid start byte); save it as UTF-8"),
        (b"{}\n[]", "--state: s.json is not JSON: extra data at line 2, column 1"),
    ],
)
def test_other_state_is_refused_by_name(raw: bytes, message: str) -> None:
    with pytest.raises(StateError) as caught:
        read_state(raw, "s.json")
    assert caught.value.message == message


def test_file_that_is_wrong_is_named_among_several(tmp_path: Path) -> None:
    for name, content in (("good", "{}"), ("bad", "{'key': 1}")):
        (tmp_path / name).write_text(content)
    assert read_file(str(tmp_path / "good"), "--config") == {}
    with pytest.raises(ConfigError, match=r"^--config: .*/bad is not JSON: expecting property name"):
        read_file(str(tmp_path / "bad"), "--config")


def test_variables_are_read_as_their_settings_say() -> None:
    schema = {"properties": {"a": {"type": ["object", "null"]}, "b-c": {"type": "integer"}, "d": {"type": ["string"]}}}
    fine = {"T_A": "{}", "T_B_C": "5", "T_D": "{", "A": "{"}
    assert list(broken_variables(schema, "T_", fine)) == []
    broken = broken_variables(schema, "T_", {"T_A": "{", "T_B_C": "5.5"})
    assert [message.partition(" in the environment ")[0] for message in broken] == ["T_A", "T_B_C"]
