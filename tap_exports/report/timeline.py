"""The phases of jobs over time, as inline SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from tap_exports.engine.activity import Phase, span_text
from tap_exports.report.model import JobLine

COLOURS = {
    Phase.QUEUED: "#b8c0cc",
    Phase.RUNNING: "#4c7bd9",
    Phase.DOWNLOADING: "#e0982f",
    Phase.READING: "#3f9d63",
}
MOST_JOBS = 200
_LEFT, _WIDTH, _ROW, _BAR = 330, 700, 20, 12
_MOST_TICKS = 7
_STEPS = (
    *(0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30),
    *(60 * n for n in (1, 2, 5, 10, 15, 30)),
    *(3600 * n for n in (1, 2, 6, 12)),
)
_LEAST_WIDTH = 1.5  # of a bar, so that a short phase is seen
_SHOWN = 46  # characters of a label


def timeline(jobs: Sequence[JobLine], seconds: float) -> str:
    """Return a drawing with one row per job, at most 200; `seconds` is the length of the run."""
    shown = [job for job in jobs if job.spans][:MOST_JOBS]
    if not shown:
        return ""
    height = _ROW * len(shown) + 2 * _ROW
    scale = _WIDTH / max(seconds, 0.001)
    body = [
        *_axis(seconds, height),
        *(part for row, job in enumerate(shown) for part in _row(row, job, scale, seconds)),
    ]
    head = f'<svg viewBox="0 0 {_LEFT + _WIDTH + 70} {height}" role="img" aria-label="Jobs over time"'
    return "\n".join([f'{head} xmlns="http://www.w3.org/2000/svg">', *body, "</svg>"])


def tick_seconds(seconds: float) -> float:
    """Return the round span between two marks of a run of so many seconds, so that there are 7 of them at most."""
    days = -(-seconds // (86_400 * _MOST_TICKS))
    return next((step for step in _STEPS if seconds <= step * _MOST_TICKS), 86_400 * days)


def legend() -> str:
    """Return what the colours mean, as HTML."""
    keys = (f'<span class="key" style="background:{colour}"></span>{phase.value}' for phase, colour in COLOURS.items())
    return f"<p>{' '.join(keys)}</p>"


def _axis(seconds: float, height: int) -> Iterator[str]:
    step = tick_seconds(seconds)
    for tick in range(int(seconds / step) + 1):
        x = _LEFT + _WIDTH * tick * step / max(seconds, step)
        yield f'<line x1="{x:.1f}" y1="{_ROW}" x2="{x:.1f}" y2="{height - 4}" class="grid"/>'
        yield f'<text x="{x:.1f}" y="14" text-anchor="middle">{span_text(tick * step)}</text>'


def _row(row: int, job: JobLine, scale: float, seconds: float) -> Iterator[str]:
    top = _ROW * (row + 1) + 4
    label = f"{job.stream} …{job.job_id[-6:]}" if job.job_id else job.stream
    label = label if len(label) <= _SHOWN else f"…{label[1 - _SHOWN :]}"
    yield f'<text x="{_LEFT - 8}" y="{top + 10}" text-anchor="end">{escape(label)}</text>'
    for span in job.spans:
        ended = seconds if span.ended is None else span.ended
        width = max((ended - span.began) * scale, _LEAST_WIDTH)
        lower = span.phase in {Phase.DOWNLOADING, Phase.READING}
        about = f"{job.stream}, job {job.job_id}: {span.phase.value} {span_text(ended - span.began)}"
        yield (
            f'<rect x="{_LEFT + span.began * scale:.1f}" y="{top + 3 * lower}" width="{width:.1f}" '
            f'height="{_BAR - 3 * lower}" fill="{COLOURS[span.phase]}"><title>{escape(about)}</title></rect>'
        )
