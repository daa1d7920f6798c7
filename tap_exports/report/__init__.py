"""The report at the end of a run: its values, and how they are shown as JSON, on a terminal and as HTML."""

from tap_exports.report.model import JobLine, OpenWindow, ProviderLine, RunReport, StreamLine

__all__ = ["JobLine", "OpenWindow", "ProviderLine", "RunReport", "StreamLine"]
