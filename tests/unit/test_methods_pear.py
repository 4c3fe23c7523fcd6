"""PEAR's weights against hand-worked numbers, and that sequences leave each other alone."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from tailor_rl.errors import ConfigError
from tailor_rl.methods.check import check_behaviour
from tailor_rl.methods.find import sft_method
from tailor_rl.methods.pear import Pear

ROOT = Path(__file__).parents[2]

# delta = learner - behaviour = 0.2, -0.1 (held at -0.08), 0.8 (held at 0.3)
LEARNER = torch.tensor([-1.0, -0.5, -0.2])
BEHAVIOUR = torch.tensor([-1.2, -0.4, -1.0])
ONE = torch.zeros(3, dtype=torch.long)


def weights(method: Pear, copies: int = 1) -> list[float]:
    sequences = torch.arange(copies).repeat_interleave(3)
    return method.token_weights(
        LEARNER.repeat(copies), BEHAVIOUR.repeat(copies), sequences
    ).tolist()


def test_a_token_weighs_what_the_policy_thinks_of_the_rest_of_the_trace() -> None:
    assert weights(Pear(gamma=0.5)) == pytest.approx(
        [0.25 * math.exp(-0.08 + 0.3), 0.5 * math.exp(0.3), 1.0]
    )
    assert weights(Pear(gamma=0.5)) == pytest.approx([0.311519, 0.674929, 1.0], abs=1e-6)


def test_a_block_weighs_what_follows_it() -> None:
    assert weights(Pear(variant="block", block_size=2, gamma=0.5)) == pytest.approx(
        [0.674929, 0.674929, 1.0], abs=1e-6
    )
    assert weights(Pear(variant="block", block_size=1, gamma=0.5)) == weights(Pear(gamma=0.5))
    assert weights(Pear(variant="block", block_size=99, gamma=0.5)) == [1.0, 1.0, 1.0]


def test_a_sequence_weighs_its_whole_ratio() -> None:
    assert weights(Pear(variant="sequence")) == pytest.approx([math.exp(0.42)] * 3)


@pytest.mark.parametrize("variant", ["token", "block", "sequence"])
def test_sequences_beside_each_other_change_nothing(variant: str) -> None:
    method = Pear(variant=variant, gamma=0.5, block_size=2)  # type: ignore[arg-type]
    assert weights(method, copies=4) == pytest.approx(weights(method) * 4)


def test_weights_are_held_between_their_bounds() -> None:
    learner, behaviour = torch.zeros(200), torch.full((200,), -5.0)
    up = Pear(gamma=1.0).token_weights(learner, behaviour, torch.zeros(200, dtype=torch.long))
    assert (up[0].item(), up[-1].item()) == (10.0, 1.0)
    down = Pear(gamma=1.0).token_weights(behaviour, learner, torch.zeros(200, dtype=torch.long))
    assert down[0].item() == pytest.approx(0.1)


def test_a_writer_that_thinks_alike_leaves_plain_sft() -> None:
    method = Pear(gamma=1.0)
    assert method.token_weights(LEARNER, LEARNER, ONE).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"variant": "word"}, "variant='word'"),
        ({"gamma": 0.0}, "gamma=0.0"),
        ({"delta_low": 0.1}, "delta_low=0.1"),
        ({"weight_low": 0.0}, "weight_low=0.0"),
        ({"block_size": 0}, "block_size=0"),
        ({"gama": 0.9}, "gama"),
    ],
)
def test_wrong_options_are_refused_by_name(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        sft_method("pear", options)


def test_a_stand_in_for_the_writer_must_share_the_students_vocabulary() -> None:
    knights, countdown = (
        str(ROOT / "students/knights-qwen2"),
        str(ROOT / "students/countdown-qwen2"),
    )
    check_behaviour(knights, student=knights)
    with pytest.raises(ConfigError, match="same tokenizer"):
        check_behaviour(countdown, student=knights)
    with pytest.raises(ConfigError, match="is no folder"):
        check_behaviour("nowhere", student=knights)
