"""Options that do not go together, found before anything starts; errors name both and the fix.

Reads the recipe, the machine's size and what the student's files say: loads no model.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from urllib.parse import urlsplit

from tailor_rl.config.demonstrations import check_demonstrations
from tailor_rl.config.machine import check_machine as check_machine
from tailor_rl.config.rl import check_rl
from tailor_rl.config.schema import RunConfig
from tailor_rl.config.sft import check_sft
from tailor_rl.config.student import StudentFiles
from tailor_rl.config.teachers import check_teachers
from tailor_rl.errors import ConfigError
from tailor_rl.methods.check import check_methods
from tailor_rl.protocols import Task, Tokens
from tailor_rl.task_extras import HasSizes, HasSlowGrades

# vLLM raises positive temperatures below this to it: the learner would assume another one.
_LOWEST_TEMPERATURE = 0.01
_PROMPTS_PER_SPLIT = 64  # a sample: making every problem would take minutes


def check_options(config: RunConfig) -> None:
    """What can be said from the recipe alone."""
    _check_batches(config)
    _check_precision(config)
    _check_attention(config)
    _check_room(config)
    _check_draws(config)
    check_rl(config.rl)
    _check_kept(config)
    check_sft(config)
    check_methods(config)
    check_demonstrations(config)
    check_teachers(config)
    _check_cluster(config)


def _check_batches(config: RunConfig) -> None:
    rl, ranks = config.rl, config.learner.ranks
    rollouts, parts = rl.groups_per_step * rl.group_size, ranks * rl.updates_per_step
    if rollouts % parts:
        raise ConfigError(
            f"rl.groups_per_step={rl.groups_per_step} x rl.group_size={rl.group_size} is "
            f"{rollouts} rollouts a step, which learner.ranks={ranks} x "
            f"rl.updates_per_step={rl.updates_per_step} does not divide: make it a multiple of "
            f"{parts}"
        )
    if config.initialisation != "none" and config.sft.batch_size % ranks:
        raise ConfigError(
            f"sft.batch_size={config.sft.batch_size} is no multiple of learner.ranks={ranks}: "
            f"set sft.batch_size={_next_multiple(config.sft.batch_size, ranks)}"
        )


def _check_kept(config: RunConfig) -> None:
    if config.rl.keep_best and not config.evaluation.every:
        raise ConfigError(
            "rl.keep_best=true needs measurements to choose by, and evaluation.every=0 makes none: "
            "set evaluation.every, or leave rl.keep_best out"
        )


def _check_precision(config: RunConfig) -> None:
    if config.learner.dtype == "bfloat16" and config.learner.zero_stage == 0:
        raise ConfigError(
            "learner.dtype='bfloat16' with learner.zero_stage=0 would train without float32 master "
            "weights: set learner.zero_stage=1"
        )


def _check_attention(config: RunConfig) -> None:
    """What can be said before the start; whether the package is there is a rank's to say."""
    learner, asked = config.learner, "learner.attention='flash_attention_2'"
    if learner.attention != "flash_attention_2":
        return
    if not learner.gpus_per_rank:
        raise ConfigError(
            f"{asked} runs on GPUs alone, and learner.gpus_per_rank=0: set it to 1, or "
            "learner.attention=sdpa"
        )
    if learner.dtype == "float32":
        raise ConfigError(
            f"{asked} knows no float32: set learner.dtype=bfloat16, or learner.attention=sdpa"
        )


