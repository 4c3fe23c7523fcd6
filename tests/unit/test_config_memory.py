"""The memory forecast: numbers worked by hand, published models, and what is said of too much."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tailor_rl.cli_plan import plan_lines
from tailor_rl.config.learning import LearnerConfig, LoRAConfig
from tailor_rl.config.load import load_config
from tailor_rl.config.machine import check_machine
from tailor_rl.config.memory import CHUNK, FLOAT, RankMemory, rank_memory
from tailor_rl.config.schema import RunConfig
from tailor_rl.config.shape import Shape, read_shape
from tailor_rl.config.shape import shape_of as shape_in
from tailor_rl.errors import ConfigError
from tailor_rl.runs.environment import Machine
from tests.small_recipes import TWO_CORES, write_recipe

# As published in their config.json.
QWEN = {
    494_032_768: (896, 4864, 24, 14, 2),
    1_543_714_304: (1536, 8960, 28, 12, 2),
    3_085_938_688: (2048, 11008, 36, 16, 2),
}
LLAMA_1B = {
    "model_type": "llama", "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
    "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64, "vocab_size": 128256,
    "tie_word_embeddings": True,
}  # fmt: skip
SMALL = Shape(
    hidden=4, intermediate=8, layers=2, heads=2, kv_heads=1, head_dim=2, vocabulary=10, tied=True,
    biased=False,
)  # fmt: skip
# q 16, k 8, v 8, o 16, gate, up, down 32 each, two norms of 4; embedding 40, last norm 4.
SMALL_PARAMETERS = 2 * (16 + 8 + 8 + 16 + 3 * 32 + 8) + 40 + 4


def shape_of(hidden: int, intermediate: int, layers: int, heads: int, kv_heads: int) -> Shape:
    shape = shape_in(
        {
            "model_type": "qwen2",
            "hidden_size": hidden,
            "intermediate_size": intermediate,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "vocab_size": 151_936,
            "tie_word_embeddings": True,
        }
    )
    assert shape is not None
    return shape


def parts(shape: Shape = SMALL, *, tokens: int = 3, **learner: Any) -> dict[str, int]:
    memory = RankMemory(LearnerConfig(**learner), shape, tokens)
    assert memory.total == sum(memory.parts.values())
    return memory.parts


@pytest.mark.parametrize("parameters", list(QWEN))
def test_published_models_have_their_published_number_of_parameters(parameters: int) -> None:
    assert shape_of(*QWEN[parameters]).parameters == parameters


def test_a_llama_has_no_biases_and_may_have_heads_of_a_width_of_their_own() -> None:
    shape = shape_in(LLAMA_1B)
    assert shape is not None and shape.parameters == 1_235_814_400
    assert SMALL.parameters == SMALL_PARAMETERS == 348


@pytest.mark.parametrize("zero_stage", [2, 3])
def test_mixed_precision_adam_takes_about_16_bytes_a_parameter_and_2_more_for_float32_gradients(
    zero_stage: int,
) -> None:
    shape = shape_of(*QWEN[3_085_938_688])
    held = parts(shape, zero_stage=zero_stage, dtype="bfloat16", gpus_per_rank=1)
    states = sum(held[name] for name in ("weights", "gradients", "optimizer"))
    assert states / shape.parameters == pytest.approx(18, rel=0.02)


def test_each_zero_stage_shares_out_one_thing_more() -> None:
    held = [parts(zero_stage=stage, ranks=2) for stage in range(4)]
    size = FLOAT * 348
    assert [each["weights"] for each in held] == [size, size, size, size // 2]
    embedding = FLOAT * 40  # a tied one has two gradients for a moment
    assert [each["gradients"] - embedding for each in held] == [size, size, size // 2, size // 2]
    # No master weights where the weights are float32 themselves.
    assert [each["optimizer"] for each in held] == [
        2 * size,
        3 * size // 2,
        3 * size // 2,
        3 * size // 2,
    ]
    assert [each["exchange"] for each in held] == [size, 2 * size, 2 * size, 4 * size]


def test_activations_are_those_that_torch_saves() -> None:
    """Of a block 4 * 4 + 2 * 6 + 4 * 8 = 60 numbers and 2 * 4 + 2 + 2 in float32: 288 bytes."""
    slack = 1.5  # of the CPU's allocator
    assert parts()["activations"] == slack * 3 * (2 * 288 + 4 * 16 + 2 * 4 * 12)
    assert parts(gpus_per_rank=1)["activations"] == 3 * (2 * 288 + 64 + 96)
    kept = parts(gradient_checkpointing=True)["activations"]
    assert kept == slack * 3 * (2 * 16 + 288 + 64 + 96)
    assert parts()["logits"] == 3 * FLOAT * 30
    assert parts(tokens=CHUNK)["logits"] == 3 * FLOAT * CHUNK


def test_adapters_leave_gradients_and_optimizer_of_adapters_alone() -> None:
    lora = LoRAConfig(rank=2, targets=("q_proj", "layers.0.mlp.down_proj"))
    num = 2 * 2 * ((4 + 4) + (8 + 4))
    assert SMALL.adapters(lora) == num
    held = parts(lora=lora)
    assert held["gradients"] == FLOAT * num and held["optimizer"] == 2 * FLOAT * num
    assert held["weights"] == FLOAT * 348
    every = SMALL.adapters(LoRAConfig(rank=1))
    assert every == 2 * ((4 + 4) + 2 * (4 + 2) + (4 + 4) + 3 * (4 + 8))


def test_a_critic_is_trained_too_and_a_reference_is_not_copied_beside_adapters() -> None:
    learner = LearnerConfig()
    both = RankMemory(learner, SMALL, 3, reference=True, critic=True).parts
    assert both["reference"] == FLOAT * 348
    assert both["critic"] > 4 * FLOAT * 348
    adapted = LearnerConfig(lora=LoRAConfig(rank=2))
    assert "reference" not in RankMemory(adapted, SMALL, 3, reference=True).parts


@pytest.mark.parametrize("config", [{}, {"model_type": "mamba"}, {"model_type": "qwen2"}, []])
def test_of_other_architectures_nothing_is_forecast_or_refused(
    tmp_path: Path, config: object
) -> None:
    assert read_shape(str(tmp_path)) is None
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert read_shape(str(tmp_path)) is None
    recipe = load_config(write_recipe(tmp_path), [f"student={tmp_path}"])
    assert any("not known" in line for line in plan_lines(recipe, ("test",), TWO_CORES))
    check_machine(recipe, TWO_CORES)


def recipe_for(tmp_path: Path, config: dict[str, Any], *overrides: str) -> RunConfig:
    (tmp_path / "config.json").write_text(json.dumps(config))
    return load_config(write_recipe(tmp_path), [f"student={tmp_path}", *overrides])


def test_the_largest_micro_batch_of_rl_is_reckoned_with(tmp_path: Path) -> None:
    recipe = recipe_for(tmp_path, LLAMA_1B, "rl.algorithm=ppo", "learner.micro_batch_tokens=100")
    shape = read_shape(recipe.student)
    assert shape is not None
    memory = rank_memory(recipe, shape)
    assert (memory.tokens, memory.critic, memory.reference) == (512, True, True)
    few = recipe_for(tmp_path, LLAMA_1B, "sft.batch_size=1", "rl.groups_per_step=1")
    assert rank_memory(few, shape).tokens == 4 * 512


@pytest.mark.parametrize(
    ("overrides", "machine", "key"),
    [
        (("learner.ranks=2",), TWO_CORES, "learner.zero_stage=1"),
        (("learner.ranks=1",), TWO_CORES, "learner.lora.rank=16"),
        (
            ("learner.gpus_per_rank=1", "learner.ranks=2", "learner.zero_stage=1"),
            Machine(cores=2, gpus=2, memory_gib=64.0, gpu_gib=8.0),
            "learner.zero_stage=2",
        ),
        (
            ("learner.gpus_per_rank=0.5", "learner.lora.rank=8"),
            Machine(cores=2, gpus=1, memory_gib=64.0, gpu_gib=8.0),
            "learner.zero_stage=3",
        ),
    ],
)
def test_what_cannot_fit_is_refused_with_the_key_that_helps(
    tmp_path: Path, overrides: tuple[str, ...], machine: Machine, key: str
) -> None:
    recipe = recipe_for(tmp_path, LLAMA_1B, *overrides)
    with pytest.raises(ConfigError) as caught:
        check_machine(recipe, machine)
    text = str(caught.value)
    assert key in text and "GiB" in text and "\n" not in text


def test_a_target_of_no_layer_is_refused_before_the_start(tmp_path: Path) -> None:
    room = Machine(cores=2, gpus=0, memory_gib=64.0)
    for target in ("q_proj", "layers.3.mlp.up_proj"):
        targets = f'learner.lora.targets=["{target}"]'
        check_machine(recipe_for(tmp_path, LLAMA_1B, "learner.lora.rank=4", targets), room)
    wrong = recipe_for(tmp_path, LLAMA_1B, "learner.lora.rank=4", 'learner.lora.targets=["query"]')
    with pytest.raises(ConfigError, match=r"names 'query', which is no .* choose from q_proj, k_p"):
        check_machine(wrong, room)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (['learner.lora.targets=["q_proj"]'], r"no effect with learner\.lora\.rank=0"),
        (["learner.lora.rank=4", "learner.lora.targets=[]"], r"targets=\[\] leaves nothing to t"),
    ],
)
def test_targets_without_adapters_and_adapters_without_targets_are_refused(
    tmp_path: Path, overrides: list[str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        check_machine(recipe_for(tmp_path, LLAMA_1B, *overrides), TWO_CORES)


def test_what_fits_is_shown_and_what_only_smaller_passes_fit_is_warned_of(tmp_path: Path) -> None:
    room = Machine(cores=2, gpus=0, memory_gib=64.0)
    recipe = recipe_for(tmp_path, LLAMA_1B)
    lines = plan_lines(recipe, ("test",), room)
    table = [line for line in lines if "GiB" in line]
    assert [line.split()[0] for line in table[1:5]] == [
        "weights",
        "gradients",
        "optimizer",
        "exchange",
    ]
    assert table[1].split()[1:] == ["4.60", "GiB"]
    assert "are needed" in table[-1] and ":" not in table[-1]
    tight = Machine(cores=2, gpus=0, memory_gib=48.0)
    check_machine(recipe, tight)
    said = [line for line in plan_lines(recipe, ("test",), tight) if "are needed" in line]
    assert "smaller" in said[0] and "learner.gradient_checkpointing=true" in said[0]
