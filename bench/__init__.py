"""Measures the tap against its peers; `make bench` runs it, docs/performance.md is what it writes."""
