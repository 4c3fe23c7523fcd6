"""Options of how the SFT set is made that do not go together, found before anything is bought."""

from __future__ import annotations

from pathlib import Path

from tailor_rl.config.needs import (
    is_own,
    made_from,
    needs_attempts,
    needs_primitives,
    needs_task_traces,
    needs_varied_traces,
)
from tailor_rl.config.schema import RunConfig
from tailor_rl.errors import ConfigError
from tailor_rl.protocols import Task
from tailor_rl.task_extras import HasTraces, HasVariedTraces


def check_demonstrations(config: RunConfig) -> None:
    """What can be said from the recipe alone."""
    from tailor_rl.initialisations import find_initialisation

    for name in made_from(config):
        find_initialisation(name)
    if needs_attempts(config):
        _check_attempts(config)
        _check_discovery(config)
    if needs_primitives(config) and config.primitives.library:
        _check_library(config)
    _check_trial(config)
    _check_match(config)


def check_sources(config: RunConfig) -> None:
    """The files that the set is made with: prompts and an encoder's folder are readable."""
    from tailor_rl.measures.embedding import WORDS, load_embedder
    from tailor_rl.teachers.prompts import Prompts

    Prompts(config.prompts.folder)
    if config.measures.embedder != WORDS and needs_primitives(config):
        load_embedder(config.measures.embedder)


def check_initialisation(config: RunConfig, task: Task) -> None:
    """Rule-based demonstrations are the task's own solutions."""
    wanted = made_from(config)[-1]
    missing = None
    if needs_task_traces(config) and not isinstance(task, HasTraces):
        missing = "rule_based_trace()"
    if needs_varied_traces(config) and not isinstance(task, HasVariedTraces):
        missing = "varied_trace()"
    if missing and not is_own(wanted):
        raise ConfigError(
            f'initialisation = "{wanted}" needs a task that solves its own problems, and '
            f"{config.task.name} has no {missing}: choose another initialisation"
        )


def _check_attempts(config: RunConfig) -> None:
    attempts, primitives = config.attempts, config.primitives
    if attempts.temperature == 0 and attempts.samples_per_problem > 1:
        raise ConfigError(
            f"attempts.samples_per_problem={attempts.samples_per_problem} draws would all be the "
            "same at attempts.temperature=0: raise the temperature or set "
            "attempts.samples_per_problem=1"
        )
    available = attempts.num_problems * attempts.samples_per_problem
    if available < primitives.attempts_per_request:
        raise ConfigError(
            f"primitives.attempts_per_request={primitives.attempts_per_request} asks for more than "
            f"the {available} attempts of attempts.num_problems={attempts.num_problems} x "
            f"attempts.samples_per_problem={attempts.samples_per_problem}: raise "
            "attempts.num_problems"
        )


def _check_discovery(config: RunConfig) -> None:
    primitives = config.primitives
    k, candidates = primitives.num_primitives, primitives.num_candidates
    if candidates is not None and candidates < k:
        raise ConfigError(
            f"primitives.num_candidates={candidates} is less than primitives.num_primitives={k}, "
            "which are selected from them: raise primitives.num_candidates"
        )
    most = primitives.max_requests * primitives.primitives_per_request
    if most < (wanted := primitives.candidates):
        asked = f"primitives.num_candidates={wanted}"
        if candidates is None:
            asked = f"primitives.num_primitives={k} and a fifth more to choose from, {wanted},"
        raise ConfigError(
            f"{asked} cannot be reached with "
            f"primitives.max_requests={primitives.max_requests} x "
            f"primitives.primitives_per_request={primitives.primitives_per_request} = {most}: "
            "raise primitives.max_requests"
        )


def _check_library(config: RunConfig) -> None:
    from tailor_rl.primitives.library import read_library

    primitives = config.primitives
    num = len(read_library(Path(primitives.library)))
    if num < primitives.num_primitives:
        raise ConfigError(
            f"primitives.num_primitives={primitives.num_primitives} is more than the {num} of "
            f"primitives.library={primitives.library}: lower primitives.num_primitives"
        )


def _check_trial(config: RunConfig) -> None:
    primitives = config.primitives
    if primitives.min_trial_accuracy and not primitives.trial_problems:
        raise ConfigError(
            f"primitives.min_trial_accuracy={primitives.min_trial_accuracy:g} is never looked at "
            "with primitives.trial_problems=0: set primitives.trial_problems to 4 or more"
        )


def _check_match(config: RunConfig) -> None:
    demos = config.demonstrations
    if (demos.match == "none") != (demos.match_to == 0):
        raise ConfigError(
            f'demonstrations.match="{demos.match}" and demonstrations.match_to={demos.match_to} do '
            'not go together: name what is matched ("examples" or "tokens") and how many, or leave '
            "both out"
        )
    own = is_own(made_from(config)[-1])  # which may write several examples a query
    if demos.match == "examples" and demos.match_to > demos.num_problems and not own:
        raise ConfigError(
            f"demonstrations.match_to={demos.match_to} is more than "
            f"demonstrations.num_problems={demos.num_problems}, and there is one example a query: "
            "raise demonstrations.num_problems"
        )
    _check_keep(config)
    share = demos.correct_share
    if share is not None and share < 1.0 and demos.keep != "all":
        raise ConfigError(
            f"demonstrations.correct_share={share:g} needs wrong traces, and "
            f'demonstrations.keep="{demos.keep}" keeps one kind only: set demonstrations.keep="all"'
        )


def _check_keep(config: RunConfig) -> None:
    root, demos = made_from(config)[-1], config.demonstrations
    rounds = root == "four_star" and config.four_star.reading == "rounds"
    if demos.keep != "correct" and (rounds or root in ("rule_based", "rule_based_diverse")):
        raise ConfigError(
            f'demonstrations.keep="{demos.keep}" asks for wrong traces, and "{root}" has right '
            "ones only: leave demonstrations.keep out"
        )
    if root == "wrong_only" and demos.correct_share is not None:
        raise ConfigError(
            f"demonstrations.correct_share={demos.correct_share:g} needs right traces, and "
            'initialisation "wrong_only" has none: leave it out'
        )
