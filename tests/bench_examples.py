"""Made-up but lifelike figures of a study's cells, and the study they belong to. Deterministic."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tailor_rl.bench.figures import CellFigures, Measured, SetFacts, Solved
from tailor_rl.bench.findings import Results
from tailor_rl.bench.report import Asked, Reply
from tailor_rl.bench.results import make_results
from tailor_rl.bench.study import Study, settings_of
from tailor_rl.seeds import derive_seed

# arm -> accuracy after SFT, gain in RL, share of right traces (None: there is no SFT)
ARMS: Mapping[str, tuple[float, float, float | None]] = {
    "tailor": (0.36, 0.34, 0.97),
    "rule_based": (0.38, 0.20, 1.0),
    "standard_cot": (0.33, 0.24, 0.95),
    "four_star": (0.30, 0.22, 1.0),
    "re_distill": (0.35, 0.21, 1.0),
    "none": (0.16, 0.19, None),
}
HARDER = {"knights": 0.0, "igsm": 0.08}
STEPS = tuple(range(0, 61, 10))
OOD = ("ood/people-4", "ood/depth-5")


def example_study(
    *,
    num_arms: int = 6,
    num_seeds: int = 5,
    tasks: Sequence[str] = ("knights", "igsm"),
    **changes: Any,
) -> Study:
    """Compares tailor with each other arm, with one claim and one trend, unless `changes` say."""
    arms = list(ARMS)[:num_arms]
    comparisons: list[dict[str, Any]] = [{"arm": "tailor", "against": a} for a in arms[1:]]
    if comparisons:
        claim = {"claim": "tailor is 15 to 30 points over rule_based", "low": 0.15, "high": 0.3}
        comparisons[0] |= claim
        comparisons.append(
            {"arm": "tailor", "against": arms[1], "figure": "rl ood pass@1", "setting": "all"}
        )
    trends = [{"arms": [arms[3], arms[1], arms[0]], "claim": "a rise"}] if num_arms > 3 else []
    table: dict[str, Any] = {
        "question": "Which initialisation should RL start from?",
        "recipe": "demo.toml",
        "seeds": list(range(1, num_seeds + 1)),
        "arms": {arm: {"initialisation": arm} for arm in arms},
        "tasks": {task: {"task": {"name": task}} for task in tasks},
        "thresholds": [0.5],
        "comparisons": comparisons,
        "trends": trends,
        "single_seed": num_seeds < 2,
    }
    return Study.model_validate(table | changes)


def two_arms(num_seeds: int = 3, **changes: Any) -> Study:
    return example_study(num_arms=2, num_seeds=num_seeds, tasks=(), **changes)


def four_arms() -> Study:
    return example_study(num_arms=4, num_seeds=3, tasks=())


def example_plan(study: Study, *additions: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [
        {
            "time": "2026-11-02T08:00:00+00:00",
            "seeds": list(study.seeds),
            "arms": list(study.arms),
            "comparisons": [each.model_dump(mode="json") for each in study.comparisons],
            "trends": [each.model_dump(mode="json") for each in study.trends],
            "thresholds": list(study.thresholds),
        },
        *additions,
    ]


def example_cells(study: Study, *, ood: bool = True) -> list[CellFigures]:
    """A finished run for each setting, arm and seed of the study."""
    return [
        example_cell(setting, arm, seed, ood=ood)
        for setting in settings_of(study)
        for arm in study.arms
        for seed in study.seeds
    ]


def example_cell(setting: str, arm: str, seed: int, *, ood: bool = True) -> CellFigures:
    # A seed's luck is common to all arms, as with the same prompts in the same order.
    luck = np.random.default_rng(derive_seed(seed, "luck", setting)).normal(0, 0.02)
    rng = np.random.default_rng(derive_seed(seed, "cell", setting, arm))
    start, gain, right = ARMS[arm]
    start += float(luck) + float(rng.normal(0, 0.015)) - HARDER.get(setting, 0.0)
    gain += float(rng.normal(0, 0.015))
    curve = _curve(rng, start, gain)
    set_facts = None
    if right is not None:
        tokens = int(60_000 + rng.integers(-4_000, 4_000))
        set_facts = SetFacts(512, 512, tokens, right, 32, 2 * tokens)
    rl = {"rollouts": curve[-1].rollouts, "generated_tokens": curve[-1].generated_tokens}
    rl |= {"learner_tokens": curve[-1].learner_tokens, "seconds": curve[-1].seconds}
    figures = _figures(rng, start, gain, sft=right is not None, ood=ood)
    return CellFigures(
        cell=f"{setting}/{arm}/seed-{seed}",
        setting=setting,
        arm=arm,
        seed=seed,
        figures=figures,
        curve=curve,
        training=_training(rng, gain),
        making=_making(arm) if right is not None else {},
        sft={"learner_tokens": 120_000.0, "seconds": 30.0} if right is not None else {},
        rl=rl,
        set_facts=set_facts,
        forecast=gain + float(rng.normal(0, 0.04)),
        commit="45bd5bf",
        versions={"tailor_rl": "0.6.0", "python": "3.11.9", "vllm": "0.11.0"},
        solved=_solved(figures),
    )


def _solved(figures: Mapping[str, float]) -> dict[str, Solved]:
    """Forty problems of a split, of which the first twenty are two to a family."""
    found = {}
    for name, value in figures.items():
        stage, _, rest = name.partition(" ")
        split, _, metric = rest.partition(" ")
        if stage in ("sft", "rl") and metric == "pass@1" and split != "ood":
            away = [0.3 * (-1) ** (i // 2) * min(value, 1 - value) for i in range(40)]
            families = [i // 2 if i < 20 else i - 10 for i in range(40)]
            shares = tuple(value + each for each in away)
            found[f"{stage} {split}"] = Solved(f"problems of {split}", tuple(families), shares)
    return found


def _curve(rng: np.random.Generator, start: float, gain: float) -> tuple[Measured, ...]:
    tokens_a_step = 24_000 * float(rng.uniform(0.8, 1.25))
    points = []
    for step in STEPS:
        accuracy = start + gain * (1 - math.exp(-step / 20)) + float(rng.normal(0, 0.012))
        points.append(
            Measured(
                step=step,
                accuracy=min(max(accuracy, 0.0), 1.0),
                pass_at_k=min(accuracy + 0.3, 1.0),
                rollouts=128.0 * step * 1.1,
                generated_tokens=tokens_a_step * step,
                learner_tokens=1.1 * tokens_a_step * step,
                seconds=5.5 * step * float(rng.uniform(0.97, 1.03)),
            )
        )
    return tuple(points)


def _figures(
    rng: np.random.Generator, start: float, gain: float, *, sft: bool, ood: bool
) -> dict[str, float]:
    stages = {"base": 0.16, "sft": start, "rl": start + 0.95 * gain}
    if not sft:
        del stages["sft"]
    figures = {"plateau": start + 0.93 * gain}
    for stage, value in stages.items():
        for i, split in enumerate(("test", *(OOD if ood else ()))):
            accuracy = max(0.0, value * (1 - 0.3 * i) + float(rng.normal(0, 0.01)))
            figures[f"{stage} {split} pass@1"] = accuracy
            figures[f"{stage} {split} pass@8"] = min(1.0, 0.35 + accuracy)
        for metric in ("pass@1", "pass@8") if ood else ():
            axes = [figures[f"{stage} {split} {metric}"] for split in OOD]
            figures[f"{stage} ood {metric}"] = sum(axes) / len(axes)
    before = "sft" if sft else "base"
    for name in [name for name in figures if name.startswith("rl ")]:
        rest = name.removeprefix("rl ")
        figures[f"gain {rest}"] = figures[name] - figures[f"{before} {rest}"]
    return figures


def _training(rng: np.random.Generator, gain: float) -> dict[str, tuple[float, ...]]:
    steps = np.arange(1, STEPS[-1] + 1)
    noise = rng.normal(0, 0.03, size=(4, steps.size))
    risen = 1 - np.exp(-steps / 20)
    rows = {
        "reward": 0.35 + gain * risen + noise[0],
        "entropy": 0.5 * np.exp(-steps / 40) + 0.3 * np.abs(noise[1]),
        "response_tokens": 170 + 30 * risen + 100 * noise[2],
        "informative": np.clip(0.9 - 0.3 * risen + noise[3], 0, 1),
    }
    return {name: tuple(map(float, values)) for name, values in rows.items()}


def _making(arm: str) -> dict[str, float]:
    if arm in ("tailor", "standard_cot"):
        return {
            "teacher_tokens": 146_500.0,
            "rollouts": 192.0,
            "generated_tokens": 9_000.0,
            "seconds": 4.0,
        }
    if arm == "four_star":
        return {"rollouts": 4_096.0, "generated_tokens": 650_000.0, "seconds": 160.0}
    if arm == "re_distill":
        return {
            "rollouts": 9_000.0,
            "generated_tokens": 1_600_000.0,
            "learner_tokens": 1_500_000.0,
            "seconds": 360.0,
        }
    return {"seconds": 1.0}


def example_grid(study: Study) -> list[tuple[str, str, int]]:
    return [(s, arm, n) for s in settings_of(study) for arm in study.arms for n in study.seeds]


def asked_of(rows: Sequence[Mapping[str, Any]]) -> list[Asked]:
    """From rows {"problem", "answer", "arms": {arm: {"text", "right"}}}."""
    return [
        Asked(
            str(row.get("problem", "")),
            str(row.get("answer", "")),
            tuple(
                Reply(str(arm), str(reply.get("text", "")), bool(reply.get("right")))
                for arm, reply in row.get("arms", {}).items()
            ),
        )
        for row in rows
    ]


def results_of(
    study: Study,
    cells: Sequence[CellFigures] | None = None,
    plan: Sequence[Mapping[str, Any]] | None = None,
    **changes: Any,
) -> Results:
    """Of example cells with an example plan, unless others are given; few resamples."""
    given: dict[str, Any] = {
        "name": "example",
        "planned_cells": example_grid(study),
        "failed": {},
        "differs": ["the student"],
        "num_resamples": 200,
    }
    return make_results(
        study,
        example_cells(study, ood=False) if cells is None else cells,
        example_plan(study) if plan is None else plan,
        **(given | changes),
    )


def only(cell: CellFigures, *figures: str, curve: bool = False) -> CellFigures:
    kept = {name: cell.figures[name] for name in figures}
    return dataclasses.replace(cell, figures=kept, training={}, curve=cell.curve if curve else ())


def cells_with(figure: str, by_arm: Mapping[str, Sequence[float]]) -> list[CellFigures]:
    """Cells of one setting whose only figure is given, seed by seed."""
    return [
        dataclasses.replace(
            example_cell("all", arm, seed), figures={figure: value}, curve=(), training={}
        )
        for arm, values in by_arm.items()
        for seed, value in enumerate(values, start=1)
    ]
