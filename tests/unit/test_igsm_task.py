"""The igsm task's options and splits: exact ranges, the same problems everywhere, refusals."""

from __future__ import annotations

import re
import subprocess
import sys
from random import Random
from typing import Any

import pytest

from benchmarks.task_checks_igsm import evaluate, read_text
from tailor_rl.protocols import Task
from tailor_rl.task_extras import HasAnswers, HasRewards, HasTraces
from tailor_rl.tasks.igsm.generate import MAX_ANSWER, draw_draft
from tailor_rl.tasks.igsm.task import IGSM, PRESETS


@pytest.mark.parametrize("preset", PRESETS)
def test_difficulty_is_within_the_range_of_the_split(preset: str) -> None:
    task = IGSM(preset=preset)
    assert task.splits[3] == "ood/ops-{}-{}".format(*PRESETS[preset].ood_ops)
    for split in task.splits:
        low, high = PRESETS[preset].ood_ops if "ood" in split else PRESETS[preset].ops
        for index in range(3):
            problem = task.problem(split, index)
            assert low <= problem.difficulty <= high
            assert problem.split == split and re.fullmatch("[0-9a-f]{16}", problem.family)


def test_a_given_range_is_drawn_evenly_and_the_published_one_is_not() -> None:
    given, published = IGSM(ops=[1, 15]), IGSM()
    drawn = [
        [task.problem("train", i).difficulty for i in range(200)] for task in (given, published)
    ]
    means = [sum(ops) / len(ops) for ops in drawn]
    assert 7 < means[0] < 9 and 4.5 < means[1] < 6.5  # expected 8 and 5.5


def test_whole_numbers_stay_below_a_thousand_and_zeros_are_thinned_out() -> None:
    task = IGSM(preset="rl", ops=[1, 4], ood_ops=[8, 8])
    answers = [int(task.problem("ood/ops-8-8", i).answer) for i in range(200)]
    plain = [draw_draft(Random(i), PRESETS["rl"].shape, ops=8).answer for i in range(200)]
    assert max(map(abs, answers + plain)) < MAX_ANSWER
    assert 0 < answers.count(0) < 0.7 * plain.count(0)  # expected: 0.4 of them stay


def test_a_problem_is_the_same_in_another_process() -> None:
    code = (
        "from tailor_rl.tasks.igsm.task import IGSM;"
        "ts=[IGSM(seed=3,preset=p) for p in ('med','rl','small')];"
        "print([(repr(q:=t.problem(s,i)), t.rule_based_trace(q))"
        " for t in ts for s in t.splits for i in (7,)])"
    )
    tasks = [IGSM(seed=3, preset=preset) for preset in ("med", "rl", "small")]
    here = [
        (repr(problem := task.problem(split, i)), task.rule_based_trace(problem))
        for task in tasks
        for split in task.splits
        for i in (7,)
    ]
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == str(here)


def test_another_seed_gives_other_problems() -> None:
    assert IGSM(seed=1).problem("test", 0).prompt != IGSM(seed=2).problem("test", 0).prompt


def test_the_task_is_one_with_traces_answers_and_rewards() -> None:
    task: Task = IGSM()
    assert isinstance(task, HasTraces) and isinstance(task, HasAnswers)
    assert isinstance(task, HasRewards) and set(task.rewards) == {"process"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"preset": "tiny"}, "med, hard, rl, small"),
        ({"ops": [5]}, "task.options.ops"),
        ({"ops": [0, 4]}, "1 to 32"),
        ({"ops": [9, 4]}, "lowest, highest"),
        ({"ops": [1, 33]}, "1 to 32"),
        ({"ops": 4}, "lowest, highest"),
        ({"ops": [2.0, 4]}, "lowest, highest"),
        ({"ops": []}, "lowest, highest"),
        ({"preset": "small", "ood_ops": [20, 21]}, "1 to 20"),
        ({"ops": [1, 3]}, "too few forms"),
        ({"ops": [4, 20]}, "overlaps"),
        ({"ood_ops": [15, 18]}, "overlaps"),
        ({"modulo": 1}, "task.options.modulo"),
        ({"modulo": 100}, "task.options.modulo"),
        ({"modulo": "23"}, "task.options.modulo"),
        ({"prompt": "long"}, "'short' or 'full'"),
    ],
)
def test_an_impossible_option_is_refused_in_one_sentence(
    options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as error:
        IGSM(**options)
    assert "\n" not in str(error.value)


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="no split"):
        IGSM().problem("ood/ops-1-2", 0)


@pytest.mark.parametrize("ops", [[1, 4], [2, 4], [4, 4]])
@pytest.mark.parametrize("preset", ["med", "small"])
def test_the_smallest_ranges_fill_every_split(preset: str, ops: list[int]) -> None:
    task = IGSM(preset=preset, ops=ops)
    for split in task.splits:
        assert {task.problem(split, i).difficulty for i in range(12)}


def test_an_explicit_modulus_holds_in_text_and_answer() -> None:
    for modulo in (0, 7, 10, 99):
        task = IGSM(preset="small", modulo=modulo)
        for index in range(30):
            problem = task.problem("train", index)
            story = read_text(problem.prompt)
            assert story.modulo == modulo
            assert str(evaluate(story)[story.question]) == problem.answer
