"""[rl]: which algorithm a recipe means, in words, and what does not go together."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tailor_rl.algorithms import aggregation, estimators, kl, losses, ratios
from tailor_rl.algorithms.algorithm import (
    AGGREGATIONS,
    CLIPPINGS,
    ESTIMATORS,
    KL_ESTIMATES,
    NAMES,
    RATIOS,
)
from tailor_rl.algorithms.corrections import PRESETS
from tailor_rl.cli_plan import plan_lines
from tailor_rl.config.algorithms import (
    algorithm_in_words,
    resolve_algorithm,
    resolve_correction,
)
from tailor_rl.config.checks import check_options
from tailor_rl.config.learning import RLConfig
from tailor_rl.config.load import load_config
from tailor_rl.config.rl import check_rl
from tailor_rl.errors import ConfigError
from tests.small_recipes import TWO_CORES, refused, write_recipe

ROOT = Path(__file__).resolve().parents[2]
OWN = """
from tailor_rl.algorithms.aggregation import sequence_mean
from tailor_rl.algorithms.algorithm import Algorithm
from tailor_rl.algorithms.estimators import generalised, group_centred

HALF = Algorithm(estimate=lambda outcome: group_centred(outcome), aggregate=sequence_mean)
LONELY = Algorithm(estimate=generalised, aggregate=sequence_mean)
NUMBER = 3
"""


@pytest.mark.parametrize("name", NAMES)
def test_every_named_algorithm_passes_as_it_is(tmp_path: Path, name: str) -> None:
    check_options(load_config(write_recipe(tmp_path), [f"rl.algorithm={name}"]))


@pytest.mark.parametrize(
    "overrides",
    [
        ["rl.algorithm=reinforce_pp", "rl.group_size=1"],
        ["rl.algorithm=ppo", "rl.group_size=1", "rl.critic_warmup_steps=5", "rl.gae_lambda=0.9"],
        ["rl.algorithm=reinforce_pp", "rl.gamma=0.99"],
        ["rl.advantage=generalised", "rl.value_clip=0.3", "rl.epochs_per_step=2"],
        ["rl.correction=token_is", "rl.logprobs=recomputed", "rl.correction_high=5"],
        ["rl.correction=sequence_mask", "rl.correction_low=0.9", "rl.correction_high=1.1"],
        ["rl.algorithm=cispo", "rl.clip_low=10"],
        ["rl.clip_dual=3", "rl.clip_low=0.1"],
        ["rl.algorithm=grpo", "rl.kl_target=0.05"],
        ["rl.kl_coefficient=0.01", "rl.kl_in=reward", "rl.kl_estimate=k1"],
        ["rl.overlong_filtering=true"],
        ["rl.overlong_buffer=16"],
    ],
)
def test_what_goes_together_passes(tmp_path: Path, overrides: list[str]) -> None:
    check_options(load_config(write_recipe(tmp_path), overrides))


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["rl.algorithm=grop"], ['rl.algorithm = "grop"', 'did you mean "grpo"?', "file.py:NAME"]),
        (["rl.algorithm=q2z7"], ['rl.algorithm = "q2z7" is unknown: choose one of grpo, dapo']),
        (["rl.algorithm=GSPO"], ['did you mean "gspo"?']),
        (
            ["rl.correction=token_is"],
            ['rl.correction="token_is"', 'rl.logprobs="stored"', 'set rl.logprobs="recomputed"'],
        ),
        (["rl.correction=icepop"], ['rl.correction="icepop"', 'rl.logprobs="recomputed"']),
        (
            ["rl.correction=sequence_mask", "rl.correction_low=1.2"],
            ["rl.correction_low=1.2", "rl.correction_high=1.01"],
        ),
        (["rl.correction_high=2"], ["rl.correction_high=2.0", 'rl.correction="none"']),
        (
            ["rl.correction=token_is", "rl.logprobs=recomputed", "rl.correction_low=0.5"],
            ["rl.correction_low=0.5 has no effect", "token_is"],
        ),
        (["rl.group_size=1"], ["rl.group_size=1", 'rl.algorithm="dapo"', "whitened_returns"]),
        (
            ["rl.group_size=1", "rl.advantage=leave_one_out"],
            ["rl.group_size=1", 'rl.advantage="leave_one_out"'],
        ),
        (
            ["rl.group_size=1", "rl.advantage=whitened_returns"],
            ["rl.group_size=1", 'rl.algorithm="dapo"', "rl.dynamic_sampling=false"],
        ),
        (
            ["rl.group_size=1", "rl.algorithm=ppo", "rl.dynamic_sampling=true"],
            ["rl.group_size=1", "rl.dynamic_sampling=true would wait for ever"],
        ),
        (["rl.clip_low=1.5"], ["rl.clip_low=1.5", "below 1"]),
        (["rl.clipping=ppo", "rl.algorithm=cispo"], ["rl.clip_low=1", "below 1"]),
        (["rl.clip_dual=1.2"], ["rl.clip_dual=1.2", "1 + rl.clip_high=1.28"]),
        (
            ["rl.clipping=none", "rl.clip_high=0.3"],
            ["rl.clip_high=0.3 has no effect", 'rl.clipping="none"'],
        ),
        (["rl.algorithm=cispo", "rl.clip_dual=3"], ["rl.clip_dual=3.0", 'rl.algorithm="cispo"']),
        (["rl.clipping=none", "rl.epochs_per_step=2"], ["rl.epochs_per_step=2", "rl.clipping"]),
        (["rl.kl_target=0.1"], ["rl.kl_target=0.1", 'rl.algorithm="dapo"', "rl.kl_coefficient"]),
        (
            ["rl.algorithm=grpo", "rl.kl_target=0.1", "rl.kl_coefficient=0"],
            ["rl.kl_target=0.1", "rl.kl_coefficient=0.0 has no KL term"],
        ),
        (["rl.algorithm=grpo", "rl.kl_estimate=k1"], ['rl.kl_estimate="k1"', "0 on average"]),
        (
            ["rl.algorithm=maxrl", "rl.kl_coefficient=0.1", "rl.kl_in=reward"],
            ['rl.kl_in="reward"', 'rl.algorithm="maxrl"'],
        ),
        (["rl.kl_estimate=k2"], ['rl.kl_estimate="k2" has no effect', "rl.kl_coefficient"]),
        (["rl.kl_in=reward"], ['rl.kl_in="reward" has no effect', "rl.kl_coefficient"]),
        (
            ["rl.algorithm=grpo", "rl.kl_horizon=5"],
            ["rl.kl_horizon=5 has no effect", "rl.kl_target"],
        ),
        (
            ["rl.keep_best=true", "evaluation.every=0"],
            ["rl.keep_best=true", "evaluation.every=0 makes none"],
        ),
        (["rl.gamma=0.9"], ["rl.gamma=0.9 has no effect", 'rl.algorithm="dapo"']),
        (["rl.gae_lambda=0.9"], ["rl.gae_lambda=0.9 has no effect", "no critic"]),
        (
            ["rl.algorithm=reinforce_pp", "rl.gae_lambda=0.9"],
            ["rl.gae_lambda=0.9", 'rl.algorithm="reinforce_pp"'],
        ),
        (["rl.critic_learning_rate=1e-3"], ["rl.critic_learning_rate=0.001", "no critic"]),
        (["rl.critic_warmup_steps=2"], ["rl.critic_warmup_steps=2", "no critic"]),
        (["rl.algorithm=ppo", "rl.critic_warmup_steps=100"], ["rl.num_steps=100", "lower"]),
        (
            ["rl.overlong_filtering=true", "rl.overlong_buffer=16"],
            ["rl.overlong_buffer=16", "rl.overlong_filtering=true", "spares"],
        ),
        (["rl.method=sasrr"], ["rl.method", "sasrr"]),
        (["sft.method=peer"], ["sft.method", "peer"]),
        (
            ["sft.method=uds", "sft.options.candidates=x"],
            ["sft.method = 'uds'", "candidates='x'", "correct their names and types"],
        ),
    ],
)
def test_what_does_not_go_together_is_one_sentence_with_the_fix(
    tmp_path: Path, overrides: list[str], parts: list[str]
) -> None:
    said = refused(write_recipe(tmp_path), *overrides)
    assert [part for part in parts if part not in said] == [], said


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {},
            "dapo: group_normalised, token ratio, ppo clip 0.2/0.28, token_mean, no KL, dynamic "
            "sampling",
        ),
        (
            {"algorithm": "grpo", "kl_target": 0.05, "clip_dual": 3.0},
            "grpo: group_normalised, token ratio, ppo clip 0.2/0.2, dual 3, sequence_mean, KL k3 x "
            "0.001 in the loss towards 0.05 nats a token",
        ),
        (
            {"algorithm": "gspo", "logprobs": "recomputed", "correction": "icepop"},
            "gspo: group_normalised, sequence ratio, ppo clip 0.0003/0.0004, sequence_mean, no KL, "
            "correction icepop 0.5/5, recomputed log-probabilities",
        ),
        (
            {"algorithm": "ppo", "overlong_filtering": True, "entropy_coefficient": 0.01},
            "ppo: generalised, token ratio, ppo clip 0.2/0.2, token_mean, KL k1 x 0.01 in the "
            "reward, critic (gamma 1, lambda 0.95), overlong filtering, entropy bonus 0.01",
        ),
        (
            {"algorithm": "cispo"},
            "cispo: group_normalised, token ratio, cispo clip from above 0.2, token_mean, no KL",
        ),
        (
            {"algorithm": "rloo", "clipping": "none", "overlong_buffer": 8},
            "rloo: leave_one_out, token ratio, no clip, sequence_sum, KL k1 x 0.001 in the reward, "
            "overlong buffer 8",
        ),
    ],
)
def test_an_algorithm_in_words_names_every_part_that_runs(
    given: dict[str, Any], words: str
) -> None:
    assert algorithm_in_words(RLConfig(**given)) == words


def test_the_plan_says_which_algorithm_will_run(tmp_path: Path) -> None:
    config = load_config(write_recipe(tmp_path), ["rl.algorithm=dr_grpo"])
    assert any(
        line.strip() == algorithm_in_words(config.rl)
        for line in plan_lines(config, ("test",), TWO_CORES)
    )


def test_every_part_of_an_algorithm_can_be_replaced_by_its_key() -> None:
    algorithm = resolve_algorithm(
        RLConfig(
            algorithm="grpo",
            advantage="group_centred",
            ratio="sequence",
            clipping="cispo",
            aggregation="constant",
            clip_low=0.1,
            clip_high=0.4,
            kl_coefficient=0.5,
            kl_estimate="k2",
            kl_in="reward",
            dynamic_sampling=True,
        )
    )
    assert algorithm.estimate is estimators.group_centred
    assert algorithm.ratio is ratios.sequence_ratio
    assert algorithm.clipping is losses.cispo
    assert algorithm.aggregate is aggregation.constant
    assert algorithm.clips == losses.Clips(low=0.1, high=0.4)
    assert algorithm.kl_coefficient == 0.5
    assert algorithm.kl_estimate is kl.k2
    assert algorithm.kl_in == "reward"
    assert algorithm.dynamic_sampling and not algorithm.critic


@pytest.mark.parametrize(
    ("key", "known"),
    [
        ("advantage", ESTIMATORS),
        ("ratio", RATIOS),
        ("clipping", CLIPPINGS),
        ("aggregation", AGGREGATIONS),
        ("kl_estimate", KL_ESTIMATES),
        ("correction", {"none": None, **PRESETS}),
    ],
)
def test_a_recipe_may_name_every_part_that_there_is(key: str, known: dict[str, Any]) -> None:
    schema = json.dumps(RLConfig.model_json_schema()["properties"][key])
    assert [name for name in known if f'"{name}"' not in schema] == []
    for name in known:
        RLConfig(**{key: name})


def test_a_critic_comes_and_goes_with_the_advantage_that_needs_it() -> None:
    assert resolve_algorithm(RLConfig(advantage="generalised")).critic
    assert not resolve_algorithm(RLConfig(algorithm="ppo", advantage="group_normalised")).critic


def test_a_correction_keeps_its_bounds_where_the_recipe_says_none() -> None:
    assert resolve_correction(RLConfig()) is None
    preset = resolve_correction(RLConfig(correction="icepop", correction_high=4.0))
    assert preset is not None
    assert (preset.bounds.low, preset.bounds.high) == (0.5, 4.0)


def test_an_algorithm_of_ones_own_is_found_beside_the_recipe_and_run(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    config = load_config(write_recipe(tmp_path), ["rl.algorithm=own.py:HALF", "rl.clip_low=0.3"])
    check_options(config)
    assert config.rl.algorithm == f"{tmp_path}/own.py:HALF"
    algorithm = resolve_algorithm(config.rl)
    assert algorithm.aggregate is aggregation.sequence_mean
    assert algorithm.clips.low == 0.3
    assert algorithm_in_words(config.rl).startswith("own.py:HALF: <lambda>, token ratio")


def test_a_file_that_changes_under_a_run_changes_no_algorithm(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    rl = RLConfig(algorithm=f"{tmp_path}/own.py:HALF")
    before = resolve_algorithm(rl)
    (tmp_path / "own.py").write_text(OWN.replace("sequence_mean", "token_mean"))
    assert resolve_algorithm(rl) == before


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("own.py:NUMBER", "is of type int: it must name an Algorithm"),
        ("own.py:NOBODY", "defines no 'NOBODY'"),
        ("nowhere.py:HALF", "there is no file nowhere.py"),
        ("own.py:LONELY", "needs the values of a critic: say critic=True"),
    ],
)
def test_a_wrong_algorithm_of_ones_own_is_one_sentence(
    tmp_path: Path, name: str, part: str
) -> None:
    (tmp_path / "own.py").write_text(OWN)
    assert part in refused(write_recipe(tmp_path), f"rl.algorithm={name}")


def test_the_examples_algorithm_learns_from_what_beats_its_group_alone() -> None:
    config = load_config(ROOT / "examples/own_algorithm/best_of_group.toml")
    check_options(config)
    algorithm = resolve_algorithm(config.rl)
    mask = np.ones((4, 2), dtype=np.bool_)
    made = algorithm.estimate(
        estimators.Outcome(
            rewards_B=np.array([1.0, 0.0, 0.0, 0.0]),
            groups_B=np.zeros(4, dtype=np.int64),
            mask_BT=mask,
            penalties_BT=np.zeros((4, 2), dtype=np.float32),
            values_BT=None,
            gamma=1.0,
            lam=1.0,
        )
    )
    # The deviation of 1, 0, 0, 0 is sqrt(3) / 4.
    assert made.advantages_BT[0].tolist() == pytest.approx([3**0.5] * 2, rel=1e-4)
    assert not made.advantages_BT[1:].any()
    assert "above_the_mean" in algorithm_in_words(config.rl)


def test_the_refts_recipe_is_the_papers_where_it_can_be() -> None:
    config = load_config(ROOT / "recipes/reft.toml")
    check_options(config)
    algorithm = resolve_algorithm(config.rl)
    assert algorithm.critic and algorithm.kl_in == "reward"
    assert (algorithm.kl_coefficient, algorithm.gamma, algorithm.lam) == (0.05, 1.0, 0.95)
    assert config.rl.epochs_per_step == 2
    # A right answer can be read, too: 1 for it, 0.1 for a wrong one that can be read.
    assert sum(config.reward.weights.values()) == pytest.approx(1.0)
    assert config.reward.weights["format"] == 0.1


def test_checking_a_recipe_needs_no_torch(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "from tailor_rl.config.checks import check_options\n"
        "from tailor_rl.config.load import load_config\n"
        f"check_options(load_config(pathlib.Path({str(write_recipe(tmp_path))!r})))\n"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True
    )
    assert result.stdout.strip() == "[]", result.stderr


def test_an_algorithm_is_checked_where_a_config_is_made_by_hand() -> None:
    with pytest.raises(ConfigError, match=r"rl\.gamma=0\.5"):
        check_rl(RLConfig(gamma=0.5))
