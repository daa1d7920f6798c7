"""Runs: what one stream does from its STATE to its last proven row, as a generator of events.

Code after a `yield` runs once the event was written, so committing there is safe: no STATE covers a row that was not
written before it (P4).
"""
