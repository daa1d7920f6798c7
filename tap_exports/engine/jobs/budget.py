"""What one run may spend (P10)."""

from __future__ import annotations

import threading

from tap_exports.errors import PaymentError


class Budget:
    """Credits that one run may still spend; safe to share between threads.

    A creation takes the most that it could cost before it is sent; once the charge is known, the rest comes back.

    Args:
        limit: Credits for the whole run; 0 allows no creation at all.
        setting: The setting that it comes from, for messages.
    """

    def __init__(self, limit: int, setting: str) -> None:
        """Start with nothing spent."""
        self._limit, self._setting = limit, setting
        self._spent = 0
        self._taken: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def left(self) -> int:
        """Return the credits that are neither spent nor taken."""
        return self._limit - self._spent - sum(self._taken.values())

    def take(self, purpose: str, need: int, balance: int) -> None:
        """Take what a creation could cost at most.

        Args:
            purpose: What it is for; what was taken for the same purpose and is not settled is given back first.
            need: Credits that it could cost.
            balance: Credits of the account.

        Raises:
            PaymentError: It is more than the setting or the balance allows; nothing was taken.
        """
        with self._lock:
            self._taken.pop(purpose, None)
            left = self.left
            if self._limit and need <= min(left, balance):
                self._taken[purpose] = need
                return
        used = f"leaves {left} of {self._limit}" if left != self._limit else f"is {left}"
        msg = f"{purpose}: needs up to {need} credits, the balance is {balance} and {self._setting} {used}"
        raise PaymentError(f"{msg}; nothing was created or spent")

    def settle(self, purpose: str, charged: int) -> None:
        """Put the charge in the place of what was taken; a charge of an earlier run took nothing and does not count."""
        with self._lock:
            if self._taken.pop(purpose, None) is not None:
                self._spent += charged
