"""Runs that are killed together with a real loader, before it has kept anything."""
