"""Options that do not go together, with each other, the machine, the student or the task."""

from __future__ import annotations

from pathlib import Path

import pytest

from tailor_rl.config.checks import (
    check_grading_time,
    check_lengths,
    check_machine,
    check_options,
    check_positions,
    check_splits,
)
from tailor_rl.config.demonstrations import check_initialisation
from tailor_rl.config.load import load_config
from tailor_rl.config.student import check_student
from tailor_rl.errors import ConfigError
from tailor_rl.runs.environment import Machine
from tailor_rl.tasks.registry import load_task
from tailor_rl.types import Problem
from tests.fakes import FakeTask
from tests.small_recipes import TWO_CORES, refused, write_checkpoint, write_recipe


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["learner.ranks=3"], ["rl.groups_per_step=8", "rl.group_size=4", "learner.ranks=3"]),
        (["rl.updates_per_step=5"], ["rl.updates_per_step=5", "multiple of 5"]),
        (["learner.ranks=2", "sft.batch_size=5"], ["sft.batch_size=5", "sft.batch_size=6"]),
        (["rl.max_tokens=512"], ["rl.max_tokens=512", "rollout.max_model_len=512"]),
        (["evaluation.max_tokens=600"], ["evaluation.max_tokens=600", "rollout.max_model_len"]),
        (["rl.overlong_buffer=256"], ["rl.overlong_buffer=256", "rl.max_tokens=256"]),
        (["rl.temperature=0.001"], ["rl.temperature=0.001", "0.01"]),
        (["attempts.temperature=0"], ["attempts.temperature=0", "attempts.samples_per_problem=4"]),
        (
            ["attempts.num_problems=1", "primitives.attempts_per_request=6"],
            ["primitives.attempts_per_request=6", "attempts.num_problems=1"],
        ),
        (
            ["primitives.max_requests=2", "primitives.num_primitives=25"],
            ["primitives.num_primitives=25", "primitives.max_requests=2"],
        ),
        (["teacher.base_url=localhost:8000"], ["teacher.base_url", "http://"]),
        (["learner.dtype=bfloat16"], ["learner.dtype='bfloat16'", "learner.zero_stage=0"]),
        (["learner.attention=flash_attention_2"], ["flash_attention_2", "learner.gpus_per_rank=0"]),
        (
            ["learner.attention=flash_attention_2", "learner.gpus_per_rank=1"],
            ["flash_attention_2", "learner.dtype=bfloat16"],
        ),
        (["cluster.address=http://h:8265"], ["cluster.address", "tailor submit"]),
    ],
)
def test_options_that_do_not_go_together_are_both_named(
    tmp_path: Path, overrides: list[str], parts: list[str]
) -> None:
    said = refused(write_recipe(tmp_path), *overrides)
    assert [part for part in parts if part not in said] == [], said


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["learner.zero_stage=3"],
        ["initialisation=none", "learner.ranks=2", "sft.batch_size=5"],
        ["initialisation=rule_based", "attempts.temperature=0"],
        ["rollout.dtype=bfloat16", "learner.dtype=bfloat16", "learner.zero_stage=1"],
        ["rl.overlong_buffer=255"],
    ],
)
def test_options_that_go_together_pass(tmp_path: Path, overrides: list[str]) -> None:
    check_options(load_config(write_recipe(tmp_path), overrides))


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["learner.ranks=3"], ["learner.ranks=3", "2 cores"]),
        (["learner.threads=3"], ["learner.threads=3", "2 cores"]),
        (["rollout.engines=4"], ["learner.ranks=1", "rollout.engines=4", "5 threads"]),
        (["rollout.gpus_per_engine=1"], ["rollout.gpus_per_engine=1", "this machine has 0"]),
        (["learner.gpus_per_rank=1"], ["learner.gpus_per_rank=1", "this machine has 0"]),
        (["rollout.tensor_parallel=2"], ["rollout.tensor_parallel=2", "rollout.gpus_per_engine"]),
        (["rollout.kv_cache_gib=9"], ["rollout.kv_cache_gib=9", "8 GiB"]),
    ],
)
def test_more_than_the_machine_has_is_refused(
    tmp_path: Path, overrides: list[str], parts: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        check_machine(load_config(write_recipe(tmp_path), overrides), TWO_CORES)
    assert [part for part in parts if part not in str(caught.value)] == [], caught.value


@pytest.mark.parametrize("count", [1, 2])
def test_as_many_engines_and_ranks_as_cores_fit(tmp_path: Path, count: int) -> None:
    overrides = [f"learner.ranks={count}", f"rollout.engines={count}"]
    check_machine(load_config(write_recipe(tmp_path), overrides), TWO_CORES)


def test_parts_on_gpus_need_no_cores(tmp_path: Path) -> None:
    overrides = ["learner.ranks=4", "learner.gpus_per_rank=1", "rollout.gpus_per_engine=1"]
    machine = Machine(cores=2, gpus=5, memory_gib=8.0)
    check_machine(load_config(write_recipe(tmp_path), overrides), machine)


def test_more_positions_than_the_student_has_are_refused(tmp_path: Path) -> None:
    student = check_student(
        str(write_checkpoint(tmp_path / "student", max_position_embeddings=256)), ()
    )
    config = load_config(write_recipe(tmp_path))
    with pytest.raises(ConfigError, match=r"rollout\.max_model_len=512 .* 256 positions"):
        check_positions(config, student)


class WordTokens:
    """A token a word."""

    def encode_prompt(self, prompt: str) -> tuple[int, ...]:
        return tuple(range(len(prompt.split())))

    def encode_completion(self, text: str) -> tuple[int, ...]:
        return self.encode_prompt(text)

    def decode(self, token_ids: object) -> str:
        raise NotImplementedError


def test_the_longest_prompt_and_an_answer_must_fit_the_engine(tmp_path: Path) -> None:
    config = load_config(write_recipe(tmp_path), ["rollout.max_model_len=400"])
    task = load_task("knights", seed=0, options={})
    with pytest.raises(ConfigError, match=r"evaluation\.max_tokens=384 need \d+ tokens") as caught:
        check_lengths(config, task, WordTokens())
    needed = str(caught.value).partition("set rollout.max_model_len=")[2].split()[0]
    enough = load_config(write_recipe(tmp_path), [f"rollout.max_model_len={needed}"])
    check_lengths(enough, task, WordTokens())


def test_a_split_that_the_task_lacks_is_refused(tmp_path: Path) -> None:
    config = load_config(write_recipe(tmp_path), ['evaluation.ood_splits=["ood/people-9"]'])
    with pytest.raises(ConfigError, match=r"ood/people-9.*ood/people-4"):
        check_splits(config, load_task("knights", seed=0, options={}))


def test_a_grader_that_would_be_killed_before_its_own_limit_is_refused(tmp_path: Path) -> None:
    class Slow(FakeTask):
        longest_grading_s = 12.0

    config = load_config(write_recipe(tmp_path), ())
    with pytest.raises(ConfigError, match=r"reward.timeout_s=10 .* 12 s .* set .* 14 or more"):
        check_grading_time(config, Slow())
    check_grading_time(config, FakeTask())


def test_rule_based_demonstrations_need_a_task_that_solves_its_problems(tmp_path: Path) -> None:
    class Mute:
        name = "mute"
        splits = ("train",)

        def problem(self, split: str, index: int) -> Problem:
            raise AssertionError

        def grade(self, problem: Problem, text: str) -> float:
            return 0.0

    config = load_config(write_recipe(tmp_path), ["initialisation=rule_based"])
    with pytest.raises(ConfigError, match="has no rule_based_trace"):
        check_initialisation(config, Mute())
    check_initialisation(config, FakeTask())
    check_initialisation(load_config(write_recipe(tmp_path), ()), Mute())
