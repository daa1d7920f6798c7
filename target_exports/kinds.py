"""Kinds of values: which DuckDB type a JSON Schema property becomes, and which texts that type holds exactly.

| declared | DuckDB | a value that the type does not hold exactly makes the column |
|---|---|---|
| string | VARCHAR | |
| integer | BIGINT | HUGEINT, beyond 38 digits VARCHAR |
| number | DOUBLE | VARCHAR: the digits as they were written |
| boolean | BOOLEAN | |
| date-time | TIMESTAMP WITH TIME ZONE; without an offset it is UTC | VARCHAR |
| date | DATE | VARCHAR |
| object, array, mixed or no type | JSON, the text as it was written | |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

Schema = Mapping[str, Any]
TEXT, INSTANT = "VARCHAR", "TIMESTAMP WITH TIME ZONE"
# DuckDB cuts fractions after six digits, and reads words such as `infinity`; of 26 characters none has seven digits.
_INSTANT = (
    "strlen({x}) <= 26 AND {x} < ':' OR regexp_full_match({x}, '[0-9T: -]{10,19}([.][0-9]{1,6})?(Z|[+-][0-9:]{2,6})?')"
)


@dataclass(frozen=True, slots=True)
class Rung:
    """A DuckDB type and the texts that it holds.

    Attributes:
        type: The type.
        fits: SQL condition over the text `{x}`.
        rescues: Returns whether a text that fails the condition fits nevertheless.
    """

    type: str
    fits: str
    rescues: Callable[[str], bool] | None = None

    def misfits(self, text: str) -> str:
        """Return the SQL condition that is true for values that fail; null never does."""
        fits = self.fits.replace("{x}", text)
        return f"({text}) IS NOT NULL AND ({fits}) IS NOT TRUE"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a property declares.

    Attributes:
        decoded: What msgspec decodes its JSON to; `Raw` keeps the text of any JSON.
        rungs: Types from the narrowest; what fits none is VARCHAR.
    """

    decoded: Any
    rungs: tuple[Rung, ...] = ()

    @property
    def type(self) -> str:
        """Return the type that a column begins with."""
        return self.rungs[0].type if self.rungs else TEXT


def is_exact(text: str) -> bool:
    """Return whether a double holds a number exactly, as its shortest text shows.

    Raises:
        ValueError: It is no number.
    """
    try:
        return Decimal(text) == Decimal(repr(float(text)))
    except InvalidOperation:
        raise ValueError(f"{text[:40]} is no number") from None


def _cast(to: str, pattern: str) -> Rung:
    return Rung(to, f"regexp_full_match({{x}}, '{pattern}') AND TRY_CAST({{x}} AS {to}) IS NOT NULL")


# Up to 15 digits every decimal is a double; longer ones are where DuckDB prints the double as it was written.
_DOUBLE = "regexp_full_match({x}, '-?[0-9.]{1,15}') OR CAST(TRY_CAST({x} AS DOUBLE) AS VARCHAR) = {x}"
STRING = Kind(str | None)
BOOLEAN = Kind(bool | None, (_cast("BOOLEAN", "true|false"),))
INTEGER = Kind(int | None, (_cast("BIGINT", "-?[0-9]+"), _cast("HUGEINT", "-?[0-9]+")))
NUMBER = Kind(msgspec.Raw, (Rung("DOUBLE", _DOUBLE, is_exact),))
DATE = Kind(str | None, (_cast("DATE", "[0-9]{4}-[0-9]{2}-[0-9]{2}"),))
DATETIME = Kind(str | None, (Rung(INSTANT, f"TRY_CAST({{x}} AS {INSTANT}) IS NOT NULL AND ({_INSTANT})"),))
DOCUMENT = Kind(msgspec.Raw, (Rung("JSON", "json_valid({x})"),))
_SIMPLE = {"integer": INTEGER, "number": NUMBER, "boolean": BOOLEAN, "string": STRING}
_FORMATS = {"date": DATE, "date-time": DATETIME}


def kind_of(prop: Schema) -> Kind:
    """Return the kind of a JSON Schema property; nullability is ignored."""
    if choices := [*prop.get("anyOf", ()), *prop.get("oneOf", ())]:
        kinds = [kind_of(each) for each in choices if _types(each)]
        return kinds[0] if kinds and all(each is kinds[0] for each in kinds) else DOCUMENT
    types = _types(prop)
    if types == {"integer", "number"}:
        return NUMBER
    kind = _SIMPLE.get(next(iter(types)), DOCUMENT) if len(types) == 1 else DOCUMENT
    return _FORMATS.get(str(prop.get("format")), STRING) if kind is STRING else kind


def holds_texts(prop: Schema) -> bool:
    """Return whether a list in Parquet holds JSON texts: its items are declared as no simple type."""
    items = prop.get("items")
    return len(_types(items if isinstance(items, Mapping) else {}) & _SIMPLE.keys() - {"number"}) != 1


def _types(prop: Schema) -> set[str]:
    raw = prop.get("type", "any")
    return {raw} - {"null"} if isinstance(raw, str) else set(raw) - {"null"}
