"""The plan: what a run will spend, told before it starts."""

from __future__ import annotations

from pathlib import Path

from tailor_rl.cli_plan import plan_lines
from tailor_rl.config.forecast import forecast
from tailor_rl.config.load import load_config
from tests.small_recipes import TWO_CORES, write_recipe


def test_the_forecast_multiplies_what_the_recipe_says(tmp_path: Path) -> None:
    config = load_config(write_recipe(tmp_path), ["rl.num_steps=20", "evaluation.every=10"])
    cost = forecast(config, ("train", "validation", "test", "ood/people-4"))
    assert cost.attempt_rollouts == 64 * 4
    assert cost.rl_rollouts == 20 * 8 * 4
    assert cost.evaluation_rollouts == 3 * 2 * 200 * (8 + 1) + 3 * 64 * 8
    assert cost.teacher_requests == (512 + 1, 512 * 3 + 64)
    assert cost.sft_steps == 4 * 8


def test_a_run_without_a_teacher_forecasts_no_requests(tmp_path: Path) -> None:
    config = load_config(write_recipe(tmp_path), ["initialisation=rule_based"])
    assert forecast(config, ("test",)).teacher_requests == (0, 0)
    assert not any("teacher" in line for line in plan_lines(config, ("test",), TWO_CORES))


def test_the_forecast_has_room_for_what_the_screen_refuses_and_the_teacher_writes_again(
    tmp_path: Path,
) -> None:
    asked = ["primitives.max_requests=8", "primitives.primitives_per_request=4"]
    config = load_config(write_recipe(tmp_path), [*asked, "primitives.trial_problems=2"])
    cost = forecast(config, ("test",))
    assert cost.screen_requests == 2 * (8 * 4 + 1)  # and once without a primitive
    assert cost.teacher_requests == (512 + 1, 512 * 3 + 8 + cost.screen_requests)


def test_the_forecast_counts_the_looks_at_validation_during_sft(tmp_path: Path) -> None:
    def looks(*changes: str) -> int:
        config = load_config(write_recipe(tmp_path), ["evaluation.every=10", *changes])
        cost = forecast(config, ("test",))
        return cost.sft_validation_rollouts // (64 * 8)

    assert looks() == 0
    assert looks("sft.evaluate_every=5") == 7  # of 32 steps; after the last one too
    assert looks("sft.evaluate_every=5", "sft.stop_at_accuracy=0.5") == 6
    assert looks("sft.stop_at_accuracy=0.5") == 4  # epochs
