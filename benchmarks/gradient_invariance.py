"""How far the gradient of one step is from the plain one, for each way to cut a learner up.

    python -m benchmarks.gradient_invariance --out benchmarks/results/gradient-invariance.json

A cut is a number of ranks, a ZeRO stage, a token budget of micro-batches, padded or packed rows,
gradient checkpointing, and an attention. The plain gradient is that of one PyTorch model in float32
on the whole batch at once, padded on the other side, with the formulas written out
(tests/learner_reference.py). Given is |ours - plain| / |plain| over all parameters, of Adam's first
moments after the step, which are a tenth of the clipped gradient.

Named algorithms go the whole way from graded groups through advantages and scores, two steps, and
are compared with one rank that takes the batch at once (tests/learner_algorithms.py).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from learners.group import LearnerGroup
from tailor_rl.algorithms.algorithm import NAMES
from tailor_rl.config.learning import RLConfig, SFTConfig
from tailor_rl.runs.environment import describe_environment
from tests.learner_algorithms import step_of
from tests.learner_processes import RankProcesses
from tests.learner_reference import (
    CUTS,
    OPTIMIZER,
    VARIANTS,
    VARIED_CUTS,
    Cut,
    Loss,
    PlainLearner,
    Variant,
    make_batch,
    relative_difference,
)
from tests.tiny import make_student

BOUND = 1e-5
SUPERVISED = "supervised fine-tuning"
GRPO = {"algorithm": "grpo", "clip_high": 0.28, "kl_coefficient": 0.05}
POLICY = {"grpo with KL": Variant(GRPO, Loss(kl_coefficient=0.05)), **VARIANTS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows, named = asyncio.run(measure())
    found = [each["relative_difference"] for each in rows] + list(named.values())
    worst = max(value for each in found for value in each.values())
    document = {
        "command": "python -m benchmarks.gradient_invariance",
        "environment": describe_environment(),
        "bound": BOUND,
        "worst": worst,
        "cuts": rows,
        "named_algorithms": named,
    }
    text = json.dumps(document, indent=1)
    print(text)
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text + "\n")
    if worst > BOUND:
        raise SystemExit(f"a gradient is {worst:.1e} from the plain one, more than {BOUND:.0e}")


async def measure() -> tuple[list[dict[str, Any]], dict[str, dict[str, float]]]:
    """A row for each cut; all variants of the loss on some of them, for minutes and no hour. Then
    algorithm -> cut -> relative difference.
    """
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        student = make_student(Path(folder))
        processes = {num: RankProcesses(num) for num in sorted({cut.ranks for cut in CUTS})}
        try:
            for cut in CUTS:
                some = POLICY if cut in VARIED_CUTS else {"grpo with KL": POLICY["grpo with KL"]}
                rows.append(await measure_cut(processes[cut.ranks], student, cut, some))
            for cut in [each for each in VARIED_CUTS if each not in CUTS]:
                rows.append(await measure_cut(processes[cut.ranks], student, cut, POLICY))
            named = {name: await measure_named(name, processes, student) for name in NAMES}
        finally:
            for each in processes.values():
                each.close()
    return rows, named


async def measure_named(
    algorithm: str, processes: Mapping[int, RankProcesses], student: Path
) -> dict[str, float]:
    whole, *cuts = VARIED_CUTS
    wanted = await step_of(algorithm, whole, processes[whole.ranks], student)
    found = {}
    for cut in cuts:
        moments = await step_of(algorithm, cut, processes[cut.ranks], student)
        found[str(cut)] = float(f"{relative_difference(moments, wanted):.2e}")
    return found


async def measure_cut(
    processes: RankProcesses, student: Path, cut: Cut, variants: Mapping[str, Variant]
) -> dict[str, Any]:
    differences = {SUPERVISED: await supervised(processes, student, cut)}
    for name, variant in variants.items():
        differences[name] = await policy(processes, student, cut, variant)
    return {
        **asdict(cut),
        "relative_difference": {name: float(f"{d:.2e}") for name, d in differences.items()},
    }


async def supervised(processes: RankProcesses, student: Path, cut: Cut) -> float:
    plain = PlainLearner(student)
    plain.update(plain.sft_loss(make_batch(0)), 1e-3)
    group = await start(processes, student, cut, RLConfig())
    await group.begin_sft(num_steps=1)
    await group.sft_step(make_batch(0))
    return await distance(processes, plain)


async def policy(processes: RankProcesses, student: Path, cut: Cut, variant: Variant) -> float:
    batch, loss = make_batch(5, supervised=variant.supervised), variant.loss
    plain = PlainLearner(student)
    with torch.no_grad():
        before = plain.logprobs(batch, loss.temperature)
    plain.update(plain.policy_loss(batch, loss, reference=before, proximal=before), 1e-3)
    rl = RLConfig(**OPTIMIZER, temperature=loss.temperature, **variant.recipe)
    group = await start(processes, student, cut, rl)
    await group.begin_rl(num_steps=1)
    scores = await group.score(batch)
    batch = replace(
        batch,
        reference_logprobs=scores.reference_logprobs,
        proximal_logprobs=scores.learner_logprobs if loss.recomputed else None,
    )
    await group.policy_step(batch, kl_coefficient=loss.kl_coefficient)
    return await distance(processes, plain)


async def start(processes: RankProcesses, student: Path, cut: Cut, rl: RLConfig) -> LearnerGroup:
    settings = {name: value for name, value in asdict(cut).items() if name != "ranks"}
    handles = await processes.start(student=str(student), **settings)
    return LearnerGroup(handles, sft=SFTConfig(**OPTIMIZER), rl=rl)


async def distance(processes: RankProcesses, plain: PlainLearner) -> float:
    moments = (await processes.all("first_moments"))[0]
    return relative_difference(moments, plain.first_moments())


if __name__ == "__main__":
    main()
