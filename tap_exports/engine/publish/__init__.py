"""Rows as JSON lines, and parts of batches: objects in a storage, each named after its content when complete."""
