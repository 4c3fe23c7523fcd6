"""Rewards: a weighted sum whose failures are errors; graded where nothing they do does harm."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tailor_rl.config.schema import RewardConfig, TaskConfig
from tailor_rl.errors import ConfigError, GradeError
from tailor_rl.graders.counting import CountingGrader
from tailor_rl.graders.pool import GraderPool
from tailor_rl.graders.rewards import Rewards
from tailor_rl.graders.sandbox import sandbox_problem
from tailor_rl.task_extras import HasAnswers
from tailor_rl.tasks.registry import load_task
from tailor_rl.types import Grade, GradeFailure, Problem
from tests.fakes import FakeGrader, FakeTask

TASK_FILE = """
import ctypes, os, signal, time
from tailor_rl.types import Problem

class Task:
    name = "misbehaving"
    splits = ("train", "validation", "test")

    def __init__(self, *, seed=0, loads=True):
        if not loads:
            raise RuntimeError("no such data")

    def problem(self, split, index):
        return Problem(id=f"m:{split}:{index}", prompt="p", answer="a", split=split, difficulty=1)

    def grade(self, problem, text):
        if text == "hang":
            time.sleep(1000)
        if text == "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True: pass
        if text == "raise":
            raise KeyError("raised by the task")
        if text == "eat":
            eaten = bytearray(1 << 33)
        if text == "nan":
            return float("nan")
        if text == "crash":
            ctypes.string_at(0)
        if text == "exit":
            os._exit(0)
        return float(text == "right")

def length(problem, text):
    return float(len(text))
