"""Writes rows and STATE as messages on standard output: RECORD, BATCH, STATE."""
