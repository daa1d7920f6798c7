"""Rows as JSON lines, and parts of batches: objects in a storage, each named by its content once it is whole."""
