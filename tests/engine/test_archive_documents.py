from __future__ import annotations

import io
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import yaml

from tap_exports.engine.archive import documents, read_items
from tap_exports.engine.archive.scalars import plain
from tap_exports.errors import BadContentError, LimitError


def items(text: str | bytes) -> list[Any]:
    data = text.encode() if isinstance(text, str) else text
    return [item.value for item in read_items(io.BytesIO(data), "a.yaml")]


@pytest.fixture(params=["libyaml", "python"], autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every rule holds with either parser."""
    monkeypatch.setattr(documents, "LOADER", yaml.CSafeLoader if request.param == "libyaml" else yaml.SafeLoader)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1", [{"a": 1}]),
        ("- a: 1\n- b: 2", [{"a": 1}, {"b": 2}]),
        ("a: 1\n---\nb: 2\n---\n- 3\n- 4", [{"a": 1}, {"b": 2}, 3, 4]),
        ("", []),
        ("# nothing\n", []),
        ("---\n---\na: 1", [{"a": 1}]),
        ("[]", []),
        ("{}", [{}]),
        ("- \n- x", [None, "x"]),
        ("just text", ["just text"]),
        ("%YAML 1.1\n---\na: [1, {b: c}]", [{"a": [1, {"b": "c"}]}]),
    ],
)
def test_a_file_holds_a_mapping_a_list_or_several_documents(text: str, expected: list[Any]) -> None:
    assert items(text) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("-7", -7),
        ("0", 0),
        ("12345678901234567890123", Decimal(12345678901234567890123)),
        ("1.50", Decimal("1.50")),
        ("-0.1", Decimal("-0.1")),
        ("1.5e+300", Decimal("1.5e300")),
        ("0.1000000000000000055511151231257827", Decimal("0.1000000000000000055511151231257827")),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
    ],
)
def test_what_both_versions_of_yaml_type_alike_has_that_type(text: str, value: object) -> None:
    assert [plain(text), type(plain(text))] == [value, type(value)]
    assert str(plain(text)).lower() == str(value).lower()


@pytest.mark.parametrize(
    "text",
    "007 00012345678905 +1 1_000 0x1F 0b1 0o17 1:30 1e5 1. .5 01.5 .inf -.inf .nan no yes on off NO y nUll "
    "tRue 1.5e+99999999 - 12-5 2024 1.2.3".replace(" 2024 ", " ").split(),
)
def test_everything_else_stays_the_text_that_it_is(text: str) -> None:
    """Leading zeros, another base, `NO`: none of them survives a guess."""
    assert plain(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-31", "2024-01-31"),
        ("2024-01-31 10:20:30", "2024-01-31T10:20:30"),
        ("2024-01-31 10:20:30.123456789", "2024-01-31T10:20:30.123456789"),
        ("2024-01-31 10:20:30+00:00", "2024-01-31T10:20:30+00:00"),
        ("2024-01-31t10:20:30Z", "2024-01-31T10:20:30Z"),
        ("2001-12-14  21:59:43.10 -5", "2001-12-14T21:59:43.10-05:00"),
        ("2001-1-2 1:02:03 +0130", "2001-01-02T01:02:03+01:30"),
        ("2024-13-31 10:20:30", "2024-13-31 10:20:30"),
        ("2024-01-31 10:20", "2024-01-31 10:20"),
    ],
)
def test_times_become_iso_text_with_all_their_digits(text: str, expected: str) -> None:
    assert items(f"a: {text}") == [{"a": expected}]


def test_quoted_values_are_text() -> None:
    """Quotes, blocks and line ends inside arrive as they stand."""
    assert items("""a: '7'\nb: "2024-01-31 10:20:30"\nc: "x\\r\\ny"\nd: |\n  l1\n  l2\ne: ''\nf: !!str 7""") == [
        {"a": "7", "b": "2024-01-31 10:20:30", "c": "x\r\ny", "d": "l1\nl2\n", "e": "", "f": "7"}
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_unicode_arrives_in_any_encoding_of_yaml(encoding: str) -> None:
    assert items("a: Grüße 東京 🎉".encode(encoding)) == [{"a": "Grüße 東京 🎉"}]


def test_keys_are_the_text_that_the_file_holds() -> None:
    assert items("{1: a, 007: b, true: c, ~: d, 2024-01-31: e, '1.0': f}") == [
        {"1": "a", "007": "b", "true": "c", "~": "d", "2024-01-31": "e", "1.0": "f"}
    ]


def test_standard_tags_are_values_not_actions() -> None:
    text = "a: !!set {x, y}\nb: !!binary |\n  aGVs\n  bG8=\nc: !!omap [k: 1]\nd: !!int '7'\ne: !!timestamp 2024-01-31"
    assert items(text) == [{"a": {"x": None, "y": None}, "b": "aGVsbG8=", "c": [{"k": 1}], "d": 7, "e": "2024-01-31"}]


def test_aliases_and_merges_are_written_out() -> None:
    """PyYAML writes an alias wherever one object stands twice; an anchor holds for its whole document."""
    assert items("- &a {x: 1}\n- y: *a\n- {<<: *a, z: 2}\n- {<<: [{x: 7}, *a], x: 3}\n- {<<: [*a, {x: 8, w: 9}]}") == [
        {"x": 1},
        {"y": {"x": 1}},
        {"x": 1, "z": 2},
        {"x": 3},
        {"x": 1, "w": 9},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "a.yaml: line 3: the key 'a' stands twice in one mapping"),
        ("x: {a: 1, 'a': 2}", "a.yaml: line 1: the key 'a' stands twice in one mapping"),
        ("a: !!python/object/apply:os.system ['true']", "the tag 'tag:yaml.org,2002:python/object/apply:os.system'"),
        ("a: !!python/name:os.system", "the tag 'tag:yaml.org,2002:python/name:os.system' is not followed"),
        ("!mine {a: 1}", "the tag '!mine' is not followed"),
        ("!mine [1]", "the tag '!mine' is not followed"),
        ("a: *b", "the alias 'b' stands for nothing"),
        ("a: &a [*a]", "the alias 'a' stands for nothing, or for what it is part of"),
        ("a: &a 1\n---\nb: *a", "the alias 'a' stands for nothing"),
        ("? [1]\n: 2", "line 1: a key is not a plain value"),
        ("<<: 1", "<< does not name a mapping"),
        ("a: [1\nb: 2", "a.yaml: line 2: not YAML: "),
        ("a: \x00", "a.yaml: "),
        ("\tx: 1", "not YAML"),
    ],
)
def test_what_cannot_be_read_without_loss_is_refused(text: str, message: str) -> None:
    with pytest.raises(BadContentError) as caught:
        items(text)
    assert message in str(caught.value)
    assert str(caught.value).startswith("a.yaml: ")


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(BadContentError, match=r"^a\.yaml: "):
        items(b"a: \xff\xfe\xfa")


def test_depth_is_limited_through_aliases_too() -> None:
    """A hundred levels are read, one more is not, also when each level is only an alias of the one before."""
    assert items("[" * 101 + "]" * 101) == [eval("[" * 100 + "]" * 100)]  # noqa: S307 - the very same literal
    with pytest.raises(LimitError, match="nested deeper than 100 levels"):
        items("[" * 102 + "x" + "]" * 102)
    ladder = ["- &a0 x", *(f"- &a{n} [*a{n - 1}]" for n in range(1, 120))]
    with pytest.raises(LimitError, match="nested deeper than 100 levels"):
        items("\n".join(ladder))


@pytest.mark.parametrize("opener", ["[", "{a: ", "- "])
def test_a_deep_bomb_is_stopped(opener: str) -> None:
    with pytest.raises((LimitError, BadContentError)):
        items(opener * 20_000)


def test_aliases_that_multiply_are_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A billion laughs are counted as written out, before anything is."""
    monkeypatch.setattr(documents, "MAX_ITEM_BYTES", 1024 * 1024)
    laughs = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 9) + "]" for n in range(1, 20))]
    with pytest.raises(LimitError, match="an item is larger than 1 MiB, aliases written out"):
        items("\n".join(laughs))


