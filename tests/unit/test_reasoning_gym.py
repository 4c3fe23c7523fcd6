"""reasoning-gym's data sets: right answers only, disjoint splits, nothing of a model runs."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailor_rl.config.load import load_config
from tailor_rl.task_extras import HasAnswers, HasRewards
from tailor_rl.tasks.gym.guards import evaluates_unguarded, may_be_scored
from tailor_rl.tasks.gym.library import Item, Library, plain
from tailor_rl.tasks.gym.task import ReasoningGym, _content
from tailor_rl.tasks.splits import belongs, fingerprint
from tailor_rl.types import Problem

RECIPES = sorted((Path(__file__).parents[2] / "recipes" / "tasks").glob("gym-*.toml"))
QUICK = ("arc_1d", "simple_geometry", "color_cube_rotation", "list_functions", "self_reference")
COUNTDOWN = ReasoningGym(
    dataset="countdown",
    config={"min_numbers": 3, "max_numbers": 4, "min_target": 10, "max_target": 99},
)


def tagged(answer: str) -> str:
    return f"<answer>{answer}</answer>"


def refusal(**options: Any) -> str:
    with pytest.raises(ValueError) as caught:
        ReasoningGym(**options).problem("test", 0)
    return str(caught.value)


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_every_recipe_makes_and_grades_problems_of_every_split(file: Path) -> None:
    load_config(file)
    section = tomllib.loads(file.read_text())["task"]
    assert section["name"] == ReasoningGym.name
    task = ReasoningGym(seed=1, **section["options"])
    assert isinstance(task, HasAnswers) and isinstance(task, HasRewards)
    for split in task.splits:
        problem = task.problem(split, 0)
        assert problem.split == split and problem.id == f"reasoning_gym:{split}:0"
        assert task.grade(problem, task.answer_text(problem)) == 1.0
        assert task.rewards["score"](problem, task.answer_text(problem)) == 1.0
        for wrong in ("", problem.answer, problem.prompt, tagged("no"), tagged("")):
            assert task.grade(problem, wrong) == 0.0
        assert task.grade(problem, task.answer_text(problem) * 2) == 0.0


def test_there_is_a_recipe_for_each_data_set_of_the_study() -> None:
    assert {file.stem.removeprefix("gym-") for file in RECIPES} == {
        *("countdown", "sudoku", "arc_1d", "simple_geometry", "advanced_geometry"),
        *("color_cube_rotation", "list_functions", "zebra_puzzles", "self_reference"),
    }


@pytest.mark.parametrize("dataset", QUICK)
def test_no_two_splits_share_a_question(dataset: str) -> None:
    task = ReasoningGym(dataset=dataset)
    families = {s: {task.problem(s, i).family for i in range(60)} for s in task.splits}
    assert not families["train"] & families["validation"]
    assert not families["train"] & families["test"]
    assert not families["validation"] & families["test"]
    for split, found in families.items():
        assert all(belongs(split, int(family, 16)) for family in found)


def test_an_ood_split_keeps_out_of_the_train_bins() -> None:
    task = ReasoningGym(dataset="color_cube_rotation", level=0, ood_level=2)
    assert task.splits == ("train", "validation", "test", "ood/level-2")
    for i in range(30):
        problem = task.problem("ood/level-2", i)
        assert 10 <= problem.difficulty <= 50
        assert belongs("ood/level-2", int(problem.family, 16))
        assert task.problem("train", i).difficulty <= 5


def test_a_reworded_question_is_of_the_same_family() -> None:
    """Countdown draws one of three wordings and an order of the numbers."""
    made = [COUNTDOWN.problem("train", i) for i in range(40)]
    families: dict[tuple[Any, ...], set[str]] = {}
    for problem in made:
        held = problem.metadata["metadata"]
        key = (*sorted(held["numbers"]), held["target"])
        families.setdefault(key, set()).add(problem.family)
    assert all(len(found) == 1 for found in families.values())
    assert len(set.union(*families.values())) == len(families)
    held = {**made[0].metadata["metadata"]}
    item = Item("countdown", "in other words", "", {**held, "numbers": held["numbers"][::-1]})
    assert f"{fingerprint(_content(item)):016x}" == made[0].family


def test_the_same_problems_in_every_process_whatever_the_hash_seed() -> None:
    code = (
        "import hashlib; from tailor_rl.tasks.gym.task import ReasoningGym as G;"
        f"ts = [G(dataset=d, seed=3) for d in {QUICK!r}];"
        "made = [t.problem(s, i) for t in ts for s in t.splits for i in (0, 1, 70)];"
        "print(hashlib.sha256(repr(made).encode()).hexdigest())"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        for seed in ("1", "2")
    ]
    found = {process.communicate()[0] for process in running}
    assert all(process.returncode == 0 for process in running)
    assert len(found) == 1


def test_a_problem_that_went_through_json_is_graded_by_another_task_object() -> None:
    other = ReasoningGym(dataset="countdown", config=COUNTDOWN._libraries["train"].config, seed=99)
    for i in range(5):
        problem = COUNTDOWN.problem("train", i)
        assert json.loads(json.dumps(problem.metadata)) == problem.metadata
        assert pickle.loads(pickle.dumps(problem)) == problem
        assert other.grade(problem, COUNTDOWN.answer_text(problem)) == 1.0


def test_seeds_make_other_problems() -> None:
    made = [ReasoningGym(dataset="arc_1d", seed=seed).problem("train", 0) for seed in (0, 1)]
    assert made[0].prompt != made[1].prompt


def countdown(numbers: list[int], target: int) -> Problem:
    held = {"numbers": numbers, "target": target, "source_dataset": "countdown"}
    return Problem(
        id="reasoning_gym:train:0",
        prompt="",
        answer="",
        split="train",
        difficulty=0,
        metadata={"dataset": "countdown", "question": "", "metadata": held},
    )


@pytest.mark.parametrize(
    ("numbers", "target", "answer"),
    [
        ([1, 1, 10], 11, "1.1*10"),  # the library takes the digits for the two ones
        ([7, 2, 9], 12, "7//2 + 9"),
        ([2, 5, 7], 32, "2**5 + 7 - 7"),
        ([3, 4], 7, "3 + 4 + 0"),
        ([3, 4], 8, "3 + 4"),
        ([100, 7, 1, 50, 49], 700, "100*7 + 1/(50*49)"),  # within its tolerance of 1e-5
        ([3, 4], 7, "3 + 4 = 7"),
    ],
)
def test_countdown_counts_only_what_is_exactly_right(
    numbers: list[int], target: int, answer: str
) -> None:
    assert COUNTDOWN.grade(countdown(numbers, target), tagged(answer)) == 0.0


def test_countdown_takes_any_right_expression() -> None:
    problem = countdown([3, 4, 5], 35)
    for answer in ("(3 + 4)*5", "5 * (4+3)", "-(-3-4)*5"):
        assert COUNTDOWN.grade(problem, tagged(answer)) == 1.0
        assert COUNTDOWN.score(problem, tagged(answer)) == 1.0
    assert 0 < COUNTDOWN.score(problem, tagged("3 + 4 + 5")) < 1


@pytest.mark.parametrize(
    "attack",
    [
        "__import__('os').system('touch {file}')",
        "open('{file}', 'w')",
        "().__class__.__base__.__subclasses__()",
        "[open('{file}','w') for _ in [1]]",
        "exec(\"open('{file}','w')\")",
    ],
)
def test_nothing_a_model_writes_is_run(attack: str, tmp_path: Path) -> None:
    file = tmp_path / "ran"
    for dataset in ("countdown", "spiral_matrix", "n_queens", "string_insertion", "binary_matrix"):
        task = ReasoningGym(dataset=dataset)
        problem = task.problem("train", 0)
        assert task.grade(problem, tagged(attack.format(file=file))) == 0.0
        assert not may_be_scored(dataset, attack.format(file=file))
    for dataset in ("simple_integration", "intermediate_integration"):
        assert not may_be_scored(dataset, attack.format(file=file))
        assert may_be_scored(dataset, "-3*X**5/5 + sin(X) + C")
        assert not may_be_scored(dataset, "open(X)")
    assert not file.exists()


def test_a_scorer_that_evaluates_is_refused_where_no_alphabet_is_known() -> None:
    def scorer(answer: str, entry: Any) -> float:
        return float(eval(answer))

    assert evaluates_unguarded("something_new", scorer)
    assert not evaluates_unguarded("countdown", scorer)
    assert not evaluates_unguarded("sudoku", Library.score)


@given(st.text(max_size=100) | st.text(alphabet="0123456789+-*/() ", max_size=30))
@settings(max_examples=100, deadline=None)
def test_countdown_grades_any_text(text: str) -> None:
    problem = countdown([3, 4, 5], 100_000_007)
    for shown in (text, tagged(text)):
        assert COUNTDOWN.grade(problem, shown) == 0.0


def test_solved_at_lowers_the_bar_and_only_then_parts_count() -> None:
    strict, lax = (ReasoningGym(dataset="sudoku", solved_at=bar) for bar in (1.0, 0.5))
    problem = strict.problem("train", 0)
    grid = problem.answer.replace("1", "2", 1)
    assert strict.grade(problem, tagged(grid)) == 0.0
    assert lax.grade(problem, tagged(grid)) == 1.0
    assert 0.5 < strict.rewards["score"](problem, tagged(grid)) < 1.0


def test_a_composite_mixes_data_sets_and_scores_each_by_its_own() -> None:
    parts = [{"name": "arc_1d"}, {"name": "self_reference", "weight": 2.0}]
    task = ReasoningGym(dataset="composite", config={"datasets": parts})
    made = [task.problem("train", i) for i in range(20)]
    assert {problem.metadata["dataset"] for problem in made} == {"arc_1d", "self_reference"}
    assert all(task.grade(problem, task.answer_text(problem)) == 1.0 for problem in made)


def test_wrong_options_are_refused_in_one_sentence() -> None:
    said = {
        "dataset": refusal(dataset="contdown"),
        "key": refusal(config={"min_number": 3}),
        "value": refusal(config={"min_numbers": 1}),
        "seed": refusal(config={"seed": 3}),
        "table": refusal(config=[3]),
        "bar": refusal(solved_at=0),
        "level": refusal(level=9),
        "no curriculum": refusal(dataset="list_functions", level=1),
        "order": refusal(level=2, ood_level=2),
        "no ood": refusal(dataset="arc_1d", ood_config={"same": {}}),
        "part": refusal(dataset="composite", config={"datasets": [{"name": "sudoko"}]}),
        "parts": refusal(dataset="composite"),
        "unstable": refusal(dataset="word_ladder"),
        "no answer": refusal(dataset="rush_hour"),
    }
    assert "did you mean 'countdown'" in said["dataset"]
    assert "did you mean 'min_numbers'" in said["key"]
    assert "min_numbers must be greater than 1" in said["value"]
    assert "the task sets seed" in said["seed"]
    assert "must be a table" in said["table"]
    assert "solved_at must be above 0" in said["bar"]
    assert "must be 0 to 4, not 9" in said["level"]
    assert "has no curriculum" in said["no curriculum"]
    assert "must be above task.options.level" in said["order"]
    assert "not out of distribution" in said["no ood"]
    assert "did you mean 'sudoku'" in said["part"]
    assert "must be a list" in said["parts"]
    assert "other problems in every process" in said["unstable"]
    assert "gives no answer" in said["no answer"]
    assert not any("\n" in sentence for sentence in said.values())


def test_too_few_different_questions_are_found_and_said() -> None:
    one = {"min_sides": 3, "max_sides": 3, "min_angle": 60, "max_angle": 60}
    task = ReasoningGym(dataset="simple_geometry", config=one)
    said = []
    for split in task.splits:
        try:
            task.problem(split, 0)
        except ValueError as error:
            said.append(str(error))
    assert len(said) == 2 and all("cannot be made disjoint" in sentence for sentence in said)


def test_generators_that_give_up_are_passed_over() -> None:
    hard = {"min_numbers": 2, "max_numbers": 2, "min_target": 2000, "max_target": 9000}
    task = ReasoningGym(dataset="countdown", config=hard)
    problem = task.problem("train", 0)
    assert task.grade(problem, task.answer_text(problem)) == 1.0
    impossible = {"min_numbers": 2, "max_numbers": 2, "min_target": 10**6, "max_target": 10**6}
    assert "makes no problem (ValueError: Failed to generate" in refusal(config=impossible)


def test_plain_is_what_json_gives_back() -> None:
    import numpy as np

    value = {"a": (np.str_("x"), np.float64(0.5), np.int64(3)), 4: {True, None}, "b": np.eye(2)}
    assert json.loads(json.dumps(plain(value))) == plain(value)
    assert plain(value)["a"] == ["x", 0.5, 3] and "4" in plain(value)
