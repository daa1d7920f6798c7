"""JSON Schema types of the SDK, for the settings and schemas of providers."""

from __future__ import annotations

from singer_sdk.typing import (
    AnyType,
    ArrayType,
    BooleanType,
    DateTimeType,
    DateType,
    IntegerType,
    NumberType,
    ObjectType,
    PropertiesList,
    Property,
    StringType,
    URIType,
)

__all__ = [
    "AnyType",
    "ArrayType",
    "BooleanType",
    "DateTimeType",
    "DateType",
    "IntegerType",
    "NumberType",
    "ObjectType",
    "PropertiesList",
    "Property",
    "StringType",
    "URIType",
]
