from __future__ import annotations

import json
import math
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from tailor_rl.bench.traces import (
    Answer,
    TraceUsage,
    effective_number,
    expected_number,
    see_traces,
    style_changes,
)
from tailor_rl.bench.usage import Usage, make_usage
from tailor_rl.bench.usage_pooled import pool_usage
from tailor_rl.errors import RunFolderError
from tailor_rl.measures.styles import OTHER, UNCLEAR, Followed
from tests.usage_fakes import planted, spliced, write_answers, write_demonstrations, write_rows

STYLES = ("up", "down")


def seen(*styles: int, right: int = 0) -> TraceUsage:
    """Traces that follow these; the first `right` of them are right."""
    answers = [Answer("p", "", "words", float(i < right)) for i in range(len(styles))]
    followed = [Followed(style, False, None) for style in styles]
    return see_traces(
        answers, followed, STYLES, floor=followed, label="x", step=1, source="x.jsonl"
    )


def test_as_many_even_styles_are_effective_as_there_are() -> None:
    assert effective_number([5, 5, 5, 0])[0] == pytest.approx(3.0)
    assert effective_number([7, 0]) == (pytest.approx(1.0), pytest.approx(0.0))
    assert effective_number([1, 0]) == (pytest.approx(1.0), None)
    assert effective_number([0, 0]) == (None, None)


def test_the_standard_error_is_that_of_leaving_out_each_trace() -> None:
    """Traces a a a b: without an a the entropy is that of 2/3, 1/3; without the b it is 0."""
    without = [math.exp(math.log(3) - 2 / 3 * math.log(2))] * 3 + [1.0]
    mean = sum(without) / 4
    expected = math.sqrt(3 / 4 * sum((each - mean) ** 2 for each in without))
    assert effective_number([3, 1])[1] == pytest.approx(expected)


def test_few_traces_are_expected_to_show_few_styles() -> None:
    assert expected_number([50, 50, 50, 50], num=1) == pytest.approx(1.0)
    assert expected_number([2, 2], num=9) == pytest.approx(2.0)
    assert expected_number([2, 2], num=0) is None
    few = expected_number([50, 50, 50, 50], num=4)
    many = expected_number([50, 50, 50, 50], num=40)
    assert few is not None and many is not None and 2 < few < 3.5 < many < 4


def test_shares_are_of_clear_traces_and_accuracy_of_those_that_follow() -> None:
    traces = seen(0, 0, 0, 1, UNCLEAR, OTHER, OTHER, OTHER, right=2)
    up, down = traces.styles
    assert up.share is not None and up.share.value == 0.75
    assert up.accuracy is not None and up.accuracy.value == pytest.approx(2 / 3)
    assert down.accuracy is not None and down.accuracy.value == 0.0
    assert (traces.clear.value, traces.unclear.value, traces.other.value) == (0.5, 0.125, 0.375)
    assert traces.accuracy.value == 0.25


def test_traces_without_a_style_have_no_shares() -> None:
    traces = seen(OTHER, UNCLEAR)
    assert traces.effective is None and traces.effective_expected is None
    assert [style.share for style in traces.styles] == [None, None]
    assert traces.combined is None
    assert style_changes(traces, seen(0)) == ()
    with pytest.raises(ValueError, match="no trace"):
        see_traces([], [], STYLES, floor=[], label="x", step=1, source="x")


def test_a_style_is_said_to_grow_or_to_die_only_where_chance_does_not_explain_it() -> None:
    assert [c.verdict for c in style_changes(seen(*[0, 1] * 4), seen(*[0] * 8))] == ["", ""]
    grew, died = style_changes(seen(*[0, 1] * 20), seen(*[0] * 40))
    assert (grew.verdict, died.verdict) == ("grew", "died")
    assert (died.before, died.after) == (0.5, 0.0)
    assert style_changes(seen(*[0, 1] * 40), seen(*[0] * 70, *[1] * 10))[1].verdict == "fell"


