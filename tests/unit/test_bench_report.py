"""A study's page, Markdown and picture: one set of figures, and nobody else's text is markup."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tailor_rl.bench.estimates import Estimate
from tailor_rl.bench.figures import CellFigures
from tailor_rl.bench.findings import Results
from tailor_rl.bench.report import Extras, figure_svg, render_page, write_report
from tailor_rl.bench.report.entries import figure_entry, points_entry
from tailor_rl.bench.report.markdown import markdown
from tailor_rl.bench.report.spent_tables import cost_tables, threshold_tables
from tailor_rl.bench.report.tables import figure_tables
from tailor_rl.bench.results import as_json, write_results
from tailor_rl.bench.usage_pooled import PooledTraces, PooledUsage
from tailor_rl.bench.wording import share_text
from tailor_rl.markdown import escaped
from tailor_rl.summary import amount
from tests.bench_examples import (
    asked_of,
    example_cells,
    example_plan,
    example_study,
    results_of,
    two_arms,
)

HOSTILE = (
    '<script>alert(1)</script><img src="http://evil.example/x" onerror=alert(1)>'
    "\"'></pre></details>{{ 7 * 7 }}|**bold**\x1b[31m\x00\u202e<|im_end|>"
)


class Page(HTMLParser):
    """Tags with their attributes, the text between them, and what is still open."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "title"} & set(self.open):
            self.text += data

    def sections(self) -> set[str]:
        return {str(attrs["id"]) for tag, attrs in self.tags if tag == "section"}


def page_of(results: Results, extras: Extras | None = None) -> Page:
    page = Page(render_page(results, extras or Extras()))
    assert page.open == []
    return page


@functools.cache
def whole() -> Results:
    study = example_study(num_arms=4, num_seeds=2)
    return results_of(study, cells=[without_pass_at_8(c) for c in example_cells(study)[1:]])


def without_pass_at_8(cell: CellFigures) -> CellFigures:
    kept = {name: value for name, value in cell.figures.items() if "pass@8" not in name}
    return dataclasses.replace(cell, figures=kept)


@functools.cache
def single() -> Results:
    study = example_study(num_arms=1, num_seeds=1, tasks=(), thresholds=[])
    return results_of(study)


@functools.cache
def empty() -> Results:
    return results_of(example_study(num_arms=2, num_seeds=2), cells=[])


def plain(text: str) -> str:
    """Markdown without escapes, on one line; HTML's text likewise."""
    return " ".join(re.sub(r"\\(.)", r"\1", text).replace("&amp;", "&").split())


def test_page_markdown_and_json_hold_the_same_figures(tmp_path: Path) -> None:
    results = whole()
    read = json.loads(write_results(tmp_path, results).read_text())
    html, text = write_report(tmp_path, results, Extras())
    shown, written = plain(Page(html.read_text()).text), plain(text.read_text())
    for each in read["comparisons"]:
        ours = each["difference"]
        entry = points_entry(Estimate(**ours))
        assert f"{100 * ours['value']:+.1f}".replace("-", "\N{MINUS SIGN}") in entry.text
        assert str(entry) in shown
        if each["planned"] == "planned":
            assert str(entry) in written
            assert plain(each["answer"]) in shown
            assert plain(each["answer"]) in written
    for each in read["figures"]:
        said = str(figure_entry(each["figure"], Estimate(**each["mean"])))
        assert said in shown
        if "ood/" not in each["figure"]:
            assert said in written


def test_every_final_figure_stands_in_the_row_of_its_arm() -> None:
    results = whole()
    table = next(t for t in figure_tables(results) if t.title == "knights, in distribution, pass@1")
    values = {f.arm: f.mean.value for f in results.figures
              if (f.setting, f.figure) == ("knights", "rl test pass@1")}  # fmt: skip
    column = table.head.index("after RL")
    shown = {row[0].text: row[column].text for row in table.rows}
    assert shown == {arm: f"{100 * value:.1f} %" for arm, value in values.items()}


