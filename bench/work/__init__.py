"""The rows of the table: what is run for each, by name."""
