from __future__ import annotations

from pathlib import Path

import pytest

from tap_exports.engine.archive import (
    ArchiveLimits,
    Counts,
    Inventory,
    Section,
    Survey,
    media_type,
    section_of,
    suffix_of,
    survey,
)
from tap_exports.errors import BadContentError, LimitError
from tests.engine.archives import FILES, Make, on_disk, tarred, zipped

BOTH = pytest.mark.parametrize("make", [zipped, tarred])
KEYS = frozenset({"products", "trade-items", "brands"})


def surveyed(folder: Path, archive: bytes) -> Survey:
    return survey(on_disk(folder, archive), ArchiveLimits())


@BOTH
def test_the_manifest_is_found_by_its_name(tmp_path: Path, make: Make) -> None:
    assert surveyed(tmp_path, make(FILES)) == Survey("", "manifest.yaml", {"format_version": "1.0"}, 3)


@pytest.mark.parametrize(
    ("names", "root", "manifest"),
    [
        (["x/manifest.yml", "x/a/b.yaml"], "x/", "x/manifest.yml"),
        (["x/y/manifest.yaml", "x/y/a.yaml"], "x/y/", "x/y/manifest.yaml"),
        (["a/manifest.yaml", "manifest.json"], "", "manifest.json"),
        (["manifest.json", "manifest.yaml"], "", "manifest.yaml"),
        (["x/Manifest.YAML"], "x/", "x/Manifest.YAML"),
        (["x/a.yaml", "x/b/c.yaml"], "x/", None),
        (["x/a.yaml", "b.yaml"], "", None),
        (["x/a.yaml", "y/b.yaml"], "", None),
        (["a/b/c/manifest.yaml", "d"], "", None),
        ([], "", None),
    ],
)
@BOTH
def test_the_root_is_where_the_manifest_is(
    tmp_path: Path, make: Make, names: list[str], root: str, manifest: str | None
) -> None:
    """The nearest manifest counts; without one, the only folder at the top is the root."""
    found = surveyed(tmp_path, make(dict.fromkeys(names, b"{}")))
    assert (found.root, found.manifest) == (root, manifest)


def test_a_manifest_is_yaml_or_json(tmp_path: Path) -> None:
    """JSON may be indented by tabs, which YAML refuses."""
    found = surveyed(tmp_path, zipped({"manifest.json": b'{\n\t"sections": [{"key": "a"}]}'}))
    assert found.content == {"sections": [{"key": "a"}]}


@pytest.mark.parametrize("name", ["manifest.yaml", "manifest.json"])
@pytest.mark.parametrize("content", [b"[]", b"[1, 2]", b"{", b'"x"'])
def test_a_manifest_that_cannot_be_read_stops(tmp_path: Path, name: str, content: bytes) -> None:
    if (name, content) == ("manifest.yaml", b"[]"):
        assert surveyed(tmp_path, zipped({name: content})).content == {}
        return
    with pytest.raises(BadContentError, match=rf"^{name}: "):
        surveyed(tmp_path, zipped({name: content}))


def test_a_manifest_has_a_largest_size(tmp_path: Path) -> None:
    with pytest.raises(LimitError, match=r"^manifest\.json: a manifest of more than 16 MiB$"):
        survey(on_disk(tmp_path, zipped({"manifest.json": b" " * 2**24 + b" {}"})), ArchiveLimits(max_ratio=10_000))


@pytest.mark.parametrize("second", ["a/c", "./a//b"])
def test_two_members_of_one_name_are_refused(tmp_path: Path, second: str) -> None:
    """The second would take the first one's key, and nobody would see that a row is missing."""
    archive = zipped({"a/b": b"1", second: b"2", "c": b""}).replace(b"a/c", b"a/b")
    with pytest.raises(BadContentError, match=r"^it has two members of one name$"):
        surveyed(tmp_path, archive)


def test_a_refused_member_is_seen_before_any_row(tmp_path: Path) -> None:
    with pytest.raises(BadContentError, match=r"climbs out"):
        surveyed(tmp_path, tarred({**FILES, "../x": b""}))


