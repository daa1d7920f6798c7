"""The only package that imports singer_sdk: stream classes, message writing, catalog, STATE emission."""
