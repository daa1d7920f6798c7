"""The errors of the loader; each message says what is wrong, where, and what to do."""


class LoadError(Exception):
    """The load stops: nothing since the last commit is in the file, and no STATE covers it."""
