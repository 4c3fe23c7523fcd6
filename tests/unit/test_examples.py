"""Examples: what each SFT step is trained on, with and without a method that has a say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tailor_rl.config.learning import SFTConfig
from tailor_rl.config.load import load_config
from tailor_rl.methods.find import sft_method
from tailor_rl.methods.hooks import SFTMethod
from tailor_rl.seeds import derive_seed
from tailor_rl.stages import examples as examples_module
from tailor_rl.stages.examples import Examples
from tailor_rl.types import Batch
from tests.fakes import FakeLearner, FakeTokens
from tests.method_fakes import demonstration

ROOT = Path(__file__).parents[2]
DEMONSTRATIONS = [demonstration(i, "x" * (i + 1)) for i in range(10)]  # told apart by length


class KeepLongest(SFTMethod):
    """Of two candidates for each example the longer ones; counts what it took."""

    candidates_per_example = 2
    needs_behaviour = True

    def __init__(self, *, behaviour: str = "") -> None:
        self.behaviour = behaviour
        self.taken = 0

    def select(self, features_BF: np.ndarray, *, num: int) -> np.ndarray:
        self.taken += num
        return np.sort(np.argsort(-features_BF[:, 0])[:num])

    def state(self) -> dict[str, int]:
        return {"taken": self.taken}

    def load(self, state: object) -> None:
        assert isinstance(state, dict)
        self.taken = state["taken"]


class ScoringLearner(FakeLearner):
    """The log-probability of a token is minus its place in the sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Path | None] = []

    async def logprobs_of(self, folder: Path | None, batch: Batch) -> np.ndarray:
        self.asked.append(folder)
        places = -np.arange(batch.tokens.shape[1], dtype=np.float32)
        return np.where(batch.mask, places, np.float32(0.0))


def make(method: str = "", *, learner: FakeLearner | None = None, **sft: object) -> Examples:
    cfg = SFTConfig.model_validate({"epochs": 3, "batch_size": 4, "method": method, **sft})
    return Examples(
        DEMONSTRATIONS, cfg=cfg, learner=learner or FakeLearner(), tokens=FakeTokens(), seed=3
    )


def kept(name: str) -> str:
    return f"{KeepLongest.__module__}:{name}"


async def lengths(examples: Examples, step: int) -> list[int]:
    batch = await examples.batch(step)
    return [int(n) - 1 for n in batch.mask.sum(axis=1)]  # without the end of turn


async def test_every_demonstration_comes_once_an_epoch_in_an_order_of_the_epochs_own() -> None:
    examples = make()
    assert (examples.steps_an_epoch, examples.num_steps) == (3, 9)
    epochs = [[await lengths(examples, 3 * e + s) for s in (1, 2, 3)] for e in range(3)]
    assert [[len(batch) for batch in epoch] for epoch in epochs] == [[4, 4, 2]] * 3
    flat = [[n for batch in epoch for n in batch] for epoch in epochs]
    assert all(sorted(epoch) == list(range(1, 11)) for epoch in flat)
    assert len({tuple(epoch) for epoch in flat}) == 3


async def test_the_order_is_that_of_the_seed_and_the_epoch() -> None:
    order = np.random.default_rng(derive_seed(3, "sft", 1)).permutation(10)
    assert await lengths(make(), 5) == [int(i) + 1 for i in order[4:8]]


async def test_a_step_does_not_depend_on_those_before() -> None:
    examples = make()
    whole = [await lengths(examples, step) for step in range(1, 10)]
    assert await lengths(make(), 8) == whole[7]


async def test_the_number_of_steps_may_be_given() -> None:
    examples = make(num_steps=5)
    assert (examples.steps_an_epoch, examples.num_steps) == (3, 5)


async def test_a_method_selects_among_twice_as_many_and_so_an_epoch_takes_half_the_steps() -> None:
    examples = make(kept("KeepLongest"))
    assert (examples.steps_an_epoch, examples.num_steps) == (2, 6)
    order = np.random.default_rng(derive_seed(3, "sft", 0)).permutation(10) + 1
    first, second = await lengths(examples, 1), await lengths(examples, 2)
    assert sorted(first) == sorted(order[:8])[4:]
    assert second == [max(order[8:])]
    assert examples.state() == {"taken": 5}


async def test_what_a_method_remembers_is_loaded() -> None:
    examples = make(kept("KeepLongest"))
    examples.load({"taken": 7})
    await examples.batch(1)
    assert examples.state() == {"taken": 11}


async def test_behaviour_stands_where_the_trace_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples_module, "SCORED_TOGETHER", 3)
    learner = ScoringLearner()
    examples = make(kept("KeepLongest"), learner=learner)
    await examples.prepare()
    assert learner.asked == [None] * 4  # of the student itself, three at a time
    batch = await examples.batch(1)
    places = -np.arange(batch.tokens.shape[1], dtype=np.float32)
    assert (batch.rollout_logprobs == np.where(batch.mask, places, 0)).all()


async def test_behaviour_is_taken_from_the_folder_that_is_named() -> None:
    learner = ScoringLearner()
    examples = make(kept("KeepLongest"), learner=learner, options={"behaviour": "a/model"})
    await examples.prepare()
    assert learner.asked == [Path("a/model")]


async def test_plain_sft_asks_for_no_scores() -> None:
    learner = ScoringLearner()
    examples = make(learner=learner)
    await examples.prepare()
    assert learner.asked == []
    assert not (await examples.batch(1)).rollout_logprobs.any()


@pytest.mark.parametrize("recipe", ["pear", "uds", "sasr", "prefix_rft"])
def test_every_methods_recipe_is_the_demo_with_the_method(recipe: str) -> None:
    demo, own = (
        load_config(ROOT / f"recipes/{name}.toml") for name in ("demo", f"methods/{recipe}")
    )
    assert recipe in (own.sft.method, own.rl.method)
    same = {"sft": demo.sft, "rl": demo.rl}
    assert own.model_copy(update=same) == demo


def test_a_method_of_ones_own_is_one_file_beside_a_recipe() -> None:
    cfg = load_config(ROOT / "examples/own_method/focal.toml").sft
    method = sft_method(cfg.method, cfg.options)
    half = torch.log(torch.tensor([0.75, 0.0001]))
    weights = method.token_weights(half, half, torch.zeros(2, dtype=torch.long))
    assert weights is not None
    assert weights.tolist() == pytest.approx([0.5, 1.0], abs=1e-4)  # sqrt(1 - p)


def test_a_method_that_overrides_nothing_says_nothing_and_takes_the_first() -> None:
    method = SFTMethod()
    features = method.features(torch.ones(3, 5), torch.zeros(3, dtype=torch.int64))
    assert features.shape == (0,)
    assert method.select(np.zeros((4, 0)), num=2).tolist() == [0, 1]
    assert method.token_weights(*[torch.zeros(1)] * 3) is None
    assert method.extra_losses(*[torch.zeros(1)] * 3) is None
