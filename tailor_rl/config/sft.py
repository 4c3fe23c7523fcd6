"""What in [sft] does not go together: a key without effect is as wrong as one that does harm."""

from __future__ import annotations

from tailor_rl.config.schema import RunConfig
from tailor_rl.errors import ConfigError


def check_sft(config: RunConfig) -> None:
    """Raises ConfigError in one sentence, with the keys and the fix."""
    sft = config.sft
    measured = sft.held_out or config.evaluation.every or sft.stop_at_accuracy is not None
    if sft.evaluate_every and not measured:
        raise ConfigError(
            f"sft.evaluate_every = {sft.evaluate_every} has nothing to measure: set sft.held_out "
            "for a loss, or evaluation.every for the accuracy on validation"
        )
    if sft.held_out and not sft.evaluate_every:
        raise ConfigError(
            f"sft.held_out = {sft.held_out} sets demonstrations aside that nothing is measured on: "
            "set sft.evaluate_every, or leave it out"
        )
    if sft.keep == "best" and not sft.evaluate_every and sft.stop_at_accuracy is None:
        raise ConfigError(
            'sft.keep = "best" needs measurements to choose by: set sft.evaluate_every'
        )
    if config.initialisation != "none" and sft.held_out >= config.demonstrations.num_problems:
        raise ConfigError(
            f"sft.held_out = {sft.held_out} would leave nothing of demonstrations.num_problems = "
            f"{config.demonstrations.num_problems} to train on: make it smaller"
        )
