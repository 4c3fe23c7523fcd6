"""Tokens a second of the learner's step against a plain PyTorch loop over the same tokens.

    OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 python -m benchmarks.learner_throughput \
        --out benchmarks/results/learner-throughput.json

Both run in the same processes and take turns, a step each, so that what else the machine does falls
on both; the figure of a cell is the median over its rounds of (plain seconds / our seconds), once
by the clock and once by the time that rank 0's processor worked, which other programs hardly move.
Cells are written when all of their ranks and ZeRO stage are done; one that is there already is not
measured again. The larger student takes minutes a step: --rounds 3, and --sequences 8 for one rank.

The plain loop is what one would write: rows as the data comes, right-padded to the longest of a
micro-batch, with an attention mask where there is padding, logits of all positions, a fused AdamW,
DistributedDataParallel over two ranks, and the entropy in RL that every framework reports. Tokens
are those of prompts and completions, without padding, over all ranks.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rank_processes import PROJECT, in_ranks, random_student
from tailor_rl.runs.environment import describe_environment

STUDENTS: dict[str, dict[str, int] | None] = {
    "tiny": None,  # the demo's student
    "20M": {
        "vocab_size": 8192, "hidden_size": 384, "intermediate_size": 1152,
        "num_hidden_layers": 9, "num_attention_heads": 6, "num_key_value_heads": 6,
    },
}  # fmt: skip
# Prompt and completion lengths at the 0th, 10th, ... 100th percentile of the demo's demonstrations.
DECILES = "benchmarks/results/demo-lengths.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", nargs="+", default=list(STUDENTS), choices=list(STUDENTS))
    parser.add_argument("--ranks", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--zero-stages", nargs="+", type=int, default=[0, 1, 2, 3])
    parser.add_argument("--kinds", nargs="+", default=["sft", "rl"], choices=["sft", "rl"])
    parser.add_argument("--data", nargs="+", default=["padded", "equal"])
    parser.add_argument("--sequences", type=int, default=32, help="of a step, over all ranks")
    parser.add_argument("--micro-batch-tokens", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    cells = json.loads(args.out.read_text())["cells"] if args.out.is_file() else {}
    with tempfile.TemporaryDirectory() as made:
        for student in args.students:
            folder = _student(student, Path(made))
            for ranks, stage in product(args.ranks, args.zero_stages):
                names = {
                    (kind, data): f"{student}/{ranks}/{stage}/{kind}/{data}/{args.sequences}"
                    for kind, data in product(args.kinds, args.data)
                }
                todo = [each for each, name in names.items() if name not in cells]
                if not todo:
                    continue
                commit = describe_environment()["git"]["commit"]
                settings = (args.sequences, args.micro_batch_tokens, args.rounds)
                results = in_ranks(measure, ranks, str(folder), stage, todo, *settings)
                for each, cell in zip(todo, results[0], strict=True):
                    cells[names[each]] = {"commit": commit, "rounds": args.rounds, **cell}
                    print(f"{names[each]:28} {cell['ratio']:.2f}x", flush=True)
                _write(args, cells)


def _student(name: str, made: Path) -> Path:
    shape = STUDENTS[name]
    if shape is None:
        return PROJECT / "students/knights-qwen2"
    return random_student(made / name, **shape)


def measure(
    common: dict[str, Any],
    student: str,
    zero_stage: int,
    cells: Sequence[tuple[str, str]],
    sequences: int,
    max_tokens: int,
    rounds: int,
) -> list[dict[str, Any]]:
    """In one rank: seconds of our step and of the plain one, in turn, for every cell."""
    import torch
    from transformers.utils import logging

    from learners.packing import shard_batch
    from learners.rank import LearnerRank
    from learners.settings import StageSettings
    from tailor_rl.algorithms.aggregation import token_mean
    from tailor_rl.config.learning import RLConfig, SFTConfig

    logging.set_verbosity_error()
    settings: dict[str, Any] = {"dtype": "float32", "micro_batch_tokens": max_tokens}
    settings |= {"gradient_checkpointing": False, "zero_stage": zero_stage}
    learner = LearnerRank(student=student, **settings, **common)
    plain = PlainLearner(student, num_ranks=common["world_size"], max_tokens=max_tokens)
    results = []
    for kind, data in cells:
        batch = make_batch(data, sequences, vocabulary=plain.vocabulary)
        weights = token_mean(batch.mask)
        ours = shard_batch(batch, weights, num_ranks=common["world_size"])[common["rank"]]
        rows = np.array_split(np.arange(sequences), common["world_size"])[common["rank"]]
        stage = SFTConfig() if kind == "sft" else RLConfig(algorithm="dapo")
        learner.begin(StageSettings(config=stage, num_steps=rounds + 2))

        def our_step(kind: str = kind, shard: Any = ours) -> None:
            learner.sft_step(shard) if kind == "sft" else learner.policy_step([shard], 0.0)

        def plain_step(kind: str = kind, batch: Any = batch, rows: Any = rows) -> None:
            plain.step(batch, rows, rl=kind == "rl")

        barrier = torch.distributed.barrier
        taken, worked = _in_turn([our_step, plain_step], rounds, barrier=barrier)
        tokens = int(batch.lengths.sum())
        results.append(
            {
                "ratio": _ratio(taken),
                "cpu_ratio": _ratio(worked),
                "ours_tokens_per_s": round(tokens / statistics.median(taken[0])),
                "plain_tokens_per_s": round(tokens / statistics.median(taken[1])),
                "padding": round(1 - tokens / (sequences * int(batch.lengths.max())), 3),
                "ours_s": [round(each, 4) for each in taken[0]],
                "plain_s": [round(each, 4) for each in taken[1]],
                "ours_cpu_s": [round(each, 4) for each in worked[0]],
                "plain_cpu_s": [round(each, 4) for each in worked[1]],
            }
        )
    return results


def _in_turn(
    steps: Sequence[Callable[[], None]], rounds: int, *, barrier: Callable[[], Any]
) -> tuple[list[list[float]], list[list[float]]]:
    """Seconds of each step in each round, of the clock and of this rank's processor; one round more
    comes first and is forgotten.
    """
    taken: list[list[float]] = [[] for _ in steps]
    worked: list[list[float]] = [[] for _ in steps]
    for _ in range(rounds + 1):
        for index, step in enumerate(steps):
            barrier()
            start, busy = time.perf_counter(), time.process_time()
            step()
            worked[index].append(time.process_time() - busy)
            barrier()
            taken[index].append(time.perf_counter() - start)
    return [each[1:] for each in taken], [each[1:] for each in worked]


def _ratio(seconds: Sequence[Sequence[float]]) -> float:
    """The median over rounds of plain / ours."""
    ours, plain = (np.array(each) for each in seconds)
    return round(float(np.median(plain / ours)), 3)


def make_batch(data: str, sequences: int, *, vocabulary: int) -> Any:
    """Random tokens in the order of a shuffled set; lengths of the demo, or all of its longest."""
    from tailor_rl.types import Batch

    random = np.random.default_rng(0)
    deciles = json.loads((PROJECT / DECILES).read_text())
    places = random.uniform(0, 10, sequences)
    prompts, answers = (
        np.interp(places, range(11), deciles[name]).astype(np.int64)
        for name in ("prompt", "completion")
    )
    if data == "equal":
        prompts[:], answers[:] = deciles["prompt"][5], deciles["completion"][5]
    lengths = prompts + answers
    columns = np.arange(lengths.max())
    mask = (columns >= prompts[:, None]) & (columns < lengths[:, None])
    zeros = np.zeros(mask.shape, dtype=np.float32)
    return Batch(
        tokens=random.integers(3, vocabulary, mask.shape),
        mask=mask,
        rollout_logprobs=zeros - 6 * mask,
        advantages=(random.normal(size=(sequences, 1)) * mask).astype(np.float32),
        lengths=lengths,
    )


class PlainLearner:
    """A training loop without DeepSpeed, packing or chunks."""

    def __init__(self, student: str, *, num_ranks: int, max_tokens: int) -> None:
        import torch
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(student, dtype=torch.float32)
        self.vocabulary = int(model.config.vocab_size)
        self._optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, fused=True)
        self._parameters = list(model.parameters())
        self._num_ranks, self._max_tokens = num_ranks, max_tokens
        self._model = model
        if num_ranks > 1:
            self._model = torch.nn.parallel.DistributedDataParallel(model)

    def step(self, batch: Any, rows: np.ndarray, *, rl: bool) -> None:
        """One update by the mean loss over all trained tokens of the batch."""
        import contextlib

        import torch

        size = max(1, self._max_tokens // int(batch.lengths.max()))
        parts = [rows[start : start + size] for start in range(0, len(rows), size)]
        scale = self._num_ranks / float(batch.mask.sum())
        for index, part in enumerate(parts):
            alone = self._num_ranks > 1 and index < len(parts) - 1
            with self._model.no_sync() if alone else contextlib.nullcontext():
                loss = self._policy_loss(batch, part) if rl else self._sft_loss(batch, part)
                (loss * scale).backward()
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad()

    def _logits(self, batch: Any, rows: np.ndarray) -> tuple[Any, Any, int]:
        import torch

        width = int(batch.lengths[rows].max())
        tokens = torch.from_numpy(batch.tokens[rows, :width])
        inputs = {"input_ids": tokens, "use_cache": False}
        if (batch.lengths[rows] < width).any():
            real = np.arange(width) < batch.lengths[rows, None]
            inputs["attention_mask"] = torch.from_numpy(real.astype(np.int64))
        return self._model(**inputs).logits[:, :-1], tokens[:, 1:], width

    def _sft_loss(self, batch: Any, rows: np.ndarray) -> Any:
        import torch

        logits, targets, width = self._logits(batch, rows)
        mask = torch.from_numpy(batch.mask[rows, 1:width])
        labels = torch.where(mask, targets, -100)
        return torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), reduction="sum"
        )

    def _policy_loss(self, batch: Any, rows: np.ndarray) -> Any:
        import torch

        logits, targets, width = self._logits(batch, rows)
        logprobs = logits.log_softmax(-1)
        with torch.no_grad():
            entropy = -(logprobs.exp() * logprobs).sum(-1)
            self.entropy = float(entropy[torch.from_numpy(batch.mask[rows, 1:width])].mean())
        own = logprobs.gather(-1, targets[..., None]).squeeze(-1)
        columns = {
            name: torch.from_numpy(getattr(batch, name)[rows, 1:width])
            for name in ("rollout_logprobs", "advantages", "mask")
        }
        ratio = (own - columns["rollout_logprobs"]).exp()
        gains = torch.minimum(
            ratio * columns["advantages"], ratio.clamp(0.8, 1.28) * columns["advantages"]
        )
        return -(gains * columns["mask"]).sum()


def _write(args: argparse.Namespace, cells: dict[str, Any]) -> None:
    document = {
        "command": "OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 python -m benchmarks.learner_throughput "
        f"--out {args.out}; larger students with fewer --sequences and --rounds, as each cell says",
        "environment": describe_environment(),
        "students": STUDENTS,
        "cells": cells,
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(document, indent=1) + "\n")
    args.out.with_suffix(".md").write_text(table(cells))


def table(cells: dict[str, Any]) -> str:
    head = ("student", "ranks", "ZeRO", "stage", "data", "sequences", "padding", "ours", "plain",
            "ratio", "by work")  # fmt: skip
    lines = [
        "# Tokens a second of the learner's step against a plain PyTorch loop",
        "",
        "Made by `benchmarks/learner_throughput.py`, where it says what the plain loop is.",
        "",
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
    ]
    for name, cell in cells.items():
        figures = f"{cell['ours_tokens_per_s']:,} | {cell['plain_tokens_per_s']:,}"
        columns = " | ".join(name.split("/"))
        ratios = f"{cell['ratio']:.2f} | {cell['cpu_ratio']:.2f}"
        lines.append(f"| {columns} | {cell['padding']:.0%} | {figures} | {ratios} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
