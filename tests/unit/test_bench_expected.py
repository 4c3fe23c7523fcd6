"""What a grid will cost, with every shared part counted once."""

from __future__ import annotations

from collections.abc import Mapping

from tailor_rl.bench.cells import Cell
from tailor_rl.bench.expected import GridCost, grid_cost
from tailor_rl.config.forecast import forecast
from tailor_rl.config.schema import RunConfig
from tests.lives import make_config

SPLITS = ("train", "validation", "test", "ood/people-4")


def cost_of(recipes: Mapping[str, RunConfig]) -> GridCost:
    cells = [
        Cell(f"{name}-seed-1", "", {"arm": name}, 1, config) for name, config in recipes.items()
    ]
    return grid_cost(cells, {name: forecast(config, SPLITS) for name, config in recipes.items()})


def test_one_cell_costs_what_its_run_does() -> None:
    config = make_config()
    alone = forecast(config, SPLITS)
    cost = cost_of({"a": config})
    assert (cost.rollouts, cost.sft_steps) == (alone.rollouts, alone.sft_steps)
    assert cost.teacher_requests == alone.teacher_requests
    assert not cost.shared


def test_what_differs_in_rl_alone_adds_rl_and_what_follows_it() -> None:
    config = make_config()
    first = forecast(config, SPLITS)
    grpo = config.model_copy(update={"rl": config.rl.model_copy(update={"algorithm": "grpo"})})
    cost = cost_of({"dapo": config, "grpo": grpo})
    rl = first.rl_rollouts + first.evaluation_rollouts - 2 * first.examination_rollouts
    assert cost.rollouts == first.rollouts + rl
    assert cost.sft_steps == first.sft_steps
    assert cost.teacher_requests == first.teacher_requests
    assert cost.shared == {"base": 1, "set": 1, "sft": 1}


def test_a_first_run_that_is_an_arm_costs_nothing_again() -> None:
    ruled, distilled = (make_config(initialisation=name) for name in ("rule_based", "re_distill"))
    first, second = forecast(ruled, SPLITS), forecast(distilled, SPLITS)
    cost = cost_of({"ruled": ruled, "distilled": distilled})
    assert second.rl_rollouts == 2 * first.rl_rollouts
    assert second.sft_steps == 2 * first.sft_steps
    assert cost.shared["first_run"] == 1
    assert cost.sft_steps == 2 * first.sft_steps
    apart = first.rollouts + second.rollouts - cost.rollouts
    assert apart == first.rl_rollouts + second.first_validation_rollouts + (
        second.examination_rollouts if "base" in cost.shared else 0
    )
