"""What an export is to hold: the `options` of its request, "the same as the resource's List API"."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from operator import ge, gt, le, lt
from typing import Any

from tap_exports.sandbox.clock import parse_iso
from tap_exports.sandbox.packagex.seed import Item, Row, Stock
from tap_exports.sandbox.web import Refusal

Test = Callable[[Row], bool]
_ORDERS = ("created_at", "updated_at", "name")
_TEN_BY_DEFAULT = {"contact", "group", "shipping_label_inference"}
_PAIR = 2


def _compared(compare: Callable[[Any, Any], bool]) -> Callable[[datetime, list[datetime]], bool]:
    return lambda moment, dates: compare(moment, dates[0])


# Condition: how many dates it takes (None for any number from one on), and what it says about a moment.
_CONDITIONS: dict[str, tuple[int | None, Callable[[datetime, list[datetime]], bool]]] = {
    "equals": (1, lambda moment, dates: moment == dates[0]),
    "not_equals": (1, lambda moment, dates: moment != dates[0]),
    "gt": (1, _compared(gt)),
    "lt": (1, _compared(lt)),
    "gte": (1, _compared(ge)),
    "lte": (1, _compared(le)),
    "bwi": (_PAIR, lambda moment, dates: dates[0] <= moment <= dates[1]),
    "bwe": (_PAIR, lambda moment, dates: dates[0] < moment < dates[1]),
    "in": (None, lambda moment, dates: moment in dates),
    "not_in": (None, lambda moment, dates: moment not in dates),
}


@dataclass(frozen=True, slots=True)
class Options:
    """Filters, order and size; `limit` None is `"all"`."""

    tests: tuple[Test, ...]
    order_by: str
    descending: bool
    page: int
    limit: int | None

    @classmethod
    def of(cls, resource: str, given: Mapping[str, Any], *, strict: bool = True) -> Options:
        """Read the `options` object of a request.

        Raises:
            Refusal: 400, with the name of the field in its details.
        """
        unknown = sorted(set(given) - set(_TESTS) - {"limit", "page", "order_by", "direction"})
        if unknown and strict:
            raise _invalid(unknown[0], "is not known")
        tests = tuple(_TESTS[name](name, value) for name, value in given.items() if name in _TESTS)
        by_name = resource == "contact" and "order_by" not in given
        return cls(
            tests=tests,
            order_by="name" if by_name else _choice(given, "order_by", _ORDERS),
            descending=_choice(given, "direction", ("asc" if by_name else "desc", "asc", "desc")) == "desc",
            page=_number(given, "page", 1) or 1,
            limit=_number(given, "limit", 10 if resource in _TEN_BY_DEFAULT else 25),
        )


class Selection:
    """The rows of one export, as they stood when it was requested; it may be iterated again and again."""

    def __init__(self, stock: Stock, options: Options) -> None:
        """Freeze the number of rows; nothing is read yet."""
        self._stock = stock
        self._size = len(stock)
        self._options = options
        self._count: int | None = None

    @property
    def looked_at(self) -> int:
        """The number of rows that have to be looked at."""
        return self._size

    def exported(self) -> Iterable[Row]:
        """Yield the rows of the main files."""
        count = 0
        for item in self._items():
            if not item.formula and not item.error:
                count += 1
                yield item.row
        self._count = count

    def formulas(self) -> list[Row]:
        """Return the rows that are held out as potentially malicious."""
        return [item.row for item in self._items() if item.formula]

    def errors(self) -> list[tuple[Row, str]]:
        """Return the rows that cannot be exported, and why."""
        return [(item.row, item.error) for item in self._items() if item.error]

    def count(self) -> int:
        """Return the number of rows of the main files."""
        if self._count is None:
            self._count = sum(1 for _ in self.exported())
        return self._count

    def _items(self) -> Iterable[Item]:
        options = self._options
        places = range(self._size)
        by_creation = options.order_by == "created_at"
        ordered = reversed(places) if by_creation and options.descending else places
        kept = (item for place in ordered if _passes(item := self._stock[place], options.tests))
        items = kept if by_creation else sorted(kept, key=_key(options.order_by), reverse=options.descending)
        if options.limit is None:
            return items
        return islice(items, (options.page - 1) * options.limit, options.page * options.limit)


def _passes(item: Item, tests: tuple[Test, ...]) -> bool:
    return all(test(item.row) for test in tests)


def _key(name: str) -> Callable[[Item], Any]:
    return lambda item: (item.row[name], item.row["id"])


def _date_test(name: str, value: Any) -> Test:
    condition, colon, rest = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not colon or condition not in _CONDITIONS:
        raise _invalid(name, f"must be <condition>:<date>, condition one of {', '.join(_CONDITIONS)}")
    wanted, says = _CONDITIONS[condition]
    dates = [_date(name, text) for text in rest.split(",")]
    if wanted not in {None, len(dates)}:
        raise _invalid(name, f"{condition} takes {wanted} date(s)")
    if wanted == _PAIR and dates[0] >= dates[1]:
        raise _invalid(name, "the first date must be before the second")
    return lambda row: says(row[name], dates)


def _date(name: str, text: str) -> datetime:
    try:
        return parse_iso(text)
    except ValueError:
        raise _invalid(name, f"{text!r} is not an ISO date") from None


def _status_test(_name: str, value: Any) -> Test:
    wanted = set(str(value).split(","))
    return lambda row: row.get("status") in wanted


def _group_test(_name: str, value: Any) -> Test:
    return lambda row: any(group["id"] == value for group in row.get("groups", ()))


def _location_test(_name: str, value: Any) -> Test:
    return lambda row: (row.get("location") or {}).get("id") == value


def _search_test(_name: str, value: Any) -> Test:
    text = str(value).lower()
    return lambda row: text in row["name"].lower()


_TESTS: dict[str, Callable[[str, Any], Test]] = {
    "created_at": _date_test,
    "updated_at": _date_test,
    "status": _status_test,
    "statuses": _status_test,
    "group_id": _group_test,
    "location_id": _location_test,
    "search": _search_test,
}


def _choice(given: Mapping[str, Any], name: str, values: tuple[str, ...]) -> str:
    value = given.get(name, values[0])
    if value not in values:
        raise _invalid(name, f"must be one of {', '.join(sorted(set(values)))}")
    return str(value)


def _number(given: Mapping[str, Any], name: str, default: int) -> int | None:
    value = given.get(name, default)
    if name == "limit" and value == "all":
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise _invalid(name, "must be a whole number of at least 1")
    return value


def _invalid(name: str, what: str) -> Refusal:
    return Refusal(400, f"options.{name} {what}", code="validation_error", details=[f"options.{name}"])
