"""The table that ends a run."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from tailor_rl.errors import RunFolderError
from tailor_rl.printable import one_line, printable
from tailor_rl.report import write_report
from tailor_rl.summary import compare, print_summary, summarise
from tailor_rl.types import Evaluation
from tests.sample_run import VALUES, evaluation, table_rows, write_rows, write_sample_run


def printed(run: Path, *, width: int = 100) -> str:
    text = io.StringIO()
    print_summary(run, Console(file=text, width=width))
    return text.getvalue()


def test_every_figure_of_the_rows_is_in_the_table_at_any_width(tmp_path: Path) -> None:
    run = write_sample_run(tmp_path / "run")
    for width in (80, 140):
        text = printed(run, width=width)
        for row in table_rows():
            assert f"{100 * row.value:.1f}" in text
            assert f"[{100 * row.low:.1f}, {100 * row.high:.1f}]" in text
        assert max(map(len, text.splitlines())) <= max(width, len(f"report: {run}/report.html"))


def test_a_stage_that_was_not_measured_is_left_out(tmp_path: Path) -> None:
    write_rows(
        tmp_path / "evaluations.jsonl",
        [evaluation("base", "test", 0.1), evaluation("rl", "test", 0.5)],
    )
    summary = summarise(tmp_path)
    assert summary.stages == ("base", "rl")
    assert [v.text.split(":")[1] for v in summary.verdicts] == [
        " after RL 50.0 % [47.0, 52.7] is above base 10.0 % [7.0, 12.7]"
    ]
    text = printed(tmp_path)
    assert "after RL" in text
    assert "no evaluation after SFT" in text
    assert not re.search(r"^\s*after SFT", text, re.MULTILINE)


def test_validation_and_earlier_steps_are_not_headline_figures(tmp_path: Path) -> None:
    rows = [
        evaluation("rl", "test", 0.7, step=20),
        evaluation("rl", "test", 0.6, step=10),
        evaluation("rl", "validation", 0.99, step=30),
    ]
    write_rows(tmp_path / "evaluations.jsonl", rows)
    summary = summarise(tmp_path)
    assert summary.splits == ("test",)
    assert summary.cells["rl", "test", 1].value == 0.7


@pytest.mark.parametrize(
    ("before", "after", "separate", "word"),
    [
        ((0.50, 0.45, 0.55), (0.70, 0.65, 0.75), True, "above"),
        ((0.70, 0.65, 0.75), (0.50, 0.45, 0.55), True, "below"),
        ((0.50, 0.45, 0.60), (0.70, 0.60, 0.75), False, "touch"),
    ],
)
def test_a_verdict_says_whether_intervals_touch_and_equal_ends_do(
    before: tuple[float, ...], after: tuple[float, ...], separate: bool, word: str
) -> None:
    def row(stage: str, figures: tuple[float, ...]) -> Evaluation:
        value, low, high = figures
        return dataclasses.replace(evaluation(stage, "test", value), low=low, high=high)

    verdict = compare(row("sft", before), row("rl", after))
    assert verdict.separate is separate
    assert word in verdict.text
    assert ("do not touch" in verdict.text) is separate


def test_no_verdict_is_drawn_from_an_interval_of_no_width() -> None:
    nothing = dataclasses.replace(evaluation("sft", "test", 0.0), low=0.0, high=0.0)
    verdict = compare(evaluation("base", "test", 0.1), nothing)
    assert not verdict.separate
    assert "every problem came out alike" in verdict.text


def test_the_ledger_adds_up(tmp_path: Path) -> None:
    ledger = {"sft": {"seconds": 5, "learner_tokens": 7}, "rl": {"seconds": 6, "rollouts": 1234}}
    (tmp_path / "ledger.json").write_text(json.dumps(ledger))
    lines = printed(tmp_path).splitlines()
    total = next(line for line in lines if line.startswith("total"))
    assert total.split() == ["total", "1,234", "7", "11"]


def test_an_empty_folder_says_what_is_missing(tmp_path: Path) -> None:
    text = printed(tmp_path)
    assert "no evaluation of the base" in text
    assert "no ledger.json" in text


def test_a_torn_last_line_is_left_out_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "evaluations.jsonl"
    write_rows(path, [evaluation("base", "test", VALUES["base"]["test"][0])])
    whole = path.read_text()
    path.write_text(whole + whole[:40])
    assert len(summarise(tmp_path).cells) == 1
    path.write_text(whole[:40] + "\n" + whole)
    with pytest.raises(RunFolderError, match="line 1 is damaged"):
        summarise(tmp_path)


def test_markup_and_escapes_in_names_are_shown_not_obeyed(tmp_path: Path) -> None:
    split = "ood/[red]x[/red]\x1b[31m"
    write_rows(tmp_path / "evaluations.jsonl", [evaluation("base", split, 0.5)])
    text = printed(tmp_path)
    assert "[red]x[/red]" in text
    assert "\x1b" not in text


def test_printable_drops_what_a_terminal_or_a_reader_would_obey() -> None:
    hostile = "\x1b[2J\x1b]0;title\x07a\x00b\u202e\u200bc\r\n\td\x9b31m\ud800"
    assert printable(hostile) == "abc\n\td31m"
    assert one_line(" a\n\n b ") == "a b"
    assert one_line("x" * 300, 10) == "xxxxxxx..."


@pytest.mark.parametrize("name", ["stages.json", "ledger.json"])
def test_a_file_of_something_else_is_one_sentence(tmp_path: Path, name: str) -> None:
    run = write_sample_run(tmp_path / "run")
    (run / name).write_text('{"rl": 1}')
    with pytest.raises(RunFolderError, match=rf"{name} is damaged \('rl' is no JSON object\)"):
        write_report(run)


@pytest.mark.parametrize("wrong", [{"value": "much"}, {"step": "5"}, {"split": 1}])
def test_a_field_of_another_type_is_named(tmp_path: Path, wrong: dict[str, object]) -> None:
    row = {**dataclasses.asdict(evaluation("base", "test", 0.5)), **wrong}
    write_rows(tmp_path / "evaluations.jsonl", [row])
    with pytest.raises(RunFolderError, match=rf"line 1 is damaged \('{next(iter(wrong))}' is no"):
        summarise(tmp_path)
