"""`target-exports`, a Singer target that writes a DuckDB file: exact values, and STATE in the transaction of its rows.

It knows nothing of the tap, and the tap nothing of it; docs/loaders.md says what it keeps and what it costs.
"""
