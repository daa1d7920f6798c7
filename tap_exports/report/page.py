"""The report as one HTML file that opens without a network."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path

from tap_exports.engine.activity import Phase, counted, span_text
from tap_exports.report.figures import plain, size
from tap_exports.report.model import RunReport
from tap_exports.report.timeline import legend, timeline

_STYLE = """
:root { color-scheme: light dark; }
body { font: 13px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1400px; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; }
td, th { border-bottom: 1px solid #8884; padding: 3px 8px; vertical-align: top; overflow-wrap: break-word; }
td.n, th.n { text-align: right; white-space: nowrap; }
.complete, .completed { color: #2b8a4b; } .failed { color: #d33; font-weight: 600; } .open { color: #b8741a; }
.id { overflow-wrap: anywhere; min-width: 9em; }
svg { width: 100%; height: auto; font: 11px system-ui, sans-serif; } svg text { fill: currentColor; }
.grid { stroke: #8884; } .key { display: inline-block; width: 12px; height: 12px; margin: 0 4px 0 14px; }
"""
_JOB_HEADS = (
    *("stream", "window", "job", "status", "queued#", "running#", "downloading#", "reading#"),
    *("rows#", "rejects#", "bytes#", "credits#"),
)
_PROVIDER_HEADS = (
    *("provider or host", "requests#", "time in requests#", "credits#"),
    *("retries#", "waited before retries#", "of it after 429#"),
)
Cell = str | tuple[str, str]  # text, or text and its class


def write(report: RunReport, path: str) -> None:
    """Write the report to a file, whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    part = Path(f"{path}.{os.getpid()}.part")
    try:
        part.write_text(page(report), encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def page(report: RunReport) -> str:
    """Return the report as HTML; it refers to nothing outside itself."""
    title = f"tap-exports: {report.ending}"
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            '<meta name="viewport" content="width=device-width">',
            f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
            f"<h1>{escape(title)}</h1>",
            f"<p>{escape(_summary(report))}</p>",
            *_sections(report),
            "</body></html>\n",
        ]
    )


def _summary(report: RunReport) -> str:
    parts = [
        f"Began at {report.began_at}, took {span_text(report.seconds)}",
        counted(report.rows, "row"),
        f"{sum(s.rejects for s in report.streams):,} rejects",
        size(sum(s.bytes for s in report.streams)),
        counted(len(report.jobs), "job"),
        f"exit code {report.exit_code}",
        f"version {report.version}",
    ]
    return ", ".join(parts) + "."


def _sections(report: RunReport) -> Iterator[str]:
    if report.advice:
        items = "".join(f"<li>{escape(advice)}</li>" for advice in report.advice)
        yield f"<h2>What to do next</h2><ol>{items}</ol>"
    yield from _table("Open windows", ("stream", "window", "job", "why"), _windows(report))
    yield from _table(
        "Streams", ("stream", "outcome", "rows#", "rejects#", "bytes#", "seconds#", "bookmark"), _streams(report)
    )
    if drawing := timeline(report.jobs, report.seconds):
        yield f"<h2>Jobs over time</h2>{legend()}{drawing}"
    yield from _table("Slowest parts", ("time#", "phase", "stream", "window", "job"), _slowest(report))
    yield from _table("Jobs", _JOB_HEADS, _jobs(report))
    yield from _table("Providers", _PROVIDER_HEADS, _providers(report))


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """Yield a section; a head that ends with `#` is of a column of numbers."""
    numeric = [head.endswith("#") for head in heads]
    lines = [_row("td", row, numeric) for row in rows]
    if lines:
        head = _row("th", [head.rstrip("#") for head in heads], numeric)
        yield f"<h2>{title}</h2><table><thead>{head}</thead><tbody>"
        yield from lines
        yield "</tbody></table>"


def _row(tag: str, cells: Sequence[Cell], numeric: Sequence[bool]) -> str:
    made = []
    for cell, is_number in zip(cells, numeric, strict=True):
        text, kind = cell if isinstance(cell, tuple) else (cell, "n" if is_number else "")
        made.append(f"<{tag}{f' class={chr(34)}{escape(kind)}{chr(34)}' if kind else ''}>{_breakable(text)}</{tag}>")
    return f"<tr>{''.join(made)}</tr>"


def _breakable(text: str) -> str:
    """Return text as HTML that may break within long names and windows, so that a table fits a page."""
    return escape(text).replace("_", "_<wbr>").replace("…", "…<wbr>")


def _windows(report: RunReport) -> Iterator[Sequence[Cell]]:
    for window in report.windows:
        yield window.stream, window.window or "full export", window.job_id or "", window.why


def _streams(report: RunReport) -> Iterator[Sequence[Cell]]:
    for s in report.streams:
        outcome = (s.outcome, s.outcome.replace(" ", "-"))
        yield s.name, outcome, plain(s.rows), plain(s.rejects), size(s.bytes), f"{s.seconds:.1f}", s.bookmark or ""


def _slowest(report: RunReport) -> Iterator[Sequence[Cell]]:
    for seconds, phase, job in report.slowest:
        yield span_text(seconds), phase.value, job.stream, job.window or "full export", job.job_id or ""


def _jobs(report: RunReport) -> Iterator[Sequence[Cell]]:
    for job in report.jobs:
        reason = f": {job.reason}" if job.reason else ""
        spans = [job.seconds_in(phase) for phase in Phase]
        yield (
            *(job.stream, job.window or "full export", (job.job_id or "", "id"), (job.status + reason, job.status)),
            *(span_text(seconds) if seconds else "" for seconds in spans),
            *(plain(job.rows), plain(job.rejects), size(job.bytes), plain(job.credits)),
        )


def _providers(report: RunReport) -> Iterator[Sequence[Cell]]:
    for p in report.providers:
        spans = [span_text(s) if s else "" for s in (p.request_seconds, p.retry_seconds, p.throttled_seconds)]
        yield p.name, plain(p.requests), spans[0], plain(p.credits), plain(p.retries), *spans[1:]
