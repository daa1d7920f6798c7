"""The place of a row: a digest of its values, and its ordinal among the equal rows of one window.

docs/decisions/0009-place-of-a-row.md says why this, and what it costs.
"""

from tap_exports.engine.place.digests import ColumnDigests, digests_of_records
from tap_exports.engine.place.places import Places

__all__ = ["ColumnDigests", "Places", "digests_of_records"]
