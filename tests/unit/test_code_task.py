"""The task "code": generated problems, problems from a file, answers graded by their tests."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailor_rl.graders.sandbox import sandbox_problem
from tailor_rl.task_extras import HasAnswers, HasRewards, HasSizes, HasTraces
from tailor_rl.tasks.code.answer import MAX_CODE_CHARS, fenced, fenced_code
from tailor_rl.tasks.code.generated import draw, results, solution
from tailor_rl.tasks.code.task import PythonCode
from tailor_rl.tasks.code.templates import TEMPLATES, draw_input, draw_step
from tailor_rl.tasks.splits import BINS
from tailor_rl.types import Problem

ROOT = Path(__file__).resolve().parents[2]
PROBLEMS = 300  # of each split, in laws that need no sandbox

needs_sandbox = pytest.mark.skipif(
    sandbox_problem() is not None, reason=f"no sandbox here: {sandbox_problem()}"
)

ADD = {
    "prompt": "Write add(a, b), the sum.",
    "entry": "add",
    "tests": [{"args": [1, 2], "expected": 3}, {"args": [0.5, 0.25], "expected": 0.75}],
    "solution": "def add(a, b):\n    return a + b",
}
DOUBLE = {
    "prompt": "Print the double of a number.",
    "tests": [{"stdin": "4\n", "stdout": "8\n"}, {"stdin": "-1", "stdout": "-2"}],
    "solution": "print(int(input()) * 2)",
}


def write(folder: Path, rows: list[dict[str, Any]]) -> str:
    path = folder / "problems.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def in_every_split(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**row, "split": split} for split in BINS]


# --- Generated problems --------------------------------------------------------------------------


@needs_sandbox
def test_the_same_problem_has_the_same_bytes_in_every_process() -> None:
    program = (
        "from tailor_rl.tasks.code.task import PythonCode\ntask = PythonCode(seed=7)\n"
        "print([task.problem(s, i) for s in task.splits for i in range(3)])"
    )
    here = PythonCode(seed=7)
    expected = str([here.problem(split, i) for split in here.splits for i in range(3)])
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == expected
    assert PythonCode(seed=8).problem("train", 0) != here.problem("train", 0)


@needs_sandbox
def test_no_two_splits_share_a_family_and_every_problem_names_its_own() -> None:
    task = PythonCode()
    families = {
        split: {task.problem(split, i).family for i in range(PROBLEMS)} for split in task.splits
    }
    assert task.splits == ("train", "validation", "test", "ood/composed")
    assert sum(map(len, families.values())) == len(set().union(*families.values()))
    assert len(families["train"]) > 150 and len(families["test"]) > 50


@needs_sandbox
def test_every_template_is_asked_for_and_no_prompt_leaves_a_gap() -> None:
    task = PythonCode()
    asked = Counter[str]()
    for i in range(5 * PROBLEMS):
        problem = task.problem("train", i)
        asked[problem.metadata["steps"][0].partition("(")[0]] += 1
        assert "{" not in problem.prompt and "solve(" in problem.prompt
    assert asked.keys() == {template.name for template in TEMPLATES}
    assert len(TEMPLATES) >= 12


@needs_sandbox
def test_no_test_stands_in_the_prompt() -> None:
    task = PythonCode()
    for split in task.splits:
        for i in range(PROBLEMS // 10):
            problem = task.problem(split, i)
            for test in problem.metadata["tests"]:
                assert f"solve({test['args'][0]!r})" not in problem.prompt


@pytest.mark.parametrize("num_steps", [1, 2])
def test_constants_inputs_and_half_solutions_pass_fewer_than_half_the_tests(num_steps: int) -> None:
    for i in range(PROBLEMS):
        rng = Random(i)
        exercise = draw(rng, num_steps=num_steps, num_tests=8, allowed=lambda _: True)
        values = [value for _, value in exercise.tests]
        assert max(values.count(value) for value in values) < 4
        for steps in range(num_steps):
            partly = [results(exercise.steps[:steps], given) for given, _ in exercise.tests]
            assert (
                sum(p is not None and p[-1] == v for p, v in zip(partly, values, strict=True)) < 4
            )


def test_every_reference_gives_the_kind_it_promises() -> None:
    kinds = {"numbers": list, "text": str, "number": int}
    for i in range(2000):
        rng = Random(i)
        step = draw_step(rng)
        value = draw_input(rng, step.template.takes)
        assert step.accepts(value), step.key
        assert type(step(value)) is kinds[step.template.gives], step.key


@pytest.mark.parametrize(
    ("name", "parameters", "given", "expected"),
    [
        ("keep_remainder", {"k": 3, "r": 2}, [-1, 2, 3, 5], [-1, 2, 5]),
        ("scale_and_shift", {"a": 2, "b": -1}, [0, 3], [-1, 5]),
        ("clip", {"low": -2, "high": 4}, [-9, 0, 9], [-2, 0, 4]),
        ("neighbour_sums", {"k": 2}, [1, 2, 4], [3, 6]),
        ("every_nth", {"n": 2, "start": 1}, [5, 6, 7, 8], [6, 8]),
        ("rotate", {"k": 4}, [1, 2, 3], [2, 3, 1]),
        ("sort_by_remainder", {"k": 3}, [5, 4, 3, 2], [3, 4, 2, 5]),
        ("distances", {"k": 1}, [1, 4, 2], [3, 2]),
        ("count_between", {"low": 0, "high": 2}, [-1, 0, 2, 3], 2),
        ("sum_every_nth", {"n": 2, "start": 0}, [1, 9, 2], 3),
        ("nth_largest", {"k": 2}, [4, 4, 3], 3),
        ("count_pairs", {"total": 4}, [2, 2, 2], 3),
        ("longest_run_above", {"limit": 0}, [1, 2, 0, 3], 2),
        ("shift_letters", {"k": 1}, "az b", "ba c"),
        ("reverse_pieces", {"k": 2}, "abcde", "badce"),
        ("remove_letters", {"first": "a", "second": "b"}, "abc ab", "c "),
        ("repeat_letter", {"letter": "a", "k": 3}, "aba", "aaabaaa"),
        ("keep_long_words", {"k": 2}, "a ab abc", "ab abc"),
        ("capitalise_nth", {"n": 2, "start": 0}, "a b c", "A b C"),
        ("count_words", {"letter": "a", "k": 2}, "a at bat be", 2),
        ("letter_value", {"k": 10}, "az", 7),
        ("digit_sum", {"base": 2}, 7, 3),
        ("steps_to_zero", {"k": 2}, 6, 4),
        ("reverse_digits", {"b": 1}, 120, 22),
        ("count_divisors", {"limit": 4}, 6, 3),
        ("in_base", {"base": 2}, 5, "101"),
    ],
)
def test_references_agree_with_hand_worked_values(
    name: str, parameters: dict[str, Any], given: Any, expected: Any
) -> None:
    template = next(t for t in TEMPLATES if t.name == name)
    assert template.reference(given, **parameters) == expected


def test_every_template_has_a_hand_worked_value() -> None:
    mark = test_references_agree_with_hand_worked_values.pytestmark[0]  # type: ignore[attr-defined]
    assert {case[0] for case in mark.args[1]} == {template.name for template in TEMPLATES}


# --- Answers -------------------------------------------------------------------------------------


@needs_sandbox
def test_answers_and_traces_are_right_and_other_problems_answers_are_not() -> None:
    task = PythonCode(num_tests=4)
    assert isinstance(task, HasAnswers) and isinstance(task, HasTraces)
    assert not isinstance(task, HasSizes)
    for split in task.splits:
        for i in range(2):
            problem = task.problem(split, i)
            others = (task.problem(split, 100 + j) for j in range(100))
            other = next(o for o in others if _names(o).isdisjoint(_names(problem)))
            assert task.grade(problem, task.answer_text(problem)) == 1.0
            assert task.grade(problem, task.rule_based_trace(problem)) == 1.0
            assert task.grade(problem, task.answer_text(other)) == 0.0, problem.metadata["steps"]


def _names(problem: Problem) -> set[str]:
    return {step.partition("(")[0] for step in problem.metadata["steps"]}


@needs_sandbox
def test_partly_right_code_is_wrong_and_earns_its_share() -> None:
    task = PythonCode()
    assert isinstance(task, HasRewards)
    problem = task.problem("train", 0)
    first = problem.metadata["tests"][0]
    code = f"def solve(x):\n    return {first['expected']!r} if x == {first['args'][0]!r} else {{}}"
    assert task.grade(problem, fenced(code)) == 0.0
    assert task.rewards["tests_passed"](problem, fenced(code)) == pytest.approx(1 / 8)
    assert task.rewards["tests_passed"](problem, fenced(problem.answer)) == 1.0
    assert task.rewards["tests_passed"](problem, "no code") == 0.0


@needs_sandbox
@pytest.mark.parametrize(
    "code",
    ["while True: pass", "import os; os._exit(0)", "solve = 1 / 0", "def solve(x):", "\udcff"],
)
def test_the_codes_own_failures_are_wrong_answers(code: str) -> None:
    task = PythonCode(time_limit_s=0.1)
    assert task.grade(task.problem("train", 1), fenced(code)) == 0.0


@needs_sandbox
def test_a_kept_report_is_never_given_to_another_problem() -> None:
    task = PythonCode()
    problem, other = task.problem("train", 0), task.problem("train", 50)
    assert [
        task.grade(p, fenced(code))
        for code, p in (
            (problem.answer, problem),
            (problem.answer, other),
            (other.answer, other),
            (other.answer, problem),
        )
    ] == [1.0, 0.0, 1.0, 0.0]


@needs_sandbox
def test_a_task_can_be_sent_to_another_process() -> None:
    task = pickle.loads(pickle.dumps(PythonCode(seed=3)))
    assert task.problem("test", 1) == PythonCode(seed=3).problem("test", 1)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("```python\nx = 1\n```", "x = 1"),
        ("words\n  ```python\nx\n\ny\n  ```\nmore", "x\n\ny"),
        ("```\nshell\n```\n```text\nt\n```\n```python\nx\n```", "x"),
        ("```text\n```python\n```\n```python\nx\n```", "x"),
        ("```python\r\nx\r\n```\r\n", "x\r"),
        ("```python\nx\n```\n```python\ny\n```", None),
        ("```python\nx", None),
        ("```python\nx\n```\n```", None),
        ("```py\nx\n```", None),
        ("```python x = 1 ```", None),
        ("x = 1", None),
        ("", None),
        (fenced("x" * MAX_CODE_CHARS), "x" * MAX_CODE_CHARS),
        (fenced("x" * (MAX_CODE_CHARS + 1)), None),
    ],
)
def test_the_answer_is_the_one_python_block(text: str, code: str | None) -> None:
    assert fenced_code(text) == code


@given(st.text(alphabet="`pythonx \n", max_size=200))
def test_looking_for_code_never_raises_and_finds_whole_lines(text: str) -> None:
    code = fenced_code(text)
    assert code is None or code in text


def test_megabytes_of_fences_are_read_at_once() -> None:
    started = time.process_time()
    assert fenced_code("```python\n" * 200_000) is None
    assert fenced_code("```\n" * 500_000) is None
    assert time.process_time() - started < 2


@pytest.mark.parametrize("num_steps", [1, 2])
def test_solutions_are_whole_programs(num_steps: int) -> None:
    for i in range(PROBLEMS // 3):
        exercise = draw(Random(i), num_steps=num_steps, num_tests=4, allowed=lambda _: True)
        compile(solution(exercise), "solution", "exec")
        assert solution(exercise).count("\ndef ") == num_steps


# --- A file of problems --------------------------------------------------------------------------


@needs_sandbox
def test_functions_and_programs_from_a_file_are_graded(tmp_path: Path) -> None:
    task = PythonCode(path=write(tmp_path, in_every_split(ADD) + in_every_split(DOUBLE)))
    assert isinstance(task, HasSizes) and task.size("test") == 2
    assert task.splits == ("train", "validation", "test")
    for i, wrong in ((0, "def add(a, b): return a"), (1, "print(8)")):
        problem = task.problem("test", i)
        assert task.problem("test", i + 2).prompt == problem.prompt
        assert task.grade(problem, task.answer_text(problem)) == 1.0
        assert task.grade(problem, task.rule_based_trace(problem)) == 1.0
        assert task.grade(problem, fenced(wrong)) == 0.0
    assert "Define the function add." in task.problem("test", 0).prompt
    assert task.rewards["tests_passed"](task.problem("test", 1), fenced("print(8)")) == 0.5


@needs_sandbox
def test_a_file_without_solutions_has_no_answers_to_show(tmp_path: Path) -> None:
    rows = in_every_split({key: ADD[key] for key in ("prompt", "entry", "tests")})
    task = PythonCode(path=write(tmp_path, rows))
    assert not isinstance(task, HasAnswers) and not isinstance(task, HasTraces)
    assert task.grade(task.problem("train", 0), fenced(str(ADD["solution"]))) == 1.0


@needs_sandbox
def test_without_named_splits_the_prompt_decides_and_repeats_stay_together(tmp_path: Path) -> None:
    rows = [{**ADD, "prompt": f"Write add(a, b), number {i}."} for i in range(100)]
    rows += [{**row, "prompt": f"  {row['prompt']}\n"} for row in rows]
    task = PythonCode(path=write(tmp_path, rows))
    assert isinstance(task, HasSizes)
    families = [
        {task.problem(split, i).family for i in range(task.size(split))} for split in task.splits
    ]
    assert sum(map(len, families)) == len(set().union(*families)) == 100
    assert task.size("train") > task.size("test") > 0


@needs_sandbox
@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([ADD], "is in the split"),
        ([*in_every_split(ADD), ADD], "on every line or on none"),
        ([{**ADD, "tests": []}], ':1 needs "tests"'),
        ([{**ADD, "tests": [{"args": 1, "expected": 1}]}], ":1 needs tests of the form"),
        ([{**ADD, "tests": [{"args": [float("nan")], "expected": 1}]}], "finite JSON"),
        ([{**DOUBLE, "entry": "f"}], "needs tests of the form"),
        ([{**ADD, "entry": "a.b"}], "no name of a function"),
        ([{**ADD, "answer": "x"}], "unknown field 'answer'"),
        ([{**ADD, "split": "dev"}], "'dev'"),
        ([{**ADD, "solution": 1}], "no text"),
        ([{"tests": []}], 'a text "prompt"'),
        ([], "none of the 0 problems"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(
    rows: list[dict[str, Any]], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"task\.options\.path") as caught:
        PythonCode(path=write(tmp_path, rows))
    assert complaint in str(caught.value) and "\n" not in str(caught.value)


@needs_sandbox
@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"num_tests": 1}, "num_tests"),
        ({"num_tests": 8.0}, "num_tests"),
        ({"time_limit_s": 0}, "time_limit_s"),
        ({"time_limit_s": float("nan")}, "time_limit_s"),
        ({"memory_mib": 8}, "memory_mib"),
        ({"tolerance": -1}, "tolerance"),
        ({"path": "/nowhere.jsonl"}, "path"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], key: str) -> None:
    with pytest.raises(ValueError, match=rf"task\.options\.{key}"):
        PythonCode(**options)


@needs_sandbox
def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="has no split 'dev'"):
        PythonCode().problem("dev", 0)