"""
PROBLEM = Problem(id="m:train:0", prompt="p", answer="a", split="train", difficulty=1)
Bench = Callable[..., list[Grade | GradeFailure]]


@pytest.fixture(scope="module")
def task_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("task") / "task.py"
    path.write_text(TASK_FILE)
    return path


@pytest.fixture(scope="module")
def bench(task_file: Path) -> Iterator[Bench]:
    reward = RewardConfig(
        timeout_s=1.0,
        memory_mib=512,
        weights={"correct": 1.0, "length": 0.5},
        functions={"length": f"{task_file}:length"},
    )
    with GraderPool(TaskConfig(name=f"{task_file}:Task"), reward) as pool:

        def grade(*texts: str) -> list[Grade | GradeFailure]:
            return asyncio.run(pool(PROBLEM, texts))

        yield grade


def test_a_pool_grades_what_the_task_and_the_functions_say(bench: Bench) -> None:
    right, wrong = bench("right", "w")
    assert right == Grade(1.0, 1.0 + 0.5 * 5, {"correct": 1.0, "length": 5.0})
    assert wrong == Grade(0.0, 0.5, {"correct": 0.0, "length": 1.0})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hang", "reward.timeout_s=1"),
        ("deaf", "reward.timeout_s=1"),
        ("raise", "KeyError: 'raised by the task'"),
        ("eat", "MemoryError"),
        ("nan", "is nan"),
        ("crash", "process died"),
        ("exit", "reward.timeout_s=1"),  # a worker may end, so its answer is missed only then
    ],
)
def test_a_bad_answer_costs_nobody_else_their_grade(bench: Bench, text: str, said: str) -> None:
    first, failed, last = bench("right", text, "wrong")
    assert isinstance(first, Grade) and first.correct == 1.0
    assert isinstance(last, Grade) and last.correct == 0.0
    assert isinstance(failed, GradeFailure)
    assert said in failed.error and (failed.problem_id, failed.text) == (PROBLEM.id, text)


def test_a_task_that_does_not_load_in_the_worker_fails_every_answer_with_the_reason(
    task_file: Path,
) -> None:
    task = TaskConfig(name=f"{task_file}:Task", options={"loads": False})
    with GraderPool(task, RewardConfig()) as pool:
        results = asyncio.run(pool(PROBLEM, ["a", "b"]))
    assert [isinstance(r, GradeFailure) and "no such data" in r.error for r in results] == [
        True
    ] * 2


def test_leaving_a_pool_does_not_wait_for_what_hangs(task_file: Path) -> None:
    async def leave() -> float:
        pool = GraderPool(TaskConfig(name=f"{task_file}:Task"), RewardConfig(timeout_s=60))
        with pool:
            await pool(PROBLEM, ["right"])
            hanging = asyncio.create_task(pool(PROBLEM, ["hang"]))
            await asyncio.sleep(0.3)
            began = time.monotonic()
            hanging.cancel()
        return time.monotonic() - began

    assert asyncio.run(leave()) < 10


def test_too_many_failures_stop_the_run_with_an_example() -> None:
    class Half(FakeTask):
        def grade(self, problem: Problem, text: str) -> float:
            if text.startswith("bad"):
                raise ValueError("cannot read this")
            return 0.0

    def graded(bad: int, share: float) -> FakeGrader:
        grader = FakeGrader(Half(), max_error_share=share)
        texts = ["bad one" if i < bad else "good" for i in range(200)]
        asyncio.run(grader.grade(PROBLEM, texts))
        return grader

    grader = graded(10, 0.05)
    assert (grader.num_failures, grader.num_texts, len(grader.failures)) == (10, 200, 10)
    with pytest.raises(
        GradeError, match=r"11 of 200 .*max_error_share=0.05 .*cannot read.*bad one"
    ):
        graded(11, 0.05)


def test_few_failures_among_the_first_answers_are_no_rate_yet() -> None:
    async def grade() -> CountingGrader:
        async def bench(problem: Problem, texts: object) -> list[Grade | GradeFailure]:
            return [GradeFailure(problem_id="p", text="t", error="e")]

        grader = CountingGrader(bench, max_error_share=0.02)
        assert await grader.grade(PROBLEM, ["t"]) == [None]
        assert await grader.grade(PROBLEM, ["t"]) == [None]
        with pytest.raises(GradeError):
            await grader.grade(PROBLEM, ["t"])
        return grader

    assert asyncio.run(grade()).num_failures == 3


class Shaped(FakeTask):
    @property
    def rewards(self) -> dict[str, Callable[[Problem, str], float]]:
        return {"polite": lambda problem, text: float("please" in text)}


def test_whether_an_answer_is_right_is_known_even_where_it_is_not_rewarded() -> None:
    grade = Rewards(Shaped(), weights={"polite": 2.0}, functions={})(
        FakeTask().problem("train", 0), "3"
    )
    assert (grade.correct, grade.reward) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("weights", "functions", "said"),
    [
        ({"corect": 1.0}, {}, "did you mean 'correct'"),
        ({"correct": 1.0}, {"polite": "x.py:f"}, "choose another name"),
        ({"correct": 1.0}, {"mine": "/nowhere/x.py:f"}, "there is no file /nowhere/x.py"),
        ({"correct": 1.0}, {"mine": "f"}, "must be"),
        ({"correct": 1.0}, {"mine": "json:nothing"}, "defines no 'nothing'"),
    ],
)
def test_a_reward_that_does_not_exist_is_said_before_the_start(
    weights: dict[str, float], functions: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        Rewards(Shaped(), weights=weights, functions=functions)


@pytest.mark.parametrize("name", ["knights", "code"])
def test_a_worker_grades_like_the_task_itself(name: str) -> None:
    """Under the worker's memory limit too, which the code sandbox's processes inherit."""
    if name == "code" and (problem_here := sandbox_problem()):
        pytest.skip(problem_here)
    task = load_task(name, seed=0, options={})
    problem = task.problem("train", 0)
    assert isinstance(task, HasAnswers)
    with GraderPool(TaskConfig(name=name), RewardConfig()) as pool:
        results = asyncio.run(pool(problem, [task.answer_text(problem), "no answer"]))
    assert [isinstance(r, Grade) and r.correct for r in results] == [1.0, 0.0]
