"""SASR: the chance of a supervised step from gradients, drawn by seed, remembered."""

from __future__ import annotations

import json

import pytest

from tailor_rl.errors import ConfigError
from tailor_rl.methods.find import rl_method
from tailor_rl.methods.hooks import Beginning, Mix
from tailor_rl.methods.sasr import Sasr

SUPERVISED = Mix(policy=0.0, supervised=1.0)


def begun(gamma: float = 1.0, warm: float = 2.0) -> Sasr:
    method = Sasr(gamma=gamma)
    method.begin(Beginning(num_steps=9, max_tokens=9, warm_up={"grad_norm": warm, "loss": 1.0}))
    return method


def test_the_chance_is_the_last_gradient_among_both() -> None:
    method = begun(gamma=1.5, warm=2.0)
    assert method.supervised_chance == pytest.approx(2 / (2 + 1.5 * 2))
    method.learnt(1, SUPERVISED, {"grad_norm": 1.0})
    assert method.supervised_chance == pytest.approx(1 / (1 + 3))


def test_steps_of_rl_leave_the_chance_alone() -> None:
    method = begun()
    method.learnt(1, Mix(), {"grad_norm": 100.0})
    assert method.supervised_chance == 0.5


def test_vanished_gradients_leave_every_step_to_rl() -> None:
    method = begun(warm=0.0)
    assert method.supervised_chance == 0.0
    assert method.mix(1, seed=0) == Mix()


def test_supervised_steps_come_as_often_as_the_chance_says_and_by_seed() -> None:
    method = begun(gamma=3.0)  # p = 1/4
    mixes = [method.mix(1, seed=seed) for seed in range(2_000)]
    share = sum(mix == SUPERVISED for mix in mixes) / len(mixes)
    assert share == pytest.approx(0.25, abs=0.03)
    assert mixes == [method.mix(1, seed=seed) for seed in range(2_000)]
    assert set(mixes) == {SUPERVISED, Mix()}


def test_a_resumed_method_goes_on_with_the_last_gradient() -> None:
    first = begun()
    first.learnt(1, SUPERVISED, {"grad_norm": 0.3})
    second = begun()
    second.load(json.loads(json.dumps(dict(first.state()))))
    assert second.supervised_chance == first.supervised_chance != 0.5


def test_without_sft_there_is_nothing_to_compare_with() -> None:
    with pytest.raises(ConfigError, match="no SFT stage"):
        Sasr().begin(Beginning(num_steps=9, max_tokens=9))


def test_wrong_options_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"rl\.options\.gamma=0"):
        rl_method("sasr", {"gamma": 0})
    with pytest.raises(ConfigError, match="which is not set"):
        rl_method("", {"gamma": 1.0})
