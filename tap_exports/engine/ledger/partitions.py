"""Singer's partitioned state: what each account has of a stream, as singer-sdk writes it.

Within the tap each account has a bookmark of its own, under `<stream>@<account>`; in STATE they stand together, as
`bookmarks.<stream>.partitions: [{"context": {"_sdc_account": …}, …}]`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tap_exports.engine.ledger.checks import malformed
from tap_exports.engine.model import ACCOUNT
from tap_exports.engine.model.accounts import account_of, shared_name, with_account

PARTITIONS, CONTEXT = "partitions", "context"
Bookmarks = dict[str, Any]


def unfolded(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a STATE as the tap works with it: one bookmark per account; partitions of another kind stay.

    Raises:
        StateError: An account has two partitions in one stream, or a stream has partitions of both kinds.
    """
    bookmarks = state.get("bookmarks")
    if not isinstance(bookmarks, Mapping):
        return dict(state)
    return {**state, "bookmarks": dict(_unfolded(bookmarks))}


def folded(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a STATE as it is written: the accounts of a stream as its partitions."""
    bookmarks = state.get("bookmarks")
    if not isinstance(bookmarks, Mapping):
        return dict(state)
    found: Bookmarks = {}
    for name, bookmark in bookmarks.items():
        if not isinstance(bookmark, Mapping):  # malformed; `forget` of another stream leaves it as it is
            found[name] = bookmark
            continue
        account, stream = account_of(name), found.setdefault(shared_name(name), {})
        if account is None:
            stream.update(bookmark if PARTITIONS not in stream else {**bookmark, PARTITIONS: stream[PARTITIONS]})
        elif bookmark:
            stream.setdefault(PARTITIONS, []).append({**context_of(account), **bookmark})
    return {**state, "bookmarks": found}


def context_of(account: str) -> dict[str, Any]:
    """Return the member of a partition that names its account."""
    return {CONTEXT: {ACCOUNT: account}}


def accounts_in(bookmarks: Iterable[str], stream: str) -> list[str]:
    """Return the accounts that a STATE of the tap has of a stream."""
    return [account_of(name) or "" for name in bookmarks if shared_name(name) == stream and name != stream]


def _unfolded(bookmarks: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for stream, bookmark in bookmarks.items():
        partitions = bookmark.get(PARTITIONS) if isinstance(bookmark, Mapping) else None
        accounts = [_account(each) for each in partitions] if isinstance(partitions, list) else []
        if not any(account is not None for account in accounts):
            yield stream, bookmark
            continue
        _check(stream, accounts)
        if rest := {key: value for key, value in bookmark.items() if key != PARTITIONS}:
            yield stream, rest
        for account, partition in zip(accounts, partitions or (), strict=True):
            held = {key: value for key, value in partition.items() if key != CONTEXT}
            yield with_account(stream, str(account)), held


def _check(stream: str, accounts: list[str | None]) -> None:
    if None in accounts:
        raise malformed(stream, f"a partition has no context of {ACCOUNT} alone")
    if len(set(accounts)) < len(accounts):
        raise malformed(stream, "an account has two partitions")


def _account(partition: object) -> str | None:
    """Return the account of a partition, or None where it is of another kind."""
    context = partition.get(CONTEXT) if isinstance(partition, Mapping) else None
    account = context.get(ACCOUNT) if isinstance(context, Mapping) and len(context) == 1 else None
    return account if isinstance(account, str) and account else None
