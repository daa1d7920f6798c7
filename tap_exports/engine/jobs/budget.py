"""Limit of the credits that one run may spend (P10)."""

from __future__ import annotations

import threading

from tap_exports.errors import PaymentError


class Budget:
    """Credits that one run may still spend; safe to share between threads.

    `take` reserves the most that a creation could cost, before it is sent; `settle` replaces that by the charge. What
    is never settled, because the outcome of the creation is unknown, counts as spent.

    Args:
        limit: Credits for the whole run; 0 allows no creation at all.
        setting: Name of the setting that holds the limit, for messages.
    """

    def __init__(self, limit: int, setting: str) -> None:
        """Start with nothing spent."""
        self._limit, self._setting = limit, setting
        self._spent = 0
        self._taken: dict[str, list[int]] = {}
        self._lock = threading.Lock()

    @property
    def left(self) -> int:
        """Return the credits that are neither spent nor reserved."""
        return self._limit - self._spent - sum(sum(taken) for taken in self._taken.values())

    def take(self, purpose: str, need: int, balance: int) -> None:
        """Reserve the most that a creation could cost.

        Args:
            purpose: What the credits are for; an earlier reservation that is not settled stays.
            need: Credits that it could cost.
            balance: Credits of the account.

        Raises:
            PaymentError: It is more than the setting or the balance allows; nothing was reserved.
        """
        with self._lock:
            left = self.left
            if self._limit and need <= min(left, balance):
                self._taken.setdefault(purpose, []).append(need)
                return
        used = f"leaves {left} of {self._limit}" if left != self._limit else f"is {left}"
        msg = f"{purpose}: needs up to {need} credits, the balance is {balance} and {self._setting} {used}"
        raise PaymentError(f"{msg}; nothing was created or spent")

    def refused(self, error: PaymentError, need: int, balance: int) -> PaymentError:
        """Return the provider's own refusal to charge, with what is needed, the balance and the setting."""
        most = f"{self._setting} is {self._limit}"
        return PaymentError(f"{error.message}; it needs up to {need} credits, the balance was {balance} and {most}")

    def settle(self, purpose: str, charged: int | None) -> None:
        """Replace the last reservation by the actual charge; without one (job of an earlier run) nothing is counted.

        Args:
            purpose: As in `take`.
            charged: Credits, or None where the provider does not say: the reservation stays.
        """
        with self._lock:
            if charged is not None and self._taken.get(purpose):
                self._taken[purpose].pop()
                self._spent += charged