def test_the_interval_over_problems_is_a_column_where_it_is_known() -> None:
    bare = [dataclasses.replace(cell, solved={}) for cell in example_cells(example_study())]
    for results, known in ((whole(), True), (results_of(example_study(), bare), False)):
        for shown in (page_of(results).text, markdown(results)):
            assert ("interval over seeds and problems" in shown) == known


def test_what_an_arm_cost_is_one_row_a_part_and_their_sum() -> None:
    (table,) = (t for t in cost_tables(whole()) if t.title == "knights")
    tokens = table.head.index("student's tokens")
    rows = {(row[0].text, row[1].text): row[tokens].text for row in table.rows}
    costs = [c for c in whole().costs if (c.setting, c.kind) == ("knights", "generated_tokens")]
    assert {cost.part for cost in costs if cost.mean} >= {"making", "rl"}
    for arm in whole().arms:
        own = [cost.mean for cost in costs if cost.arm == arm]
        assert rows[arm, "all"] == amount(sum(own))
    assert len(table.rows) == len(rows) > len(whole().arms)


def test_the_page_is_whole_and_asks_for_nothing_from_elsewhere() -> None:
    html = render_page(whole(), Extras())
    page = Page(html)
    assert page.open == []
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    links = [value for _, attributes in page.tags for key, value in attributes.items()
             if key in ("href", "src", "xlink:href", "action")]  # fmt: skip
    assert links
    assert {str(link)[1:] for link in links} <= page.sections()
    assert "url(" not in html
    assert "@import" not in html
    assert "prefers-color-scheme: dark" in html


def hostile_extras() -> Extras:
    rows = [{"problem": HOSTILE, "answer": HOSTILE, "arms": {HOSTILE: {"text": HOSTILE}}}]
    return Extras(
        traces=asked_of(rows),
        traces_of=HOSTILE,
        lineage={HOSTILE: [(HOSTILE, HOSTILE)]},
        environment={HOSTILE: HOSTILE},
        command=HOSTILE,
    )


@functools.cache
def hostile_results() -> Results:
    study = example_study(num_arms=2, num_seeds=2, tasks=(), thresholds=[])
    comparison = study.comparisons[0].model_copy(update={"claim": HOSTILE})
    study = study.model_copy(update={"question": HOSTILE, "comparisons": (comparison,)})
    cells = [
        dataclasses.replace(cell, commit=HOSTILE, versions={HOSTILE: HOSTILE}, cell=HOSTILE)
        for cell in example_cells(study, ood=False)[1:]
    ]
    failed = {("all", "tailor", 1): HOSTILE}
    return results_of(study, cells=cells, name=HOSTILE, failed=failed, differs=[HOSTILE])


def test_nothing_that_others_wrote_becomes_part_of_the_page() -> None:
    html = render_page(hostile_results(), hostile_extras())
    page = Page(html)
    assert page.open == []
    assert not {tag for tag, _ in page.tags} & {"script", "img"}
    assert not any(key.startswith("on") for _, attributes in page.tags for key in attributes)
    assert "<script>alert(1)</script>" in page.text
    assert "{{ 7 * 7 }}" in page.text
    assert not set("\x1b\x00\u202e") & set(html)


def test_nothing_that_others_wrote_becomes_markdown_or_svg() -> None:
    text = markdown(hostile_results())
    assert not re.search(r"(?<!\\)<(script|img)", text)
    assert not set("\x1b\x00\u202e") & set(text)
    assert r"\*\*bold\*\*" in text
    svg = figure_svg(hostile_results())
    assert not any(element.tag.endswith("script") for element in ElementTree.fromstring(svg).iter())
    assert not set("\x1b\x00\u202e") & set(svg)


def test_no_sentence_of_a_markdown_report_is_cut() -> None:
    note = "long " * 300
    assert f"- {note.strip()}.\n" in markdown(dataclasses.replace(whole(), notes=(note,)))


