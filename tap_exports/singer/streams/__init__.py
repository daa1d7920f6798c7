"""The stream classes that providers build on."""
