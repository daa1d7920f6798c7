"""Cension: rows of saved exports, scoped to the runs that processed them."""
