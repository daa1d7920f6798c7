"""Closient: archives of an organization's data."""
