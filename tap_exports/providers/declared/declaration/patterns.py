"""Regular expressions of a declaration: those that may backtrack for ever are refused by their form."""

from __future__ import annotations

import re

# What repeats and choices of a pattern cost multiplies: up to the most, it ends within a second on the longest text.
REPEAT_COST, CHOICE_COST, MOST_COST = 10, 2, 30
_SAMPLE = (*map(chr, range(0x250)), "\u0663")  # of which two that repeat and follow may share one; a digit beyond ASCII
_CLASS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]")
_MANY = re.compile(r"[*+]|\{\d*,")
_CHOICE = re.compile(r"\||(?<!\()\?")
_ATOM = r"(?:\\[^bBAZuUNx0-9]|\[\^?\]?(?:\\[^uUNx]|[^\]\\])*\]|[^\\\[\](){}|^$*+?])"
_REPEATED = re.compile(rf"({_ATOM})(?:[*+]|\{{\d*,\d*\}})")
_FOLLOWING = re.compile(rf"(?:\((?:\?:|\?P<\w+>)?)*({_ATOM})(?![*?{{])")
_FLAGS = re.compile(r"\(\?[a-zA-Z-]+[:)]")
_OPTIONAL = re.compile(r"\|.*|\)\?")  # behind a group that may be left out something else follows


def may_never_end(pattern: str) -> bool:
    """Return whether a pattern that compiles could take too long on some text."""
    plain = _CLASS.sub("x", pattern)
    return bool(re.search(r"\)[*+{]", plain)) or _cost(pattern, plain) > MOST_COST


def _cost(pattern: str, plain: str) -> int:
    """Return what repeats and choices cost.

    A repeat that ends where something begins that it cannot hold has one way to match, and the last one of a pattern
    needs no other way: such repeats make a text be read again, all of them together once for each way of the others.
    """
    repeats, choices = len(_MANY.findall(plain)), len(_CHOICE.findall(plain))
    settled = sum(_is_settled(pattern, found) for found in _repeats(pattern))
    return (repeats - settled + bool(settled)) * REPEAT_COST + choices * CHOICE_COST


def _repeats(pattern: str) -> list[re.Match[str]]:
    """Return the repeats of which it is known what repeats: none where flags change what characters mean."""
    if _FLAGS.search(pattern) or not pattern.isascii():
        return []
    return list(_REPEATED.finditer(pattern))


def _is_settled(pattern: str, repeated: re.Match[str]) -> bool:
    """Return whether a repeat is the last of its pattern, or what has to follow it is nothing that it holds."""
    rest = pattern[repeated.end() :].removeprefix("?")
    if not rest.strip(")"):
        return True
    following = _FOLLOWING.match(rest.lstrip(")"))
    if following is None or (following[0][:1] == "(" and _OPTIONAL.search(rest)):
        return False
    one, other = re.compile(repeated[1], re.DOTALL), re.compile(following[1], re.DOTALL)
    return not any(one.fullmatch(character) and other.fullmatch(character) for character in _SAMPLE)
