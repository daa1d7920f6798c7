"""From a complete local file, or a page of JSON rows, to batches of typed rows."""

from __future__ import annotations

from tap_exports.engine.decode.cast import RAW
from tap_exports.engine.decode.conform import conform, fitted
from tap_exports.engine.decode.csv import read_csv
from tap_exports.engine.decode.dialect import CsvDialect
from tap_exports.engine.decode.infer import infer_columns, infer_text_columns
from tap_exports.engine.decode.jsonrows import read_json
from tap_exports.engine.decode.layout import Decoded, Layout
from tap_exports.engine.decode.names import bounded
from tap_exports.engine.decode.notation import Notation
from tap_exports.engine.decode.read import advice, read, sample, unknown
from tap_exports.engine.decode.shape import fit
from tap_exports.engine.decode.source import is_blank

__all__ = [
    "RAW",
    "CsvDialect",
    "Decoded",
    "Layout",
    "Notation",
    "advice",
    "bounded",
    "conform",
    "fit",
    "fitted",
    "infer_columns",
    "infer_text_columns",
    "is_blank",
    "read",
    "read_csv",
    "read_json",
    "sample",
    "unknown",
]