@pytest.mark.parametrize(
    ("path", "section"),
    [
        ("products/a.yaml", "products"),
        ("products.yaml", "products"),
        ("r/products/a.yaml", "products"),
        ("data/Trade Items/1/a.yaml", "trade-items"),
        ("data/trade_items.yml", "trade-items"),
        ("products/brands.yaml", "products"),
        ("other/a.yaml", "other"),
        ("other.yaml", "other"),
        ("README", "README"),
        (".hidden", ".hidden"),
    ],
)
def test_the_first_part_that_is_a_section_names_it(path: str, section: str) -> None:
    """Without a known part it is the folder below the root, or the file's own name."""
    assert section_of(path, "r/", KEYS) == section


def counts(*sections: str) -> Counts:
    found = Counts()
    for section in sections:
        found.add(section, KEYS)
    return found


def declared(**numbers: int | None) -> list[tuple[Section, int | None]]:
    return [(Section(key), number) for key, number in numbers.items()]


def test_counts_that_agree_say_nothing() -> None:
    assert counts("products", "products", "brands").differences(declared(products=2, brands=1)) == []


def test_a_section_that_lacks_something_is_named() -> None:
    assert counts("products", "brands").differences(declared(products=2, brands=1)) == ["products: 1 of 2"]


def test_the_sum_proves_what_paths_cannot() -> None:
    """How paths belong to sections is not documented: files under other names count where the sums agree."""
    assert counts("products", "elsewhere").differences(declared(products=1, brands=1)) == []
    assert counts("elsewhere").differences(declared(products=0)) == ["1 in all, not 0"]


def test_a_failed_section_counts_on_neither_side() -> None:
    given = [(Section("products"), 1), (Section("brands", status="failed"), 9)]
    assert counts("products", "brands").differences(given) == []


def test_a_section_without_a_count_is_not_held_against_one() -> None:
    assert counts("products").differences(declared(products=1, brands=None)) == []
    assert counts("products", "brands").differences(declared(products=2, brands=None)) == ["products: 1 of 2"]
    assert counts("products").differences(declared(brands=None)) == []


@pytest.mark.parametrize(
    ("section", "failed"),
    [
        (Section("a", "completed"), False),
        (Section("a", None), False),
        (Section("a", "a word of tomorrow"), False),
        (Section("a", "FAILED"), True),
        (Section("a", "partial"), True),
        (Section("a", "completed", error="3 images could not be read"), True),
    ],
)
def test_a_section_failed_when_it_says_so_or_why(section: Section, failed: bool) -> None:  # noqa: FBT001 - a case
    assert section.failed is failed


@pytest.mark.parametrize(
    ("path", "suffix", "media"),
    [
        ("a/b.PNG", ".png", "image/png"),
        ("a.tar.gz", ".gz", "application/gzip"),
        ("a/.png", "", "application/octet-stream"),
        ("a.b/c", "", "application/octet-stream"),
        ("a.weird", ".weird", "application/octet-stream"),
    ],
)
def test_media_types_follow_the_name(path: str, suffix: str, media: str) -> None:
    assert (suffix_of(path), media_type(path)) == (suffix, media)


@pytest.mark.parametrize(
    ("other", "differing"),
    [
        ([Section("a", "completed", 2, 1), Section("b")], []),
        ([Section("a", "completed", 3, 1), Section("b")], ["a"]),
        ([Section("a", None, 2, 2), Section("b", None, 4, 9)], ["a"]),
        ([Section("b"), Section("c")], ["a", "c"]),
    ],
)
def test_inventories_differ_where_both_count(other: list[Section], differing: list[str]) -> None:
    """A count that one of them leaves out contradicts nothing; a section that one of them lacks does."""
    told = Inventory([Section("a", "completed", 2, 1), Section("b", "completed", None, None)])
    assert (told.contradicted(Inventory(other)), Inventory(other).contradicted(told)) == (differing, differing)
