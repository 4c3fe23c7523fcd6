"""Checkpoints of real DeepSpeed ranks: ordinary models, and an optimizer that any cut can go on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from learners.checkpoint import SavedOptimizer, load_counters, save_model, save_optimizer
from learners.group import LearnerGroup
from tailor_rl.config.learning import RLConfig, SFTConfig
from tailor_rl.errors import LearnerError
from tailor_rl.types import Batch, Update
from tests.learner_processes import RankProcesses
from tests.tiny import CHAT_TEMPLATE, VOCABULARY

OPTIMIZER = {"learning_rate": 1e-3, "warmup_steps": 2, "weight_decay": 0.01, "max_grad_norm": 0.5}
SFT = SFTConfig(**OPTIMIZER, schedule="cosine")
RL = RLConfig(**OPTIMIZER, algorithm="grpo", kl_coefficient=0.05, temperature=0.8)
PPO = RLConfig(**OPTIMIZER, algorithm="ppo", kl_coefficient=0.0)
Cut = tuple[int, int, str]  # ranks, ZeRO stage, dtype


def make_batch(seed: int) -> Batch:
    random = np.random.default_rng(seed)
    tokens = random.integers(3, VOCABULARY, (6, 24))
    mask = np.zeros(tokens.shape, dtype=np.bool_)
    mask[:, 4:] = True
    drawn = random.normal(size=(4, *tokens.shape)).astype(np.float32) * mask
    return Batch(
        tokens=tokens,
        mask=mask,
        rollout_logprobs=-5.5 * mask.astype(np.float32),
        advantages=drawn[0],
        lengths=np.full(6, 24, dtype=np.int64),
        returns=drawn[1],
    )


async def fresh(
    processes: dict[int, RankProcesses], student: Path, cut: Cut, *, rl: RLConfig = RL
) -> LearnerGroup:
    ranks, zero_stage, dtype = cut
    handles = await processes[ranks].start(
        student=str(student), zero_stage=zero_stage, dtype=dtype, micro_batch_tokens=60
    )
    return LearnerGroup(handles, sft=SFT, rl=rl)


async def learn(group: LearnerGroup, step: int) -> Update:
    batch = make_batch(step)
    scores = await group.score(batch)
    batch = replace(batch, reference_logprobs=scores.reference_logprobs, old_values=scores.values)
    return await group.policy_step(batch, kl_coefficient=0.05)


def timeless(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if "second" not in name}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((1, 0, "float32"), (2, 2, "float32")),
        ((2, 3, "float32"), (1, 0, "float32")),
        ((2, 1, "float32"), (2, 3, "float32")),
        ((2, 3, "float32"), (1, 3, "float32")),
        ((2, 1, "bfloat16"), (1, 2, "bfloat16")),
        ((1, 1, "bfloat16"), (2, 3, "bfloat16")),
    ],
)
async def test_a_checkpoint_goes_on_under_another_cut_and_says_so(
    processes: dict[int, RankProcesses], student: Path, tmp_path: Path, before: Cut, after: Cut
) -> None:
    group = await fresh(processes, student, before)
    await group.begin_rl(num_steps=10)
    for step in range(2):
        await learn(group, step)
    await group.save(tmp_path)
    saved = await group.version()
    straight = [await learn(group, step) for step in (2, 3, 4)]

    group = await fresh(processes, student, after)
    await group.begin_rl(num_steps=10)
    note = await group.restore(tmp_path)
    assert note is not None and "no longer bit for bit" in note
    for index, key in enumerate(("ranks", "zero_stage")):
        said = f"learner.{key} was {before[index]} and is {after[index]}"
        assert (said in note) == (before[index] != after[index])
    assert await group.version() == saved
    # Without the optimizer's state the first step after a resume would be ten times as long.
    rel = 1e-4 if before[2] == "float32" else 0.02
    for one in straight:
        other = await learn(group, one.step - 1)
        assert other.step == one.step
        for name in ("loss", "grad_norm", "learning_rate", "kl_reference"):
            expected = pytest.approx(one.metrics[name], rel=rel, abs=rel / 100)
            assert other.metrics[name] == expected, name


@pytest.mark.parametrize("cut", [(1, 0, "float32"), (2, 2, "float32"), (2, 3, "float32")])
async def test_a_restored_critic_goes_on_bit_by_bit(
    processes: dict[int, RankProcesses], student: Path, tmp_path: Path, cut: Cut
) -> None:
    group = await fresh(processes, student, cut, rl=PPO)
    await group.begin_rl(num_steps=10)
    for step in range(2):
        await learn(group, step)
    await group.save(tmp_path)
    straight = [timeless((await learn(group, step)).metrics) for step in (2, 3)]
    assert all(metrics["critic_grad_norm"] > 0 for metrics in straight)

    group = await fresh(processes, student, cut, rl=PPO)
    await group.begin_rl(num_steps=10)
    assert await group.restore(tmp_path) is None
    assert [timeless((await learn(group, step)).metrics) for step in (2, 3)] == straight


async def test_the_optimizer_is_whole_tensors_by_name_shared_out_over_the_ranks(
    processes: dict[int, RankProcesses], student: Path, tmp_path: Path
) -> None:
    cuts: list[Cut] = [(1, 0, "float32"), (2, 1, "float32"), (2, 3, "float32")]
    found = []
    for number, cut in enumerate(cuts):
        group = await fresh(processes, student, cut)
        await group.begin_sft(num_steps=4)
        await group.sft_step(make_batch(0))
        folder = tmp_path / str(number)
        await group.save(folder)
        tensors: dict[str, torch.Tensor] = {}
        files = sorted((folder / "learner").glob("policy-optimizer-*"))
        assert len(files) == cut[0]
        for path in files:
            with safe_open(path, framework="pt") as file:
                assert not set(file.keys()) & tensors.keys()
                tensors |= {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        found.append(tensors)
    first = found[0]
    assert first["model.norm.weight/exp_avg"].abs().sum() > 0
    assert all(float(t) == 1 for key, t in first.items() if key.endswith("/step"))
    for other in found[1:]:
        assert other.keys() == first.keys()
        for key, tensor in other.items():
            assert tensor.shape == first[key].shape, key
            difference = (tensor - first[key]).norm() / first[key].norm()
            # Adam's first step is as long for a gradient of rounding alone.
            assert difference < (1e-2 if key.endswith("/master") else 1e-4), key


async def test_a_checkpoint_holds_no_pickle_and_names_its_weights(
    processes: dict[int, RankProcesses], student: Path, tmp_path: Path
) -> None:
    group = await fresh(processes, student, (2, 2, "float32"))
    await group.begin_rl(num_steps=4)
    await learn(group, 0)
    await group.save(tmp_path)
    kinds = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert kinds == {".safetensors", ".json", ".jinja"}
    counters = load_counters(tmp_path)
    assert counters.version == await group.version()
    assert (counters.step, counters.stage_step, counters.layout.ranks) == (1, 1, 2)


async def test_a_checkpoint_before_the_first_step_can_be_gone_on_from(
    processes: dict[int, RankProcesses], student: Path, tmp_path: Path
) -> None:
    cuts: list[Cut] = [(1, 0, "float32"), (2, 2, "float32"), (2, 3, "float32")]
    for number, cut in enumerate(cuts):
        group = await fresh(processes, student, cut)
        await group.begin_sft(num_steps=4)
        await group.save(tmp_path / str(number))
        straight = timeless((await group.sft_step(make_batch(0))).metrics)
        group = await fresh(processes, student, cut)
        await group.begin_sft(num_steps=4)
        await group.restore(tmp_path / str(number))
        assert timeless((await group.sft_step(make_batch(0))).metrics) == straight


async def test_another_dtype_or_a_folder_without_learner_state_is_refused(
    processes: dict[int, RankProcesses], student: Path, tmp_path: Path
) -> None:
    group = await fresh(processes, student, (1, 1, "float32"))
    await group.begin_sft(num_steps=4)
    with pytest.raises(LearnerError, match=r"holds no learner state .* name a checkpoint"):
        await group.restore(student)
    await group.save(tmp_path)
    group = await fresh(processes, student, (1, 1, "bfloat16"))
    await group.begin_sft(num_steps=4)
    with pytest.raises(LearnerError, match=r"dtype = 'float32', this run has 'bfloat16'"):
        await group.restore(tmp_path)


async def test_without_a_reference_a_run_that_uses_one_does_not_go_on(
    processes: dict[int, RankProcesses], student: Path, tmp_path: Path
) -> None:
    plain = RL.model_copy(update={"kl_coefficient": 0.0})
    group = await fresh(processes, student, (1, 0, "float32"), rl=plain)
    await group.begin_rl(num_steps=4)
    await group.save(tmp_path)
    group = await fresh(processes, student, (1, 0, "float32"))
    await group.begin_rl(num_steps=4)
    with pytest.raises(LearnerError, match=r"holds no reference, .*rl\.kl_coefficient"):
        await group.restore(tmp_path)


def test_a_large_model_is_written_in_shards_that_transformers_loads(
    student: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(student, dtype=torch.float32)
    weights = {name: p.detach() for name, p in model.named_parameters()}
    tokenizer = AutoTokenizer.from_pretrained(student)
    save_model(tmp_path, weights, model=model, tokenizer=tokenizer, shard_bytes=60_000)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) > 2
    assert not (tmp_path / "model.safetensors").exists()
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert all(torch.equal(p, weights[name]) for name, p in loaded.named_parameters())
    assert AutoTokenizer.from_pretrained(tmp_path).chat_template == CHAT_TEMPLATE


def test_optimizer_tensors_in_several_files_are_found_by_name(tmp_path: Path) -> None:
    states = {f"w{i}": {"master": torch.full((50,), float(i)), "step": torch.tensor(7.0)}
              for i in range(9)}  # fmt: skip
    for rank in range(2):
        save_optimizer(tmp_path, states.items(), model="policy", rank=rank, ranks=2, part_bytes=300)
    assert len(list((tmp_path / "learner").iterdir())) == 5  # of rank 0: 2, 2, 1 tensors
    with SavedOptimizer(tmp_path, model="policy") as saved:
        for name, state in states.items():
            assert saved[name].keys() == {"master", "step"}
            assert torch.equal(saved[name]["master"], state["master"])
        with pytest.raises(LearnerError, match="no optimizer state of the parameter w9"):
            saved["w9"]


@pytest.mark.parametrize("cut", [(1, 0, "float32"), (2, 3, "float32"), (2, 1, "bfloat16")])
async def test_earlier_weights_come_back_under_a_newer_version_and_can_be_saved(
    processes: dict[int, RankProcesses], student: Path, tmp_path: Path, cut: Cut
) -> None:
    group = await fresh(processes, student, cut)
    await group.begin_sft(num_steps=6)
    for step in range(2):
        await group.sft_step(make_batch(step))
    best = await group.version()
    await group.save(tmp_path / "best")
    await group.sft_step(make_batch(2))

    last = await group.version()
    await group.load(tmp_path / "best", step=last.step + 1)
    await group.begin_sft(num_steps=6)
    handed = await group.version()
    assert (handed.step, handed.checksum) == (4, best.checksum) != (4, last.checksum)
    await group.save(tmp_path / "sft")

    group = await fresh(processes, student, cut)
    await group.begin_sft(num_steps=6)
    assert await group.restore(tmp_path / "sft") is None
    assert await group.version() == handed


async def test_rl_does_not_go_on_from_the_optimizer_of_sft(
    processes: dict[int, RankProcesses], student: Path, tmp_path: Path
) -> None:
    group = await fresh(processes, student, (1, 0, "float32"))
    await group.begin_sft(num_steps=3)
    await group.sft_step(make_batch(0))
    await group.save(tmp_path)
    await group.begin_rl(num_steps=3)
    with pytest.raises(LearnerError, match="is a checkpoint of sft, and rl cannot go on"):
        await group.restore(tmp_path)
