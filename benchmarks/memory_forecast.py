"""The memory forecast of `tailor run --dry-run` against what real ranks occupy on this machine.

    OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 python -m benchmarks.memory_forecast \
        --out benchmarks/results/memory-forecast.json

Each cell is a learner of new processes on a student with random weights: begin, a step, the weights
for the engines, another step. Measured is the highest resident memory of rank 0 after that begins,
less what Python, torch, DeepSpeed and transformers had occupied once they had run another model. A
cell that is in the file already is not measured again. Published models are added by their shapes,
without a measurement.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rank_processes import PROJECT, in_ranks, random_student
from tailor_rl.config.learning import LearnerConfig, LoRAConfig
from tailor_rl.config.memory import RankMemory
from tailor_rl.config.shape import read_shape, shape_of
from tailor_rl.runs.environment import describe_environment

STUDENTS = {
    "12M": {
        "vocab_size": 4096, "hidden_size": 384, "intermediate_size": 1024,
        "num_hidden_layers": 6, "num_attention_heads": 6, "num_key_value_heads": 6,
    },
    "38M": {
        "vocab_size": 16384, "hidden_size": 512, "intermediate_size": 1408,
        "num_hidden_layers": 10, "num_attention_heads": 8, "num_key_value_heads": 4,
    },
}  # fmt: skip
# As in their config.json: hidden, intermediate, layers, heads, key/value heads.
PUBLISHED = {
    "Qwen2.5-0.5B": (896, 4864, 24, 14, 2),
    "Qwen2.5-1.5B": (1536, 8960, 28, 12, 2),
    "Qwen2.5-3B": (2048, 11008, 36, 16, 2),
}
SHORT, LONG = (64, 64), (2048, 256)  # tokens of a micro-batch, and of a sequence
CELLS: dict[str, dict[str, Any]] = {
    "1 rank, ZeRO 0": {},
    "1 rank, ZeRO 1": {"zero_stage": 1},
    "1 rank, ZeRO 2": {"zero_stage": 2},
    "1 rank, ZeRO 3": {"zero_stage": 3},
    "2 ranks, ZeRO 0": {"ranks": 2},
    "2 ranks, ZeRO 1": {"ranks": 2, "zero_stage": 1},
    "2 ranks, ZeRO 2": {"ranks": 2, "zero_stage": 2},
    "2 ranks, ZeRO 3": {"ranks": 2, "zero_stage": 3},
    "1 rank, ZeRO 1, bfloat16": {"zero_stage": 1, "dtype": "bfloat16"},
    "2 ranks, ZeRO 2, bfloat16": {"ranks": 2, "zero_stage": 2, "dtype": "bfloat16"},
    "1 rank, LoRA 8": {"lora": 8},
    "1 rank, 2,048 tokens": {"pass": LONG},
    "1 rank, 2,048 tokens, checkpointing": {"pass": LONG, "gradient_checkpointing": True},
    "1 rank, 2,048 tokens, bfloat16, ZeRO 2": {
        "pass": LONG, "dtype": "bfloat16", "zero_stage": 2,
    },
    "1 rank, reference": {"algorithm": "grpo"},
    "1 rank, critic": {"algorithm": "ppo"},
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", nargs="+", default=list(STUDENTS), choices=list(STUDENTS))
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    measured = json.loads(args.out.read_text())["measured"] if args.out.is_file() else {}
    with tempfile.TemporaryDirectory() as made:
        for student in args.students:
            folder = random_student(Path(made) / student, **STUDENTS[student])
            for name, cell in CELLS.items():
                if f"{student}, {name}" not in measured:
                    row = compare(folder, cell)
                    measured[f"{student}, {name}"] = row
                    print(f"{student}, {name:40} {row['ratio']:.2f}", flush=True)
                    _write(args.out, measured)


def compare(student: Path, cell: dict[str, Any]) -> dict[str, Any]:
    """Forecast and measurement of one cell, in MiB, and measured / forecast."""
    tokens, length = cell.get("pass", SHORT)
    learner = LearnerConfig(
        ranks=cell.get("ranks", 1),
        zero_stage=cell.get("zero_stage", 0),
        dtype=cell.get("dtype", "float32"),
        micro_batch_tokens=tokens,
        gradient_checkpointing=cell.get("gradient_checkpointing", False),
        lora=LoRAConfig(rank=cell.get("lora", 0)),
    )
    shape = read_shape(str(student))
    assert shape is not None, student
    algorithm = cell.get("algorithm")
    memory = RankMemory(
        learner, shape, tokens, reference=algorithm is not None, critic=algorithm == "ppo"
    )
    values = learner.model_dump(include={"zero_stage", "dtype", "micro_batch_tokens"})
    values |= {"gradient_checkpointing": learner.gradient_checkpointing, "lora": learner.lora}
    peak = in_ranks(measure, learner.ranks, str(student), values, algorithm, length)[0]
    parts = {name: size for name, size in memory.parts.items() if name != "process"}
    forecast = sum(parts.values())
    return {
        "parameters": shape.parameters,
        "forecast_mib": round(forecast / 2**20, 1),
        "measured_mib": round(peak / 2**20, 1),
        "ratio": round(peak / forecast, 3),
        "parts_mib": {name: round(size / 2**20, 1) for name, size in parts.items()},
    }


def measure(
    common: dict[str, Any],
    student: str,
    settings: dict[str, Any],
    algorithm: str | None,
    length: int,
) -> int:
    """In one rank: bytes that it occupied at most above what the libraries take."""
    from learners.packing import Shard
    from learners.rank import LearnerRank
    from learners.settings import StageSettings
    from tailor_rl.config.learning import RLConfig, SFTConfig

    before = _libraries()
    learner = LearnerRank(student=student, **settings, **common)
    config = RLConfig(algorithm=algorithm) if algorithm else SFTConfig()
    learner.begin(StageSettings(config=config, num_steps=3))
    shape = (max(1, 2 * settings["micro_batch_tokens"] // length), length)
    random = np.random.default_rng(0)
    mask = np.zeros(shape, dtype=np.bool_)
    mask[:, length // 4 :] = True
    zeros = np.zeros(shape, dtype=np.float32)
    shard = Shard(
        tokens=random.integers(3, 500, shape),
        mask=mask,
        rollout_logprobs=zeros - 6 * mask,
        advantages=zeros + mask,
        weights=(mask / mask.sum()).astype(np.float32),
        lengths=np.full(shape[0], length),
        rows=np.arange(shape[0]),
        old_values=zeros,
        returns=zeros,
    )
    for _ in range(2):
        learner.policy_step([shard], 0.0) if algorithm else learner.sft_step(shard)
        learner.version()
    return _status("VmHWM") - before


def _libraries() -> int:
    """Resident memory once everything has been imported, and has run a small model."""
    import gc

    import deepspeed  # noqa: F401
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(PROJECT / "students/knights-qwen2")
    model(input_ids=torch.zeros((1, 8), dtype=torch.long)).logits.sum().backward()
    del model
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # forget the highest so far
    return _status("VmRSS")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def published() -> dict[str, Any]:
    """Bytes a parameter of weights, gradients and optimizer: mixed-precision Adam is commonly said
    to take 16; gradients added up in float32, as ours are, make it 18.
    """
    rows = {}
    for name, (hidden, intermediate, layers, heads, kv_heads) in PUBLISHED.items():
        config = {
            "model_type": "qwen2", "vocab_size": 151_936, "tie_word_embeddings": True,
            "hidden_size": hidden, "intermediate_size": intermediate,
            "num_hidden_layers": layers, "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
        }  # fmt: skip
        shape = shape_of(config)
        assert shape is not None
        learner = LearnerConfig(
            zero_stage=2, dtype="bfloat16", gpus_per_rank=1, gradient_checkpointing=True
        )
        parts = RankMemory(learner, shape, 16_384).parts
        states = sum(parts[part] for part in ("weights", "gradients", "optimizer"))
        rows[name] = {
            "parameters": shape.parameters,
            "bytes_a_parameter": round(states / shape.parameters, 2),
            "parts_gib": {part: round(size / 2**30, 2) for part, size in parts.items()},
        }
    return rows


def _write(path: Path, measured: dict[str, Any]) -> None:
    document = {
        "command": "OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 python -m benchmarks.memory_forecast "
        f"--out {path}",
        "environment": describe_environment(),
        "measured": measured,
        "published": published(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
