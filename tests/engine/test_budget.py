"""What one run may spend."""

from __future__ import annotations

import pytest

from tap_exports.engine.jobs.budget import Budget
from tap_exports.errors import PaymentError


def test_nothing_may_be_created_without_a_limit() -> None:
    """0 allows no creation, not even one that would cost nothing."""
    with pytest.raises(PaymentError, match=r"needs up to 0 credits, the balance is 10 and cornect.max_credits is 0;"):
        Budget(0, "cornect.max_credits").take("export", 0, 10)


@pytest.mark.parametrize(("need", "balance"), [(11, 100), (10, 9)])
def test_the_limit_and_the_balance_both_hold(need: int, balance: int) -> None:
    with pytest.raises(PaymentError):
        Budget(10, "max").take("export", need, balance)


def test_a_charge_gives_back_the_rest() -> None:
    budget = Budget(100, "max")
    budget.take("a", 80, 1000)
    assert budget.left == 20
    budget.settle("a", 5)
    assert budget.left == 95


def test_a_second_creation_for_one_purpose_adds_to_the_first() -> None:
    """A job that was lost and is created again is charged beside the first one."""
    budget = Budget(100, "max")
    for _ in range(2):
        budget.take("a", 50, 1000)
        budget.settle("a", 40)
    assert budget.left == 20
    with pytest.raises(PaymentError, match=r"^a: needs up to 50 credits, the balance is 1000 and max leaves 20 of 100"):
        budget.take("a", 50, 1000)


def test_what_is_not_settled_counts_as_spent() -> None:
    """After a lost reply the credits stay taken: another creation for the same purpose adds to them."""
    budget = Budget(200, "max")
    budget.take("a", 80, 1000)
    budget.take("a", 80, 1000)
    assert budget.left == 40
    with pytest.raises(PaymentError, match=r"max leaves 40 of 200;"):
        budget.take("a", 80, 1000)
    budget.settle("a", 0)
    assert budget.left == 120


def test_a_charge_that_the_provider_does_not_tell_counts_as_the_most_that_it_can_be() -> None:
    """A reply without a charge settles nothing."""
    budget = Budget(100, "max")
    budget.take("a", 80, 1000)
    budget.settle("a", None)
    assert budget.left == 20


def test_a_charge_of_an_earlier_run_does_not_count() -> None:
    budget = Budget(100, "max")
    budget.settle("a", 40)
    assert budget.left == 100
