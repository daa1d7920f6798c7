"""Conformance tests for the author of a provider; names of this module are stable. See docs/providers.md.

A test module subclasses `ProviderConformance` as a class whose name begins with `Test`. pytest is not imported here:
call `pytest.register_assert_rewrite("tap_exports.testing")` in a `conftest.py` for detailed messages.
"""

from tap_exports.testing.conformance import ProviderConformance
from tap_exports.testing.process import Ran, run_tap

__all__ = ["ProviderConformance", "Ran", "run_tap"]
