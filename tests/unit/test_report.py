"""report.html: what is on it, what is not, and that nobody else's text becomes part of the page."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tailor_rl.errors import RunFolderError
from tailor_rl.report import write_report
from tailor_rl.report.curves import (
    Dot,
    Point,
    Series,
    interval_chart,
    line_chart,
    running_mean,
    ticks,
)
from tailor_rl.report.page import curve_charts
from tailor_rl.summary import read_rows
from tests.sample_run import (
    NUM_RL_STEPS,
    NUM_SFT_STEPS,
    PRIMITIVES,
    VALIDATE_EVERY,
    evaluation,
    rl_metrics,
    table_rows,
    write_rows,
    write_sample_run,
)

HOSTILE = (
    '<script>alert(1)</script><img src="http://evil.example/x" onerror=alert(1)>'
    "\"'></pre></details>{{ 7 * 7 }}{% raw %}&amp;\x1b[31m\x00\u202e<|im_end|>"
)


class Page(HTMLParser):
    """Tags with their attributes, the text between them, and what is still open."""

    VOID = frozenset({"meta"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.cells: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if "td" in self.open:
            self.cells[-1] += data


def report(run: Path) -> Page:
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert page.open == []
    return page


def points_of(svg: str, css: str) -> list[int]:
    found = re.findall(rf'<polyline class="{css} s\d" points="([^"]*)"', svg)
    return [len(points.split()) for points in found]


def test_every_figure_in_the_table_is_that_of_its_row(tmp_path: Path) -> None:
    page = report(write_sample_run(tmp_path / "run"))
    shown = page.cells[: len(table_rows())]
    by_key = {(row.stage, row.split, row.k): row for row in table_rows()}
    expected = [
        f"{100 * row.value:.1f} %[{100 * row.low:.1f}, {100 * row.high:.1f}]"
        for stage in ("base", "sft", "rl")
        for split in ("test", "ood/depth", "ood/people")
        for k in (1, 8)
        for row in [by_key[stage, split, k]]
    ]
    assert shown == expected


def test_the_page_is_whole_and_asks_for_nothing_from_elsewhere(tmp_path: Path) -> None:
    page = report(write_sample_run(tmp_path / "run"))
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    links = [value for _, attributes in page.tags for key, value in attributes.items()
             if key in ("href", "src", "xlink:href", "action")]  # fmt: skip
    assert links
    assert all(value and value.startswith("#") for value in links)
    html = (tmp_path / "run" / "report.html").read_text()
    assert "url(" not in html
    assert "@import" not in html


def test_each_curve_has_a_point_for_each_step(tmp_path: Path) -> None:
    charts = {chart.title: chart.svg for chart in curve_charts(write_sample_run(tmp_path / "run"))}
    assert points_of(charts["Reward"], "raw") == [NUM_RL_STEPS]
    assert points_of(charts["Reward"], "line") == [NUM_RL_STEPS]
    assert points_of(charts["Clipped tokens"], "raw") == [NUM_RL_STEPS, NUM_RL_STEPS]
    assert points_of(charts["SFT loss"], "line") == [NUM_SFT_STEPS]
    num_validations = NUM_RL_STEPS // VALIDATE_EVERY + 1
    for title in ("Validation accuracy", "Validation accuracy by cost"):
        assert points_of(charts[title], "line") == [num_validations] * 2
        assert charts[title].count("<circle") == 2 * num_validations
        assert charts[title].count("<polygon") == 2
    assert len(charts) == 9


def test_a_legend_names_only_what_is_drawn(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"stage": "sft", "step": 1, "loss": 1.0}]
    write_rows(tmp_path / "metrics.jsonl", rows)
    assert [chart.legend for chart in curve_charts(tmp_path)] == [()]
    write_rows(tmp_path / "metrics.jsonl", [rows[0] | {"held_out_loss": 2.0}])
    assert [chart.legend for chart in curve_charts(tmp_path)] == [("trained on", "held out")]


def test_accuracy_by_cost_stands_at_the_tokens_spent_by_then(tmp_path: Path) -> None:
    rows = [evaluation("rl", "validation", 0.1 * i, step=i) for i in range(4)]
    write_rows(tmp_path / "evaluations.jsonl", rows)
    spent = [(1, 100), (2, 5000)]  # nothing is known of step 3
    metrics = [{"stage": "rl", "step": step, "spent_tokens": tokens} for step, tokens in spent]
    write_rows(tmp_path / "metrics.jsonl", metrics)
    chart = next(c for c in curve_charts(tmp_path) if c.title.endswith("by cost"))
    titles = re.findall(r"<title>pass@1 at ([\d,]+): ([\d.]+)", chart.svg)
    assert titles == [("0", "0.0"), ("100", "10.0"), ("5,000", "20.0")]


def test_figures_that_are_not_finite_are_not_drawn(tmp_path: Path) -> None:
    rows = rl_metrics()[:10]
    rows[3]["entropy"] = float("nan")
    rows[4]["entropy"] = float("inf")
    write_rows(tmp_path / "metrics.jsonl", rows)
    charts = {chart.title: chart.svg for chart in curve_charts(tmp_path)}
    assert points_of(charts["Entropy"], "line") == [8]
    assert points_of(charts["Reward"], "line") == [10]
    assert "nan" not in charts["Entropy"]


def test_hostile_text_is_shown_and_stays_text(tmp_path: Path) -> None:
    run = write_sample_run(tmp_path / "run")
    before = sorted(tag for tag, _ in report(run).tags)
    for name, keys in (
        ("attempts", ("prompt", "text")),
        ("primitives", ("name", "instruction", "targets", "teacher")),
        ("demonstrations", ("prompt", "trace")),
        ("samples/eval-base", ("prompt", "answer", "text")),
        ("screening", ("name", "reason", "detail")),
        ("lineage", ("student", "task")),
        ("samples/eval-rl", ("text",)),
    ):
        path = run / f"{name}.jsonl"
        write_rows(path, [{**row, **dict.fromkeys(keys, HOSTILE)} for row in read_rows(path)])
    for name in ("config", "environment"):
        content = json.loads((run / f"{name}.json").read_text())
        content[HOSTILE] = HOSTILE
        content.get("config", {})["student"] = HOSTILE
        content.get("provenance", {})["command"] = [HOSTILE]
        (run / f"{name}.json").write_text(json.dumps(content))
    page = report(run)
    after = sorted(tag for tag, _ in page.tags)
    assert [tag for tag in after if tag not in ("dt", "dd")] == [
        tag for tag in before if tag not in ("dt", "dd")
    ]
    assert not any(key.startswith("on") for _, attributes in page.tags for key in attributes)
    assert page.text.count("<script>alert(1)</script>") > 30
    assert "{{ 7 * 7 }}" in page.text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", page.text)


def test_the_page_says_how_the_set_was_made_and_what_was_forecast(tmp_path: Path) -> None:
    page = report(write_sample_run(tmp_path / "run"))
    assert "4 primitives were screened, 3 accepted; refused: 1 injection:grader." in page.text
    assert "It speaks to the grader." in page.text
    assert "The forecast is 12 points." in page.text
    assert "60 of 60 right (100.0 %)" in page.text
    (tmp_path / "run" / "lineage.jsonl").unlink()
    assert "No lineage in this run folder." in report(tmp_path / "run").text


def test_a_later_look_at_the_policy_after_rl_is_no_forecast(tmp_path: Path) -> None:
    run = write_sample_run(tmp_path / "run")
    later = json.dumps({"verdicts": ["The forecast is 99 points."]})
    (run / "behaviours-rl.json").write_text(later)
    text = report(run).text
    assert "The forecast is 12 points." in text and "99 points" not in text


def test_a_hostile_split_stays_text_in_tables_and_charts(tmp_path: Path) -> None:
    rows = [dataclasses.replace(row, split=f"ood/{HOSTILE}") for row in table_rows()[:2]]
    write_rows(tmp_path / "evaluations.jsonl", rows)
    page = report(tmp_path)
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert "<script>" in page.text


@pytest.mark.parametrize(
    "kept",
    [
        (),
        ("evaluations.jsonl",),
        ("metrics.jsonl",),
        ("ledger.json",),
        ("config.json",),
        ("primitives.jsonl",),
        ("demonstrations.jsonl",),
        ("attempts.jsonl", "primitives.jsonl"),
        ("samples/eval-base.jsonl",),
    ],
)
def test_a_partial_run_makes_a_page_that_says_what_is_missing(
    tmp_path: Path, kept: tuple[str, ...]
) -> None:
    run = write_sample_run(tmp_path / "run")
    for path in [p for p in run.rglob("*") if p.is_file()]:
        if path.relative_to(run).as_posix() not in kept:
            path.unlink()
    page = report(run)
    for name in ("metrics.jsonl", "primitives.jsonl", "config.json"):
        assert (f"no {name}" in page.text) is (name not in kept)
    assert ("No stage has been evaluated" in page.text) is ("evaluations.jsonl" not in kept)
    assert ("No ledger" in page.text) is ("ledger.json" not in kept)


def test_a_run_in_the_middle_of_rl_shows_what_there_is(tmp_path: Path) -> None:
    run = write_sample_run(tmp_path / "run")
    rows = [row for row in table_rows() if row.stage != "rl"]
    write_rows(run / "evaluations.jsonl", [*rows, evaluation("rl", "validation", 0.4)])
    write_rows(run / "metrics.jsonl", rl_metrics()[:1])
    (run / "stages.json").write_text(json.dumps({"sft": {"finished": "a"}, "rl": {}}))
    (run / "samples" / "eval-rl.jsonl").unlink()
    page = report(run)
    assert "no evaluation after RL" in page.text
    assert "not complete (in rl)" in page.text
    assert "after RL, " not in page.text
    assert "base, wrong" in page.text


def test_primitives_show_their_use_and_their_sources(tmp_path: Path) -> None:
    page = report(write_sample_run(tmp_path / "run"))
    for name, instruction, targets in PRIMITIVES:
        assert name in page.text
        assert instruction in page.text
        assert f"Repairs: {targets}" in page.text
    assert "30 demonstrations, 50.0 %" in page.text
    assert page.text.count("15 demonstrations, 25.0 %") == 2
    assert page.text.count("from 3 attempts") == 3
    assert page.text.count("The student's attempt") == 6


def test_the_ledger_on_the_page_adds_up(tmp_path: Path) -> None:
    page = report(write_sample_run(tmp_path / "run"))
    assert page.cells[-7:] == ["4,623", "35,736", "5,260,431", "2,732,642", "99", "101,431",
                               "1,449"]  # fmt: skip


def test_a_damaged_row_is_named(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("{oops\n")
    with pytest.raises(RunFolderError, match=r"metrics\.jsonl, line 1"):
        write_report(tmp_path)


def test_long_traces_are_cut_with_a_note(tmp_path: Path) -> None:
    row = {"split": "test", "problem_id": "p", "prompt": "q", "answer": "a", "text": "x" * 9000}
    write_rows(tmp_path / "samples" / "eval-base.jsonl", [row])
    page = report(tmp_path)
    assert "... 5,000 more characters" in page.text
    assert "x" * 4001 not in page.text


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 0.93, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (-3, 4, [-4, -2, 0, 2, 4]),
        (0, 0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
    ],
)
def test_ticks_are_round_and_span_the_range(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def test_a_running_mean_is_centred_and_shorter_at_the_ends() -> None:
    points = [Point(i, y) for i, y in enumerate((0.0, 3.0, 6.0, 0.0))]
    assert [p.y for p in running_mean(points, 1)] == [1.5, 3.0, 3.0, 3.0]


def test_points_are_drawn_to_scale() -> None:
    """x from 0 to 10 over 48..346, y from 0 to 1 over 164..10."""
    series = Series("s", (Point(0, 0.0), Point(5, 0.5), Point(10, 1.0)))
    svg = line_chart("t", [series], x_label="x", percent=False)
    assert 'points="48.0,164.0 197.0,87.0 346.0,10.0"' in svg


def test_a_single_measurement_shows_its_interval_as_a_line() -> None:
    """On an axis from 0 to 0.8 over 164..10 the interval [0.4, 0.6] stands from 87 to 48.5."""
    series = Series("s", (Point(0, 0.5, 0.4, 0.6),), measured=True)
    tall = Series("t", (Point(0, 0.8),), measured=True)
    svg = line_chart("t", [series, tall], x_label="x", percent=True)
    assert '<line class="interval s0" x1="197.0" x2="197.0" y1="48.5" y2="87.0"/>' in svg


def test_labels_of_charts_are_escaped() -> None:
    dot = Dot("<i>", 0.5, 0.4, 0.6, main=True)
    svg = interval_chart("<b>", [("<u>", [dot])], top=1.0)
    series = Series("<i>", (Point(0, 0.5),), measured=True)
    svg += line_chart("<b>", [series], x_label="<u>", percent=True)
    assert not re.search("<[ibu]>", svg)
    assert svg.count("&lt;u&gt;") == 3
