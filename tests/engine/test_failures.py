"""What is said of the failures of one stream, and when."""

from __future__ import annotations

import pytest

from tap_exports.engine.run.failures import Failures
from tap_exports.errors import BadContentError, QuotaError, TapError


@pytest.mark.parametrize(
    ("errors", "lines"),
    [
        ([QuotaError("used up until 10:00:00.1"), QuotaError("used up until 10:00:00.2")], 1),
        ([BadContentError("HTML"), BadContentError("HTML")], 1),
        ([BadContentError("HTML"), BadContentError("empty")], 2),
        ([BadContentError("HTML"), QuotaError("used up")], 2),
    ],
)
def test_one_cause_is_said_once(caplog: pytest.LogCaptureFixture, errors: list[TapError], lines: int) -> None:
    """Each window under way meets a quota that is used up, in its own millisecond."""
    failures = Failures("s")
    for error in errors:
        failures.add(error, more=True)
    assert len(caplog.messages) == lines
    with pytest.raises(type(errors[0])):
        failures.end()


def test_what_is_lost_is_said_at_once(caplog: pytest.LogCaptureFixture) -> None:
    failures = Failures("s")
    failures.lose(BadContentError("HTML"))
    assert caplog.messages == ["s: HTML"]
