"""The only floor that knows singer_sdk: stream classes, message writing, catalog, STATE emission."""
