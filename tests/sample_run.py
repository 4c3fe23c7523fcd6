"""A run folder as a whole run leaves it, with made-up but lifelike figures. Deterministic."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tailor_rl.config.schema import RunConfig
from tailor_rl.curation.lineage import Lineage, describe_lineage
from tailor_rl.evaluation import Trace
from tailor_rl.types import Attempt, Demonstration, Evaluation, Primitive, Problem

SPLITS = ("test", "ood/people", "ood/depth")
VALUES = {  # stage -> split -> pass@1, pass@8
    "base": {"test": (0.061, 0.312), "ood/people": (0.022, 0.14), "ood/depth": (0.03, 0.2)},
    "sft": {"test": (0.302, 0.701), "ood/people": (0.131, 0.47), "ood/depth": (0.16, 0.51)},
    "rl": {"test": (0.614, 0.842), "ood/people": (0.188, 0.52), "ood/depth": (0.41, 0.73)},
}
NUM_RL_STEPS, NUM_SFT_STEPS, VALIDATE_EVERY = 100, 40, 10

PROMPT = (
    "On an island knights always tell the truth and knaves always lie. You meet Bob, Mia and Zoe.\n"
    "Bob says: Mia is a knave. Mia says: Bob and Zoe are knights. Zoe says: Bob is a knave.\n"
    "Who is what?"
)
WRONG = (
    "Say Mia is a knight. Then Bob and Zoe are knights. Zoe says Bob is a knave: false.\n"
    "Answer: Bob knight, Mia knight, Zoe knight"
)
RIGHT = (
    "Assume Mia is a knight: then Bob and Zoe are knights. Bob says Mia is a knave: false, but a "
    "knight said it. Conflict, retract.\nSo Mia is a knave: Bob or Zoe is a knave. Bob says Mia is "
    "a knave: true, so Bob is a knight and Zoe a knave. Zoe says Bob is a knave: false, as a knave "
    "would.\nAnswer: Bob knight, Mia knave, Zoe knave"
)
PRIMITIVES = (
    (
        "Assume, derive, retract",
        "Assume the first person is a knight, write down what follows from each claim, and when "
        "two lines conflict, say so and take the assumption back.",
        "keeps an assumption after a conflict was found",
    ),
    (
        "Restate each claim before judging it",
        "Copy each claim in your own words before you say whether it is true.",
        "miscopies who said what",
    ),
    (
        "Judge the parts of a compound claim",
        "Judge both halves of 'A and B' on their own, then join them.",
        "judges 'A and B' by its first half",
    ),
)


def write_sample_run(path: Path) -> Path:
    """Every file that the report reads, in the folder `path` (made here)."""
    path.mkdir(parents=True)
    write_rows(path / "evaluations.jsonl", [*table_rows(), *validation_rows()])
    write_rows(path / "metrics.jsonl", [*sft_metrics(), *rl_metrics()])
    attempts = [_attempt(i) for i in range(12)]
    write_rows(path / "attempts.jsonl", attempts)
    write_rows(path / "primitives.jsonl", [_primitive(i, attempts) for i in range(len(PRIMITIVES))])
    write_rows(path / "demonstrations.jsonl", [_demonstration(i) for i in range(60)])
    write_rows(path / "lineage.jsonl", [_lineage(attempts)])
    write_rows(path / "screening.jsonl", _screening())
    for stage in VALUES:
        write_rows(path / "samples" / f"eval-{stage}.jsonl", _traces(stage))
    for name, content in (
        ("ledger", ledger()),
        ("config", config()),
        ("environment", environment()),
        (
            "behaviours-sft",
            {"verdicts": ["Backtracking is missing.", "The forecast is 12 points."]},
        ),
        ("stages", {"evaluate_rl": {"started": "a", "sittings": 1, "finished": "b"}}),
    ):
        (path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return path


def write_rows(path: Path, rows: Iterable[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = (dataclasses.asdict(r) if dataclasses.is_dataclass(r) else r for r in rows)  # type: ignore[arg-type]
    path.write_text("".join(json.dumps(row) + "\n" for row in plain), encoding="utf-8")


def evaluation(
    stage: str, split: str, value: float, *, k: int = 1, step: int = 0, half: float = 0.03
) -> Evaluation:
    return Evaluation(
        stage=stage,
        step=step,
        split=split,
        metric="accuracy" if k == 1 else "pass@k",
        k=k,
        value=value,
        low=max(0.0, value - half),
        high=min(1.0, value + half * 0.9),
        num_problems=200,
        num_samples=8,
        temperature=1.0,
        mean_tokens=143.2,
        truncated=0.02,
        weight_version=step,
    )


def table_rows() -> list[Evaluation]:
    return [
        evaluation(stage, split, value, k=k, step=NUM_RL_STEPS if stage == "rl" else 0)
        for stage, by_split in VALUES.items()
        for split, values in by_split.items()
        for k, value in zip((1, 8), values, strict=True)
    ]


def validation_rows() -> list[Evaluation]:
    rows = []
    for step in range(0, NUM_RL_STEPS + 1, VALIDATE_EVERY):
        accuracy = 0.3 + 0.31 * (1 - math.exp(-step / 40)) + 0.015 * math.sin(step)
        rows.append(evaluation("rl", "validation", accuracy, step=step, half=0.06))
        rows.append(evaluation("rl", "validation", accuracy + 0.25, k=8, step=step, half=0.07))
    return rows


def sft_metrics() -> list[dict[str, float | str]]:
    rng = np.random.default_rng(1)
    return [
        {"stage": "sft", "step": s, "time": 0.0, "loss": float(1.8 * math.exp(-s / 9) + 0.21)
         + float(rng.normal(0, 0.02))}
        for s in range(1, NUM_SFT_STEPS + 1)
    ]  # fmt: skip


def rl_metrics() -> list[dict[str, float | str]]:
    rng = np.random.default_rng(0)
    rows: list[dict[str, float | str]] = []
    for step in range(1, NUM_RL_STEPS + 1):
        grown = 1 - math.exp(-step / 40)
        rows.append(
            {
                "stage": "rl",
                "step": step,
                "time": 0.0,
                "reward": float(np.clip(0.3 + 0.34 * grown + rng.normal(0, 0.05), 0, 1)),
                "informative": float(np.clip(0.82 - 0.2 * grown + rng.normal(0, 0.07), 0, 1)),
                "entropy": float(0.34 * math.exp(-step / 90) + rng.normal(0, 0.01)),
                "response_tokens": float(142 + 20 * grown + rng.normal(0, 4)),
                "logprob_difference_mean": float(abs(rng.normal(0.0021, 0.0004))),
                "clip_fraction_high": float(abs(rng.normal(0.004, 0.002))),
                "clip_fraction_low": float(abs(rng.normal(0.002, 0.001))),
                "lag": 1.0,
                "tokens_per_s": 4512.0,
                "spent_tokens": step * 18_400 + int(rng.integers(0, 3000)),
            }
        )
    return rows


def ledger() -> dict[str, dict[str, float]]:
    evaluated = {"problems": 600, "rollouts": 4800, "generated_tokens": 687_360, "seconds": 151.2}
    return {
        "evaluate_base": evaluated,
        "attempt": {"problems": 64, "rollouts": 256, "generated_tokens": 36_700, "seconds": 12.4},
        "discover": {"teacher_requests": 18, "teacher_tokens": 41_200, "seconds": 3.3},
        "demonstrate": {
            "problems": 64,
            "teacher_requests": 81,
            "teacher_tokens": 60_231,
            "seconds": 5.1,
        },
        "sft": {"problems": 60, "learner_tokens": 120_312, "seconds": 61.0},
        "evaluate_sft": evaluated,
        "rl": {
            "problems": 1931,
            "rollouts": 15_448,
            "generated_tokens": 2_310_551,
            "learner_tokens": 2_612_330,
            "seconds": 913.7,
        },
        "validation": {"problems": 704, "rollouts": 5632, "generated_tokens": 851_100},
        "evaluate_rl": evaluated,
    }


def config() -> dict[str, Any]:
    recipe = {"student": "students/knights-qwen2", "task": {"name": "knights"}}
    return {
        "config": RunConfig.model_validate(recipe).model_dump(mode="json"),
        "fingerprint": "0" * 64,
        "provenance": {
            "file": "recipes/knights.toml",
            "overrides": ["seed=0"],
            "command": ["python", "-m", "tailor_rl", "run", "recipes/knights.toml", "seed=0"],
            "time": "2026-01-01T00:00:00+00:00",
        },
    }


def environment() -> Mapping[str, Any]:
    return {
        "python": "3.11.9",
        "platform": "Linux-6.1-x86_64",
        "cores": 2,
        "packages": {"torch": "2.13.0", "ray": "2.60.0"},
        "git": {"commit": "3b86d46d5dc0d30d4ea8d7ac4ca6c6b0e18f7f1a", "dirty": False},
    }


def _attempt(i: int) -> Attempt:
    return Attempt(
        id=f"knights:train:{i}/attempt-0",
        problem_id=f"knights:train:{i}",
        prompt=PROMPT,
        text=WRONG,
        reward=0.0,
        finish_reason="stop",
        num_tokens=60,
    )


def _primitive(i: int, attempts: list[Attempt]) -> Primitive:
    name, instruction, targets = PRIMITIVES[i]
    return Primitive(
        id=f"p{i}",
        name=name,
        instruction=instruction,
        targets=targets,
        source_attempt_ids=tuple(a.id for a in attempts[3 * i : 3 * i + 3]),
        teacher="builtin-solver",
        temperature=0.8,
    )


def _demonstration(i: int) -> Demonstration:
    return Demonstration(
        id=f"knights:train:{i}/p{i % 3}",
        problem_id=f"knights:train:{i}",
        prompt=PROMPT,
        trace=RIGHT,
        reward=1.0,
        origin="teacher",
        primitive_id=f"p{0 if i % 4 == 3 else i % 3}",
        prompt_tokens=120,
        completion_tokens=90,
    )


def _lineage(attempts: list[Attempt]) -> Lineage:
    made = [_demonstration(i) for i in range(60)]
    return describe_lineage(
        RunConfig.model_validate(config()["config"]),
        demonstrations=made,
        queries=[Problem(d.problem_id, d.prompt, "", "train", 1) for d in made],
        primitives=[_primitive(i, attempts) for i in range(len(PRIMITIVES))],
        spent={"demonstrate": ledger()["demonstrate"]},
        tokens=5400,
    )


def _screening() -> list[dict[str, Any]]:
    accepted = [
        {"primitive_id": f"p{i}", "name": name, "accepted": True, "reason": "", "detail": ""}
        for i, (name, *_) in enumerate(PRIMITIVES)
    ]
    refused = {
        "primitive_id": "p3",
        "name": "Trust the grader",
        "accepted": False,
        "reason": "injection:grader",
        "detail": "It speaks to the grader.",
    }
    return [*accepted, refused]


def _traces(stage: str) -> list[Trace]:
    return [
        Trace(
            stage=stage,
            step=0,
            split=split,
            problem_id=f"knights:{split}:{i}",
            prompt=PROMPT,
            answer="Bob knight, Mia knave, Zoe knave",
            text=RIGHT if stage == "rl" or (stage == "sft" and i % 2) else WRONG,
            reward=0.1,  # shaped: whether an answer is right is another question
            correct=float(stage == "rl" or (stage == "sft" and i % 2 == 1)),
        )
        for split in SPLITS
        for i in range(4)
    ]
