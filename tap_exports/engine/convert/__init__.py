"""Batch mode: a file is downloaded and converted to parts, by threads of the tap or by an external executor."""
