"""Names of streams within the tap: the stream's own, or with `accounts` one for each account, `<stream>@<account>`.

What is counted, logged or kept by the name of a stream (jobs, STATE, the durable ledger, failures) is so kept per
account. Messages of Singer carry the stream's own name; a stream's own name never holds the sign.
"""

from __future__ import annotations

SIGN = "@"


def with_account(stream: str, account: str | None) -> str:
    """Return the name of a stream for one account, its own name where there is none."""
    return stream if account is None else f"{stream}{SIGN}{account}"


def shared_name(name: str) -> str:
    """Return the stream's own name, which all accounts share."""
    return name.partition(SIGN)[0]


def account_of(name: str) -> str | None:
    """Return the account that a name is of, or None where it is the stream's own."""
    _, sign, account = name.partition(SIGN)
    return account if sign else None
