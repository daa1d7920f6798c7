"""The work on one file in batch mode, and who does it: threads, or an executor elsewhere."""
