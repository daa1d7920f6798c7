"""How facts are asked for: a question of the documents, a free request, an answer in a few words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Protocol, runtime_checkable

from tap_exports.engine.http import Reply
from tap_exports.engine.http import fields as json_fields
from tap_exports.errors import TapError

NOT_SHOWN = "not shown: there is nothing to see it by"
LIMITS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "X-RateLimit-Limit", "X-RateLimit-Remaining")
NOBODY = "00000000-0000-0000-0000-000000000000"


def facts_about(provider: str) -> ModuleType | None:
    """Return the module with the questions about a provider; there is none about those of other packages."""
    name = f"tap_exports.operator.facts.{provider}"
    return import_module(name) if find_spec(name) else None


@runtime_checkable
class Looks(Protocol):
    """An API that answers free requests."""

    def look(self, path: str, params: Mapping[str, Any] | None = None) -> Reply:
        """Return the reply to a free GET.

        Raises:
            TapError: It was refused.
        """


@dataclass(frozen=True, slots=True)
class Fact:
    """One open question and what the live replies say.

    Attributes:
        mark: `UNKNOWN`, `INFERRED` or `CONTRADICTION`, as the facts about the API mark it.
        question: What the documents leave open.
        answer: What was seen.
    """

    mark: str
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question and how it is answered.

    Attributes:
        mark: As in `Fact`.
        text: The question.
        answer: Makes free requests and returns what they show.
    """

    mark: str
    text: str
    answer: Callable[[Looks], str]


def answered(api: Looks, questions: Iterable[Question]) -> Iterator[Fact]:
    """Yield the answer to each question; one that cannot be asked does not keep the others from being asked."""
    for question in questions:
        try:
            answer = question.answer(api)
        except TapError as error:
            answer = f"not answered: {error.message}"
        except (LookupError, TypeError, ValueError) as error:
            answer = f"not answered: the reply has another shape ({type(error).__name__})"
        yield Fact(question.mark, question.text, answer)


def yes(*, is_so: bool) -> str:
    """Return the answer to a question of yes or no."""
    return "yes" if is_so else "no"


def limits_of(api: Looks, path: str, params: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Return what the headers of a reply tell of the rate limit."""
    headers = api.look(path, params).headers
    return {name: headers[name] for name in LIMITS if name in headers}


def rate_limits(path: str, params: Mapping[str, Any] | None = None) -> Question:
    """Return the question whether replies tell of a rate limit."""

    def answer(api: Looks) -> str:
        return ", ".join(f"{name} {value}" for name, value in limits_of(api, path, params).items()) or "none"

    return Question("UNKNOWN", "Which headers tell of the rate limit?", answer)


def refusal(path: str, what: str, params: Mapping[str, Any] | None = None) -> Question:
    """Return the question how a request for something that is not there is refused."""

    def answer(api: Looks) -> str:
        try:
            api.look(path, params)
        except TapError as error:
            return error.message
        return "it is answered with success"

    return Question("UNKNOWN", f"How is {what} refused?", answer)


def items_of(body: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - any JSON
    """Return the records of a list's reply, in an envelope `data` or bare."""
    inner = body.get("data", body) if isinstance(body, dict) else body
    return json_fields.records(inner, "the list")


def seen_fields(records: Sequence[Mapping[str, Any]], names: Iterable[str]) -> str:
    """Return which fields records have."""
    if not records:
        return NOT_SHOWN
    shown = [name for name in names if any(name in record for record in records)]
    absent = [name for name in names if name not in shown]
    return f"there: {', '.join(shown) or 'none'}; absent: {', '.join(absent) or 'none'}"
