"""Exelensia: CSV exports of extraction results."""
