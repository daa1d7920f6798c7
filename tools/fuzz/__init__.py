"""Fuzzing of everything that reads what others wrote: CSV, JSON, archives, STATE."""