def test_the_test_of_a_change_is_fishers_and_holds_for_all_styles() -> None:
    """3 of 4 against 0 of 4: 2 * C(4,3) C(4,0) / C(8,3) = 1/7, for either of two styles."""
    for change in style_changes(seen(0, 0, 0, 1), seen(1, 1, 1, 1)):
        assert change.p == pytest.approx(1 / 7)
        assert change.holm_p == pytest.approx(2 / 7)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three primitives at first; the first dies, the third takes over, and two are combined."""
    tmp_path = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(1)
    write_demonstrations(tmp_path, {"a": 0, "b": 1, "c": 2}, each=25)
    names = {"a": "Facts first", "b": "Back\x1b[31mwards", "c": "Facts first"}
    write_rows(
        tmp_path / "primitives.jsonl", [{"id": i, "name": name} for i, name in names.items()]
    )
    samples = tmp_path / "samples"
    write_answers(samples / "eval-base.jsonl", ["wordless noise."] * 5, step=0)
    first = [planted(i % 3, rng) for i in range(60)]
    mixed = [spliced(1, 2, rng) for _ in range(30)]
    write_answers(samples / "validation-000000.jsonl", first, step=0, right=0.25)
    write_answers(samples / "validation-000010.jsonl", first[:30] + mixed, step=10)
    last = [planted(2, rng) for _ in range(30)] + mixed
    write_answers(samples / "validation-000020.jsonl", last, step=20, right=1.0)
    return tmp_path


@pytest.fixture(scope="module")
def usage(run: Path) -> Usage:
    return usage_of(run)


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    """The same run, to be changed."""
    return shutil.copytree(run, tmp_path / "copied")


def usage_of(run: Path, reference: Path | None = None) -> Usage:
    usage = make_usage(run, reference=reference)
    assert usage is not None
    return usage


def test_a_run_shows_which_of_its_styles_grew_and_died(usage: Usage) -> None:
    assert usage.quality.num_styles == 3 and usage.quality.style_accuracy > 0.95
    assert all(style.recall >= style.clear > 0.9 for style in usage.styles)
    assert [step.label for step in usage.steps] == ["step 0", "step 10", "step 20"]
    verdicts = {change.style: change.verdict for change in usage.changes}
    assert verdicts["Facts first"] == "died" and verdicts["Facts first (2)"] == "grew"
    assert usage.steps[0].accuracy.value == 0.25
    assert usage.base is not None and usage.base.other.value == 1.0


def test_combinations_stand_out_from_the_floor_of_the_demonstrations(usage: Usage) -> None:
    first, last = usage.steps[0].combined, usage.steps[-1].combined
    assert usage.floor.combined is not None and first is not None and last is not None
    assert max(usage.floor.combined.value, first.value) < 0.15 < 0.35 < last.value
    assert usage.excess is not None and usage.excess.low > 0.1
    most = usage.steps[-1].combinations[0]
    assert (most.first, most.second) == ("Backwards", "Facts first (2)") and most.num > 15


def test_names_of_primitives_are_made_safe_to_show(usage: Usage) -> None:
    assert [style.name for style in usage.styles] == [
        "Facts first",
        "Backwards",
        "Facts first (2)",
    ]


def test_a_usage_can_be_written_as_json(usage: Usage) -> None:
    for record in (asdict(usage), asdict(pool_usage([usage]))):
        assert json.loads(json.dumps(record, allow_nan=False))


def test_the_same_run_gives_the_same_usage(run: Path, usage: Usage) -> None:
    assert usage_of(run) == usage


def test_an_arm_without_primitives_is_seen_by_those_of_its_reference(
    run: Path, usage: Usage, tmp_path: Path
) -> None:
    write_demonstrations(tmp_path, {None: 2}, each=40, seed=9)
    arm = usage_of(tmp_path, run)
    assert arm.primitives_of == str(run) and arm.floor == usage.floor
    assert arm.examples is not None and arm.examples.styles[2].num >= 30
    assert arm.steps == () and arm.changes == () and arm.excess is None
    assert usage.examples is None  # its own demonstrations are the floor
    write_demonstrations(tmp_path, {"x": 3, "y": 4}, each=25)
    assert usage_of(tmp_path, run).primitives_of == str(tmp_path)  # who has primitives needs none


def test_without_primitives_there_is_nothing_to_see(run: Path, tmp_path: Path) -> None:
    arm = tmp_path / "arm"
    write_demonstrations(arm, {None: 2}, each=40)
    assert make_usage(arm, reference=None) is None
    assert make_usage(tmp_path / "nowhere", reference=arm) is None
    write_demonstrations(arm, {"a": 0}, each=40)  # one primitive cannot be told from another
    assert make_usage(arm, reference=None) is None
    assert make_usage(arm, reference=run) is not None


def test_primitives_with_too_few_demonstrations_are_left_out(tmp_path: Path) -> None:
    write_demonstrations(tmp_path, {"a": 0, "b": 1}, each=25)
    rows = (tmp_path / "demonstrations.jsonl").read_text().splitlines()
    rare = [row.replace('"primitive_id": "a"', '"primitive_id": "rare"') for row in rows[:8:2]]
    (tmp_path / "demonstrations.jsonl").write_text("\n".join(rare + rows[8:]) + "\n")
    assert [style.primitive_ids for style in usage_of(tmp_path).styles] == [("a",), ("b",)]


def test_runs_of_older_versions_are_seen_by_their_examinations(copied: Path) -> None:
    rng = np.random.default_rng(2)
    for path in (copied / "samples").glob("validation-*"):
        path.unlink()
    for stage, step, styles in (("sft", 0, (0, 1)), ("rl", 30, (1, 1))):
        rows = [
            {"problem_id": f"p{i}", "prompt": "", "text": planted(style, rng), "reward": 1.0}
            for i, style in enumerate(styles)
        ]
        write_rows(copied / f"samples/eval-{stage}.jsonl", [{**row, "step": step} for row in rows])
    usage = usage_of(copied)
    assert [(step.step, step.source) for step in usage.steps] == [
        (0, "samples/eval-sft.jsonl"),
        (30, "samples/eval-rl.jsonl"),
    ]
    assert usage.steps[0].accuracy.value == 1.0


def test_a_damaged_line_is_named(copied: Path) -> None:
    path = copied / "samples/validation-000010.jsonl"
    path.write_text('{"problem_id": 1}\n')
    with pytest.raises(RunFolderError, match=r"validation-000010\.jsonl, line 1"):
        make_usage(copied, reference=None)


def test_runs_are_pooled_by_step_and_never_by_style(usage: Usage, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    write_demonstrations(tmp_path, {"x": 3, "y": 4}, each=25)
    for step in (0, 20):
        answers = [planted(3 + i % 2, rng) for i in range(40)]
        write_answers(tmp_path / f"samples/validation-{step:06d}.jsonl", answers, step=step)
    pooled = pool_usage([usage, usage_of(tmp_path)])
    assert [(step.step, step.accuracy.num_runs) for step in pooled.steps] == [
        (0, 2),
        (10, 1),
        (20, 2),
    ]
    assert pooled.num_styles.value == 2.5
    assert pooled.died is not None and pooled.died.value == 1.0  # two in one run, none in the other
    assert pooled.steps[0].accuracy.value == pytest.approx((0.25 + 1.0) / 2)
    assert pooled.steps[1].accuracy.low is None  # a single run has no error bar
    assert pooled.effective_change is not None and pooled.effective_change.value < -0.3
    with pytest.raises(ValueError, match="nothing to pool"):
        pool_usage([])