def test_one_large_text_aliased_often_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_ITEM_BYTES", 1024 * 1024)
    with pytest.raises(LimitError, match="an item is larger than 1 MiB"):
        items(f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 20)}]")


def test_anchors_of_a_long_list_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values that later items may name have to be kept, so they are counted over the document."""
    monkeypatch.setattr(documents, "MAX_ITEM_BYTES", 1024 * 1024)
    with pytest.raises(LimitError, match="anchored values take more than 1 MiB"):
        items("\n".join(f"- &a{n} {'x' * 100_000}" for n in range(20)))


class Endless:
    """A file that never ends."""

    def __init__(self, start: bytes, rest: bytes) -> None:
        self._pieces: Iterator[bytes] = iter([start] if start else [])
        self._rest = rest
        self.served = 0

    def read(self, size: int = 1000, /) -> bytes:
        piece = next(self._pieces, self._rest)[:size]
        self.served += len(piece)
        return piece


@pytest.mark.parametrize(("start", "rest"), [(b"a: ", b"x" * 1000), (b"", b"# comment\n"), (b"", b"\n\n")])
def test_an_item_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch, start: bytes, rest: bytes) -> None:
    """The parser holds a text whole, so the bytes are counted as they go in."""
    monkeypatch.setattr(documents, "MAX_ITEM_BYTES", 64 * 1024)
    with pytest.raises(LimitError):
        list(read_items(Endless(start, rest), "a.yaml"))


def test_a_long_list_is_read_item_by_item() -> None:
    """The first item of an endless list arrives before much of it was read."""
    stream = Endless(b"", b"- {id: 1}\n" * 100)
    reading = read_items(stream, "a.yaml")
    assert next(reading).value == {"id": 1}
    assert stream.served < 100_000


def test_what_pyyaml_writes_comes_back() -> None:
    """A dump of plain values is read back without a difference."""
    record: dict[str, list[Any]] = {
        "texts": [
            "007",
            "1e5",
            "null",
            "~",
            "no",
            "NO",
            "2024-01-31",
            "",
            " x ",
            "a\nb",
            "a: b",
            "- x",
            "#",
            "<<",
            "1:30",
        ],
        "numbers": [0, -1, 10**17, 1.5, 1e300, -2.5e-7],
        "others": [None, True, False, {}, []],
    }
    texts = yaml.safe_dump([record], allow_unicode=True)
    read = items(texts)[0]
    assert read["texts"] == record["texts"]
    assert [float(n) for n in read["numbers"]] == [float(n) for n in record["numbers"]]
    assert read["others"] == record["others"]