def test_every_row_of_a_markdown_table_has_as_many_cells_as_its_head() -> None:
    blocks = re.findall(r"(?:^\|.*\n)+", markdown(whole()), flags=re.MULTILINE)
    assert len(blocks) > 5
    for block in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


@pytest.mark.parametrize("results", [single, empty], ids=["one run", "no run"])
def test_a_study_of_little_says_what_it_lacks(results: Any) -> None:
    page = page_of(results())
    for note in results().notes:
        assert note in page.text
    assert page.sections() >= {"answers", "curves", "figures", "thresholds", "setup"}
    assert not page.sections() & {"usage", "traces"}
    assert markdown(results()).startswith("# example")


def test_one_run_is_shown_without_error_bars() -> None:
    page = page_of(single())
    assert "one run, no error bar" in page.text
    assert not [tag for tag, _ in page.tags if tag == "polygon"]


def test_later_additions_are_marked_on_the_page() -> None:
    study = example_study(num_arms=2, num_seeds=3, tasks=())
    first = dict(example_plan(study)[0])
    plan = [
        first | {"comparisons": first["comparisons"][:1], "seeds": [1, 2]},
        {"time": "T2", "finished": 4, "seeds": [3], "comparisons": first["comparisons"][1:]},
    ]
    cells = [dataclasses.replace(without_pass_at_8(c), curve=()) for c in example_cells(study)]
    page = page_of(results_of(study, cells=cells, plan=plan))
    assert "Planned before any run" in page.text
    assert "Added after runs had begun" in page.text
    assert "T2: added, with 4 cells finished" in page.text
    assert "seed 3 was added after runs began" in page.text


def estimate(value: float) -> Estimate:
    return Estimate(value, value - 0.01, value + 0.01, 5, 5)


def usage(change: float) -> PooledUsage:
    def traces(step: int) -> PooledTraces:
        facts = {f.name: estimate(0.5) for f in dataclasses.fields(PooledTraces)}
        given: dict[str, Any] = facts | {
            "label": f"step {step}",
            "step": step,
            "effective": estimate(8 + change * step),
            "habits": {"verification": estimate(1.5)},
        }
        return PooledTraces(**given)

    given: dict[str, Any] = {f.name: estimate(0.5) for f in dataclasses.fields(PooledUsage)}
    given |= {"num_runs": 5, "floor": traces(0), "steps": (traces(0), traces(10))}
    return PooledUsage(**(given | {"examples": None, "base": None}))


def test_usage_is_shown_where_there_is_any() -> None:
    page = page_of(whole(), Extras(usage={"knights": {"tailor": usage(-0.3)}}))
    assert "usage" in page.sections()
    for shown in ("8.0", "5.0", "Verification", "Styles in use"):
        assert shown in page.text


def test_traces_show_every_arms_answer_beside_the_right_one() -> None:
    arms = {"tailor": {"text": "so Zoe lies", "right": True}, "none": {"text": "no idea"}}
    row = {"problem": "Who lies?", "answer": "Zoe", "arms": arms}
    text = plain(page_of(whole(), Extras(traces=asked_of([row]))).text)
    assert "right: tailor" in text
    assert "tailor, right" in text and "none, wrong" in text
    assert "so Zoe lies" in text and "no idea" in text


def test_the_picture_is_a_document_of_its_own_with_its_own_paper() -> None:
    svg = figure_svg(whole())
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "var(" not in svg and "url(" not in svg and "<image" not in svg
    text = "".join(root.itertext())
    for arm in whole().arms:
        assert arm in text
    planned = [c for c in whole().comparisons if c.planned == "planned"]
    assert all(points_entry(c.difference).text in text for c in planned)
    assert svg == figure_svg(whole())