def _next_multiple(number: int, of: int) -> int:
    return -(-number // of) * of


def _check_room(config: RunConfig) -> None:
    """Room for at least one token of prompt; what prompts really need is `check_lengths`'."""
    rl, longest = config.rl, config.rollout.max_model_len
    for key, max_tokens in _max_tokens(config):
        if max_tokens >= longest:
            raise ConfigError(
                f"{key}={max_tokens} leaves no room for a prompt in "
                f"rollout.max_model_len={longest}: lower {key} or raise rollout.max_model_len"
            )
    if rl.overlong_buffer >= rl.max_tokens:
        raise ConfigError(
            f"rl.overlong_buffer={rl.overlong_buffer} must be smaller than rl.max_tokens="
            f"{rl.max_tokens}, or every answer is punished for its length: lower rl.overlong_buffer"
        )


def _max_tokens(config: RunConfig) -> Iterator[tuple[str, int]]:
    yield "rl.max_tokens", config.rl.max_tokens
    yield "evaluation.max_tokens", config.evaluation.max_tokens


def _check_draws(config: RunConfig) -> None:
    temperatures = {
        "attempts": config.attempts.temperature,
        "rl": config.rl.temperature,
        "evaluation": config.evaluation.temperature,
        "four_star": config.four_star.temperature,
        "re_distill": config.re_distill.temperature,
    }
    for section, temperature in temperatures.items():
        if 0 < temperature < _LOWEST_TEMPERATURE:
            raise ConfigError(
                f"{section}.temperature={temperature:g} is below {_LOWEST_TEMPERATURE:g}, the "
                f"lowest that vLLM samples at: set {section}.temperature={_LOWEST_TEMPERATURE:g} "
                "or more"
            )


def _check_cluster(config: RunConfig) -> None:
    address = config.cluster.address
    if not address or urlsplit(address).scheme in ("http", "https"):
        raise ConfigError(
            f'cluster.address = "{address}" must be "auto", "local" or HOST:PORT of a Ray head: '
            "for a job "
            "server (http://...) use `tailor submit --address`"
        )


def runs_on_this_machine(config: RunConfig) -> bool:
    """Whether the run starts a Ray of its own here, so that this machine's size is the limit."""
    joined = os.environ.get("RAY_ADDRESS") or os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR")
    return config.cluster.address == "local" or (config.cluster.address == "auto" and not joined)


def check_positions(config: RunConfig, student: StudentFiles) -> None:
    """The student must have positions for the longest sequence."""
    longest = student.max_position_embeddings
    if longest is not None and config.rollout.max_model_len > longest:
        raise ConfigError(
            f"rollout.max_model_len={config.rollout.max_model_len} is more than the {longest} "
            f"positions of student {student.folder}: set rollout.max_model_len={longest} or less"
        )


def check_splits(config: RunConfig, task: Task) -> None:
    """Every split that the recipe names must be one of the task's."""
    for split in config.evaluation.ood_splits or ():
        if split not in task.splits:
            raise ConfigError(
                f'evaluation.ood_splits names "{split}" and task {config.task.name} has '
                f"{', '.join(task.splits)}: name some of these"
            )


def check_grading_time(config: RunConfig, task: Task) -> None:
    """A grader that keeps time itself must come to an end before it is killed."""
    limit = config.reward.timeout_s
    if isinstance(task, HasSlowGrades) and limit <= task.longest_grading_s:
        raise ConfigError(
            f"reward.timeout_s={limit:g} would kill graders of task {config.task.name} that may "
            f"take {task.longest_grading_s:g} s by the task's own options: set reward.timeout_s to "
            f"{task.longest_grading_s + 2:g} or more"
        )


def check_lengths(config: RunConfig, task: Task, tokens: Tokens) -> None:
    """The longest prompt of a sample of each split must fit the engine with an answer behind it."""
    wanted = set(config.evaluation.ood_splits or task.splits)
    splits = [s for s in task.splits if s in wanted or not s.startswith("ood/")]
    problems = (
        task.problem(split, i)
        for split in splits
        for i in range(min(_PROMPTS_PER_SPLIT, _size(task, split)))
    )
    prompt, split = max((len(tokens.encode_prompt(p.prompt)), p.split) for p in problems)
    for key, max_tokens in _max_tokens(config):
        needed = prompt + max_tokens
        if needed > config.rollout.max_model_len:
            raise ConfigError(
                f"a prompt of {prompt} tokens ({split}) and {key}={max_tokens} need {needed} "
                f"tokens, more than rollout.max_model_len={config.rollout.max_model_len}: set "
                f"rollout.max_model_len={needed} or lower {key}"
            )


def _size(task: Task, split: str) -> int:
    return task.size(split) if isinstance(task, HasSizes) else _PROMPTS_PER_SPLIT
