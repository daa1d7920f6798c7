from __future__ import annotations

from typing import Any

import pytest

from tap_exports.engine.ledger.partitions import folded, unfolded
from tap_exports.engine.model.accounts import account_of, shared_name, with_account
from tap_exports.engine.secrets import MOST_IN_PATTERN, Redactor
from tap_exports.errors import StateError


def part(account: object, value: int) -> dict[str, Any]:
    return {"context": {"_sdc_account": account}, "replication_key_value": value}


@pytest.mark.parametrize("account", ["acme", "Acme", "a@b.example", "münchen 1", '"quoted"'])
def test_names(account: str) -> None:
    """An account's name may hold any character, the sign too; case counts."""
    name = with_account("packagex_exports", account)
    assert (shared_name(name), account_of(name)) == ("packagex_exports", account)
    assert account_of("packagex_exports") is None


def test_there_and_back() -> None:
    """Partitions become bookmarks of their own and the same partitions again, beside what is not theirs."""
    bookmarks = {"plain": {"replication_key_value": 1}, "s": {"partitions": [part("b", 2), part("a@b", 3)]}}
    state = {"start_date": "2024-01-01", "bookmarks": bookmarks}
    opened = unfolded(state)
    assert opened["bookmarks"] == {
        "plain": {"replication_key_value": 1},
        "s@b": {"replication_key_value": 2},
        "s@a@b": {"replication_key_value": 3},
    }
    assert unfolded(opened) == opened
    assert folded(opened) == state


def test_what_stood_there_before_accounts_stays() -> None:
    """A bookmark from before the accounts stays beside the partitions; an account without anything has none."""
    state = {"bookmarks": {"s": {"replication_key_value": 1, "partitions": [part("a", 2)]}}}
    opened = unfolded(state)
    opened["bookmarks"]["s@new"] = {}
    assert folded(opened) == state


def test_partitions_of_another_kind_stay() -> None:
    """What is not of an account is neither read nor changed."""
    state = {"bookmarks": {"s": {"partitions": [{"context": {"region": "eu"}, "x": 1}]}}}
    assert unfolded(state) == state
    assert folded(unfolded(state)) == state


@pytest.mark.parametrize(
    ("partitions", "said"),
    [
        ([part("a", 1), part("a", 2)], "two partitions"),
        ([part("a", 1), part("", 2)], "no context"),
        ([part("a", 1), part(7, 2)], "no context"),
        ([part("a", 1), {"context": {"_sdc_account": "b", "x": 1}}], "no context"),
    ],
)
def test_what_cannot_be_told_apart_is_refused(partitions: list[Any], said: str) -> None:
    """No account's progress is taken for another's, or dropped in silence."""
    with pytest.raises(StateError, match=said):
        unfolded({"bookmarks": {"s": {"partitions": partitions}}})


def test_thousands_of_secrets_are_cut_like_few() -> None:
    """The keys of a thousand accounts are cut in each form, the longest first, as those of one are."""
    keys = [f"key-of-tenant-{number:04d}" for number in range(1000)]
    few, many = Redactor(), Redactor()
    for key in keys[:3]:
        few.add(key)
    for key in [*keys, keys[2] + "-longer"]:
        many.add(key)
    assert len(many._forms) > MOST_IN_PATTERN >= len(few._forms)
    text = f"a {keys[0]}{keys[1]} b {keys[2]} c key-of-tenant-x"
    assert many.clean(text) == few.clean(text) == "a ****** b *** c key-of-tenant-x"
    assert many.clean(f"x {keys[2]}-longer y {keys[999]}") == "x *** y ***"
    assert many.cut_signed({"note": f"with {keys[500]}"}) == {"note": "with ***"}
