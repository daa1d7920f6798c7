"""The run report: JSON, a table, and a page that needs no network."""

from __future__ import annotations

import io
import json
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from tap_exports.engine.activity import Phase, Span
from tap_exports.report import JobLine, OpenWindow, ProviderLine, RunReport, StreamLine, page, terminal, timeline

SPANS = (Span(Phase.QUEUED, 0, 10), Span(Phase.RUNNING, 10, 40), Span(Phase.READING, 45, 50))
JOB = JobLine(
    "packagex", "packagex_export_a", "exp_138", "2026-01…2026-02", "completed", 1200, 1, 7_500, 5, spans=SPANS
)
HOSTILE = '<script src="https://x.test/a.js">&'
REPORT = RunReport(
    version="1.2.3",
    began_at="2026-07-01T00:00:00.000Z",
    seconds=60.0,
    exit_code=1,
    ending="failed",
    streams=(
        StreamLine("packagex_export_a", "complete", 1200, 1, 7_500, 5.25, "2026-02"),
        StreamLine("packagex_export_b", "failed", reason=f"job exp_9: {HOSTILE}"),
    ),
    jobs=(JOB, replace(JOB, job_id=HOSTILE, stream=HOSTILE, status="processing", spans=(Span(Phase.RUNNING, 12),))),
    windows=(OpenWindow("packagex_export_b", None, "exp_9", "its job is open"),),
    providers=(ProviderLine("packagex", 5, 3, 33.0, 30.0, 41, 12.5),),
    advice=("Run again.", HOSTILE),
)


class Parsed(HTMLParser):
    """Tags and texts of a page; unclosed tags are found."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self._goes_on = False
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._goes_on = tag == "wbr"
        self.links += [str(value) for name, value in attrs if name in {"src", "href", "xlink:href"}]
        if tag not in {"meta", "line", "wbr"}:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        before = self.texts.pop() if self._goes_on and self.texts else ""
        self.texts.append(before + data)
        self._goes_on = False


def test_json_shows_what_forges_lines_as_escapes() -> None:
    """A provider's text neither ends the line nor steers a terminal, and the line stays JSON."""
    reason = "a\n\x1b\x7f\x85\u2028\u202eERROR forged"
    line = replace(REPORT, advice=(reason,)).to_json()
    assert (line.isprintable(), json.loads(line)["run_report"]["advice"]) == (True, [reason])


def test_json_is_one_line_with_everything() -> None:
    """Seconds have milliseconds, phases their names; what is not set is left out."""
    line = REPORT.to_json()
    told = json.loads(line)["run_report"]
    assert "\n" not in line
    assert told["streams"][0] == {
        "name": "packagex_export_a",
        "outcome": "complete",
        "rows": 1200,
        "rejects": 1,
        "bytes": 7500,
        "seconds": 5.25,
        "bookmark": "2026-02",
    }
    assert told["jobs"][0]["spans"][1] == {"phase": "running", "began": 10, "ended": 40}
    assert "ended" not in told["jobs"][1]["spans"][0]
    assert told["providers"] == [
        {
            "name": "packagex",
            "credits": 5,
            "retries": 3,
            "retry_seconds": 33.0,
            "throttled_seconds": 30.0,
            "requests": 41,
            "request_seconds": 12.5,
        }
    ]


def test_the_page_refers_to_nothing_outside_and_escapes_what_providers_say() -> None:
    found = Parsed(page.page(REPORT))
    assert (found.links, "script" in found.tags, "link" in found.tags) == ([], False, False)
    assert HOSTILE in found.texts
    assert "url(" not in page.page(REPORT)


def test_the_page_tells_everything() -> None:
    text = " ".join(Parsed(page.page(REPORT)).texts)
    for expected in (
        "What to do next",
        "Began at 2026-07-01T00:00:00.000Z, took 60 s, 1,200 rows, 1 rejects, 7.5 kB, 2 jobs, exit code 1",
        "packagex_export_b",
        "its job is open",
        "exp_138",
        "Slowest parts",
        "33 s",
    ):
        assert expected in text, expected


def test_the_timeline_draws_phases_to_scale() -> None:
    """A second of a run of 60 is 700 / 60 wide; what has not ended reaches to the end of the run."""
    drawn = timeline.timeline(REPORT.jobs, 60)
    found = re.findall(r'<rect x="([\d.]+)" y="\d+" width="([\d.]+)" height="\d+" fill="([^"]+)"', drawn)
    scale = 700 / 60
    expected = [*((s.phase, s.began, s.ended or 60.0) for s in SPANS), (Phase.RUNNING, 12.0, 60.0)]
    assert found == [
        (f"{330 + began * scale:.1f}", f"{(ended - began) * scale:.1f}", timeline.COLOURS[phase])
        for phase, began, ended in expected
    ]
    assert timeline.timeline([replace(JOB, spans=())], 60) == ""


@pytest.mark.parametrize(
    ("seconds", "step"),
    [(0, 0.1), (0.4, 0.1), (9.4, 2), (13, 2), (100, 15), (3000, 600), (80_000, 21_600), (900_000, 172_800)],
)
def test_marks_of_the_timeline_are_round(seconds: float, step: float) -> None:
    """Seven at most, and as many as are drawn: `0.0 s, 2.0 s, 4.0 s`, never `1.9 s`."""
    assert timeline.tick_seconds(seconds) == step
    drawn = timeline.timeline([replace(JOB, spans=SPANS[:1])], seconds)
    assert drawn.count('class="grid"') == int(seconds / step) + 1


def test_names_in_tables_may_break() -> None:
    """A long name without a place to break would make the table wider than the page."""
    assert "packagex_<wbr>export_<wbr>b" in page.page(REPORT)


def test_slowest_parts_come_first() -> None:
    told = [(seconds, phase) for seconds, phase, job in REPORT.slowest if job is JOB]
    assert told == [(30, Phase.RUNNING), (10, Phase.QUEUED), (5, Phase.READING)]


def test_the_table_on_a_terminal() -> None:
    out = io.StringIO()
    terminal.show(REPORT, Console(file=out, width=120, force_terminal=False, markup=False, highlight=False))
    text = out.getvalue()
    assert re.search(r"packagex_export_a +│ complete +│ 1,200 │ +1 │ +7\.5 kB │ +1 │ +40 s │ +5\.0 s", text), text
    assert "open: packagex_export_b full export, job exp_9: its job is open" in text
    assert "packagex: 3 retries, 33 s of waiting, 30 s after 429" in text
    assert f"next 2: {HOSTILE}" in text


def test_a_terminal_without_a_width_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some pseudo-terminals report no columns; a display cut to their width would be empty."""
    monkeypatch.setattr("os.get_terminal_size", lambda _: os.terminal_size((0, 0)))
    with Path("/dev/null").open("w", encoding="utf-8") as file:
        assert terminal.console(file, force=True).width == 100


def test_the_file_is_whole_or_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    page.write(REPORT, str(path))
    first = path.read_text(encoding="utf-8")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        page.write(replace(REPORT, ending="complete"), str(path))
    assert (path.read_text(encoding="utf-8"), [each.name for each in tmp_path.iterdir()]) == (first, ["report.html"])
