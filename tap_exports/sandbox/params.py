"""Query parameters, read strictly: what the documents do not allow is refused."""

from __future__ import annotations

from datetime import datetime

from tap_exports.sandbox.clock import parse_iso
from tap_exports.sandbox.web import Refusal, Request

_BOOLEANS = {"true": True, "false": False}


class Params:
    """The query of one request; `done` refuses what was sent but never asked for."""

    def __init__(self, request: Request, *, status: int = 400, strict: bool = True) -> None:
        """Read the query of `request`.

        Args:
            request: whose query.
            status: HTTP status of a refusal (400 or 422).
            strict: whether `done` refuses unknown parameters; the providers do not say what they do.
        """
        self._values = dict(request.query)
        self._status = status
        self._strict = strict
        self._asked: set[str] = set()
        if len(self._values) != len(request.query):
            self._refuse("a query parameter is given twice")

    def text(self, name: str) -> str | None:
        """Return the text of a parameter, None when it is absent."""
        self._asked.add(name)
        return self._values.get(name)

    def integer(self, name: str, default: int, low: int = 1, high: int | None = None) -> int:
        """Return a whole number of at least `low` and at most `high`."""
        text = self.text(name)
        if text is None:
            return default
        if not text.isdecimal() or int(text) < low:
            self._refuse(f"{name} must be a whole number of at least {low}")
        if high is not None and int(text) > high:
            self._refuse(f"{name} must not be greater than {high}")
        return int(text)

    def optional_integer(self, name: str) -> int | None:
        """Return a whole number, None when the parameter is absent."""
        return self.integer(name, 0) if self.text(name) is not None else None

    def choice(self, name: str, values: tuple[str, ...], default: str) -> str:
        """Return one of `values`."""
        text = self.text(name)
        if text is not None and text not in values:
            self._refuse(f"{name} must be one of: {', '.join(values)}")
        return default if text is None else text

    def boolean(self, name: str) -> bool:
        """Return a boolean, False when the parameter is absent."""
        text = self.choice(name, tuple(_BOOLEANS), "false")
        return _BOOLEANS[text]

    def moment(self, name: str) -> datetime | None:
        """Return an ISO 8601 moment, None when the parameter is absent."""
        text = self.text(name)
        try:
            return None if text is None else parse_iso(text)
        except ValueError:
            self._refuse(f"{name} must be a valid ISO 8601 date string")
            raise

    def done(self) -> None:
        """Refuse parameters that nobody asked for.

        Raises:
            Refusal: with the names of the unknown parameters.
        """
        unknown = sorted(set(self._values) - self._asked)
        if unknown and self._strict:
            self._refuse(f"unknown query parameter: {', '.join(unknown)}")

    def _refuse(self, message: str) -> None:
        raise Refusal(self._status, message)
