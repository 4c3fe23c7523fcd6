"""What a recipe will cost in rollouts, steps and teacher requests. Arithmetic on the recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tailor_rl.config.needs import (
    asks_teachers,
    made_from,
    needs_attempts,
    needs_primitives,
    needs_teacher,
)
from tailor_rl.config.schema import RunConfig
from tailor_rl.methods.find import sft_method


@dataclass(frozen=True, slots=True)
class Forecast:
    """Counts over the whole run. Dynamic sampling may add to `rl_rollouts`.

    What an initialisation of the user's own does on the way is not known, and left out.
    """

    attempt_rollouts: int
    sampled_rollouts: int  # of policies that write their own set: STaR's rounds, re-distillation
    discovery_requests: int  # at most
    screen_requests: int  # at most: trials, and a guard's verdicts
    demonstrations: int
    demonstration_requests: tuple[int, int]  # at least, at most
    sft_steps: int
    rl_rollouts: int  # those of a first run too
    evaluation_rollouts: int
    # Of these: RL and validation of a first run, SFT on the way to the set, one stage's
    # evaluation, validation while SFT goes on.
    first_rl_rollouts: int
    first_validation_rollouts: int
    making_sft_steps: int
    examination_rollouts: int
    sft_validation_rollouts: int  # at most

    @property
    def rollouts(self) -> int:
        return (
            self.attempt_rollouts
            + self.sampled_rollouts
            + self.rl_rollouts
            + self.evaluation_rollouts
        )

    @property
    def teacher_requests(self) -> tuple[int, int]:
        """At least (every first try succeeds) and at most."""
        least, most = self.demonstration_requests
        most += self.discovery_requests + self.screen_requests
        return least + min(1, self.discovery_requests), most


def forecast(config: RunConfig, splits: Sequence[str]) -> Forecast:
    """`splits` are the task's: test and out of distribution are measured after every stage."""
    rl, evaluation = config.rl, config.evaluation
    warm = config.initialisation != "none"
    names = made_from(config)
    ood = evaluation.ood_splits
    if ood is None:
        ood = tuple(split for split in splits if split.startswith("ood/"))
    stages = 3 if warm else 2  # base, SFT, RL
    answers = evaluation.samples_per_problem + evaluation.greedy
    examined = answers * sum(map(evaluation.problems_of, ("test", *ood)))
    validated = evaluation.problems_of("validation") * evaluation.samples_per_problem
    first_steps = (config.re_distill.num_steps or rl.num_steps) if "re_distill" in names else 0
    validations, first_validations = (
        validated * (steps // evaluation.every + 1) if evaluation.every and steps else 0
        for steps in (rl.num_steps, first_steps)
    )
    per_step = rl.groups_per_step * rl.group_size
    sft_steps, times = _sft_steps(config), _times_of_sft(config, names) if warm else 0
    looked = validated * _looks(config, sft_steps) if warm else 0
    attempts = config.attempts
    return Forecast(
        attempt_rollouts=(
            attempts.num_problems * attempts.samples_per_problem if needs_attempts(config) else 0
        ),
        sampled_rollouts=_sampled(config, names),
        discovery_requests=config.primitives.max_requests if needs_attempts(config) else 0,
        screen_requests=_screened(config) if needs_primitives(config) else 0,
        demonstrations=_kept(config) if warm else 0,
        demonstration_requests=_demonstrated(config, names) if needs_teacher(config) else (0, 0),
        sft_steps=times * sft_steps,
        rl_rollouts=(rl.num_steps + first_steps) * per_step,
        evaluation_rollouts=stages * examined + validations + first_validations + looked,
        first_rl_rollouts=first_steps * per_step,
        first_validation_rollouts=first_validations,
        making_sft_steps=max(0, times - 1) * sft_steps,
        examination_rollouts=examined,
        sft_validation_rollouts=looked,
    )


def _kept(config: RunConfig) -> int:
    demos = config.demonstrations
    return demos.match_to if demos.match == "examples" else demos.num_problems


def _sampled(config: RunConfig, names: Sequence[str]) -> int:
    queries, rollouts = config.demonstrations.num_problems, 0
    if "re_distill" in names:
        rollouts += queries * config.re_distill.samples_per_problem
    if names[-1] == "four_star" and config.four_star.reading == "rounds":
        rollouts += queries * config.four_star.samples_per_problem * config.four_star.num_rounds
    return rollouts


def _screened(config: RunConfig) -> int:
    primitives = config.primitives
    candidates = primitives.candidates
    if not primitives.library:  # what the screen refuses is asked for again
        candidates = primitives.max_requests * primitives.primitives_per_request
    trials = primitives.trial_problems * (candidates + 1)
    return trials + (2 * candidates if primitives.guard else 0)


def _demonstrated(config: RunConfig, names: Sequence[str]) -> tuple[int, int]:
    if not asks_teachers(config):
        return 0, 0
    demos = config.demonstrations
    times = 2 if names[-1] == "shuffled_primitives" else 1  # once to see which primitive fits
    return times * demos.num_problems, times * demos.num_problems * demos.max_tries


def _sft_steps(config: RunConfig) -> int:
    """Of one time through the set."""
    if config.sft.num_steps is not None:
        return config.sft.num_steps
    method = sft_method(config.sft.method, config.sft.options)
    candidates = config.sft.batch_size * method.candidates_per_example
    return config.sft.epochs * -(-_kept(config) // candidates)


def _looks(config: RunConfig, steps: int) -> int:
    """At validation while the last SFT goes on; at most, where SFT may end early."""
    sft = config.sft
    if sft.stop_at_accuracy is not None:
        return steps // sft.evaluate_every if sft.evaluate_every else sft.epochs
    every = sft.evaluate_every if config.evaluation.every else 0
    return -(-steps // every) if every else 0


def _times_of_sft(config: RunConfig, names: Sequence[str]) -> int:
    times = 1 + ("re_distill" in names)
    if names[-1] == "four_star" and config.four_star.reading == "rounds":
        times += config.four_star.num_rounds - 1
    return times