def test_the_picture_has_the_cost_of_the_set_where_there_is_room() -> None:
    planned = [c for c in whole().comparisons if c.planned == "planned"]
    for rows, shown in ((planned[:1], False), (planned * 2, True)):
        svg = figure_svg(dataclasses.replace(whole(), comparisons=tuple(rows)))
        assert ("The cost of the set included" in svg) == shown
        assert ("teacher&#39;s tokens" in svg) == shown


def test_a_study_without_figures_has_no_picture() -> None:
    with pytest.raises(ValueError, match="neither curves nor comparisons"):
        figure_svg(empty())


def test_numbers_that_are_not_finite_leave_charts_whole() -> None:
    study = example_study(num_arms=1, num_seeds=2, tasks=())
    cells = [
        dataclasses.replace(cell, training={"reward": (0.1, math.nan, math.inf, 0.4)})
        for cell in example_cells(study, ood=False)
    ]
    html = render_page(results_of(study, cells=cells), Extras())
    assert not re.search(r'="[^"]*\b(nan|inf)\b', html)


def test_results_as_json_can_be_read_back() -> None:
    assert json.loads(json.dumps(as_json(whole())))["arms"] == list(whole().arms)


def test_markdown_says_what_was_planned_and_when() -> None:
    text = markdown(whole())
    assert "## Plan" in text
    assert "the plan: seeds " in text or "cells finished: seeds " in text
    assert text.count("\n## ") == len(set(re.findall(r"\n## .*", text)))


def test_markdown_has_the_trends_and_the_styles_of_the_page() -> None:
    found = whole()
    text = markdown(found, {"knights": {"tailor": usage(-0.3)}})
    trend = found.trends[0]
    assert f"| {escaped(' < '.join(trend.arms))}" in text
    assert "**Styles in use" in text and "**How well styles can be known**" in text
    assert "Styles in use" not in markdown(found)


def test_runs_that_reached_a_threshold_are_counted_for_each_unit_where_that_differs() -> None:
    found = whole()
    first = found.thresholds[0]
    whole_count = f"{first.num_reached} of {first.num_runs}"
    assert str(next(threshold_tables(found)).rows[0][1]) == whole_count
    fewer = dataclasses.replace(first, num_reached=first.num_reached - 1)
    table = next(
        threshold_tables(dataclasses.replace(found, thresholds=(fewer, *found.thresholds[1:])))
    )
    assert str(table.rows[0][1]) == "differs"
    assert f"{fewer.num_reached} of {first.num_runs}" in str(table.rows[0][2])
    assert whole_count in str(table.rows[0][3])


def test_an_arm_that_is_never_at_a_threshold_is_said_to_be_there_at_none() -> None:
    table = next(threshold_tables(results_of(two_arms(thresholds=[0.99]))))
    tailor = next(row for row in table.rows if row[0].text == "tailor")
    assert tailor[1].text == "0 of 3"
    assert {entry.note for entry in tailor[2:]} == {"none by then"}


def test_a_gain_is_said_in_points_and_a_share_within_its_bounds() -> None:
    gain = dataclasses.replace(estimate(-0.041), low=-0.12, high=0.038)
    assert str(figure_entry("gain test pass@1", gain)) == "-4.1 points [-12.0, +3.8]".replace(
        "-", "\N{MINUS SIGN}"
    )
    wide = dataclasses.replace(estimate(0.51), low=-0.2, high=1.03)
    assert str(figure_entry("rl test pass@1", wide)) == "51.0 % [0.0, 100.0]"


def test_a_loss_has_a_typographic_minus_sign_as_differences_have() -> None:
    assert share_text(-0.011) == "\N{MINUS SIGN}1.1 %"


@pytest.mark.parametrize(("num_arms", "folded"), [(3, False), (6, True)])
def test_many_pairs_that_nobody_planned_are_folded_away(num_arms: int, folded: bool) -> None:
    study = example_study(num_arms=num_arms, num_seeds=3, tasks=(), comparisons=[], trends=[])
    html = render_page(results_of(study), Extras())
    assert "Not planned: every other pair" in html
    assert ("<details><summary>Not planned" in html) == folded
