"""What a policy does at temperature 0 and at 1: styles, repetitions, and how often it is right.

    python benchmarks/greedy_answers.py CELL... --problems 150 --samples 4 --out RESULT.json

CELL: a run folder with its checkpoints. Validation problems from index 1000 on, which no run looks
at. A style is one as in the report's "Usage": primitives whose demonstrations can be told apart.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from tailor_rl.bench.traces import effective_number
from tailor_rl.bench.usage import FEWEST
from tailor_rl.chat import ChatTokens
from tailor_rl.measures.styles import Styles, Text
from tailor_rl.runs.environment import describe_environment
from tailor_rl.runs.folder import read_run_config
from tailor_rl.seeds import derive_seed
from tailor_rl.statistics import wilson_interval
from tailor_rl.summary import read_rows
from tailor_rl.tasks.registry import load_task
from tailor_rl.types import Problem

FIRST = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cells", nargs="+", type=Path)
    parser.add_argument("--problems", type=int, default=150)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    document: dict[str, Any] = {
        "command": "python benchmarks/greedy_answers.py "
        + " ".join(f"{cell.parent.parent.name}/cells/{cell.name}" for cell in args.cells)
        + f" --problems {args.problems} --samples {args.samples}",
        "environment": describe_environment(),
        "cells": {},
    }
    for cell in args.cells:
        found = examine(cell, args.problems, args.samples)
        document["cells"][cell.name] = found
        print(cell.name, json.dumps({k: v for k, v in found.items() if k != "styles"}), flush=True)
    args.out.write_text(json.dumps(document, indent=1) + "\n")


def examine(cell: Path, num_problems: int, num_samples: int) -> dict[str, Any]:
    """Accuracy and styles of the run's last policy."""
    cfg = read_run_config(cell)
    task = load_task(cfg.task.name, seed=cfg.task.seed, options=cfg.task.options)
    problems = [task.problem("validation", FIRST + i) for i in range(num_problems)]
    policy = Policy(sorted((cell / "checkpoints").glob("step-*"))[-1], cfg.evaluation.max_tokens)
    torch.manual_seed(cfg.seed)
    texts = {
        "greedy": policy.answer(problems, greedy=True),
        "sampled": [t for _ in range(num_samples) for t in policy.answer(problems, greedy=False)],
    }
    asked = {"greedy": problems, "sampled": problems * num_samples}
    right = {
        how: [task.grade(p, t) >= 1.0 for p, t in zip(asked[how], texts[how], strict=True)]
        for how in texts
    }
    found: dict[str, Any] = {
        how: {
            "right": share(sum(right[how]), len(texts[how])),
            "repeats": share(sum(map(repeats, texts[how])), len(texts[how])),
            "supposes_again": share(sum(map(supposes_again, texts[how])), len(texts[how])),
            "no_answer": share(sum("<answer>" not in t for t in texts[how]), len(texts[how])),
            "right_of_those_that_do_not_repeat": share(
                sum(ok for ok, t in zip(right[how], texts[how], strict=True) if not repeats(t)),
                sum(not repeats(t) for t in texts[how]),
            ),
        }
        for how in texts
    }
    made = read_rows(cell / "demonstrations.jsonl")
    traces = [row["trace"] for row in made]
    found["demonstrations"] = {
        "repeats": share(sum(map(repeats, traces)), len(traces)),
        "supposes_again": share(sum(map(supposes_again, traces)), len(traces)),
    }
    styles = learn_styles(made)
    if styles is None:
        return found
    follows = {
        how: [
            each.style
            for each in styles.follow(
                [Text(t, p.prompt, p.id) for t, p in zip(texts[how], asked[how], strict=True)]
            )
        ]
        for how in texts
    }
    return found | compare(follows, right)


def compare(follows: dict[str, list[int]], right: dict[str, list[bool]]) -> dict[str, Any]:
    """Style by style; negative numbers are "unclear" and "other" (measures/styles.py)."""
    counts = {how: Counter(follows[how]) for how in follows}
    clear = {how: [n for style, n in counts[how].items() if style >= 0] for how in counts}
    sampled_right = Counter(
        s for s, ok in zip(follows["sampled"], right["sampled"], strict=True) if ok
    )
    greedy_right = Counter(
        s for s, ok in zip(follows["greedy"], right["greedy"], strict=True) if ok
    )
    # What sampling would score with the styles in the shares that greedy gives them.
    seen = [style for style in counts["greedy"] if counts["sampled"][style]]
    reweighted = sum(
        counts["greedy"][s] * sampled_right[s] / counts["sampled"][s] for s in seen
    ) / sum(counts["greedy"][s] for s in seen)
    return {
        "effective_styles": {how: effective_number(clear[how]) for how in clear},
        "largest_share": {how: max(clear[how]) / sum(clear[how]) for how in clear if clear[how]},
        "sampled_with_greedy_shares": reweighted,
        "styles": {
            str(style): {
                "greedy": counts["greedy"][style],
                "greedy_right": greedy_right[style],
                "sampled": counts["sampled"][style],
                "sampled_right": share(sampled_right[style], counts["sampled"][style]),
            }
            for style in sorted({*counts["greedy"], *counts["sampled"]})
        },
    }


def share(num: int, of: int) -> list[float] | None:
    """Value and Wilson's interval."""
    if not of:
        return None
    found = wilson_interval(num, of)
    return [found.value, found.low, found.high]


def repeats(text: str) -> bool:
    """Whether a sentence stands three times or more. A right search may do that too, where a
    statement is about few people: compare with the demonstrations' share.
    """
    return max(Counter(text.split(". ")).values()) > 2


def supposes_again(text: str) -> bool:
    """Whether the same supposition, word for word, is made twice."""
    made = [part for part in text.split(". ") if part.startswith(("Suppose ", "Let "))]
    return len(set(made)) < len(made)


def learn_styles(made: Sequence[dict[str, Any]]) -> Styles | None:
    """From demonstrations, of primitives that have enough; None where fewer than two have."""
    num = Counter(row["primitive_id"] for row in made if row["primitive_id"])
    ids = sorted(name for name in num if num[name] >= FEWEST)
    if len(ids) < 2:
        return None
    kept = [row for row in made if row["primitive_id"] in ids]
    return Styles(
        [Text(row["trace"], row["prompt"], row["problem_id"]) for row in kept],
        [ids.index(row["primitive_id"]) for row in kept],
        seed=derive_seed(0, "usage"),
    )


class Policy:
    """A checkpoint, asked with transformers' own generation."""

    def __init__(self, folder: Path, max_tokens: int) -> None:
        self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self._tokens = ChatTokens(folder)
        self._max_tokens = max_tokens

    @torch.inference_mode()
    def answer(self, problems: Sequence[Problem], *, greedy: bool) -> list[str]:
        """One answer a problem, at temperature 0 or 1."""
        prompts = [self._tokens.encode_prompt(problem.prompt) for problem in problems]
        width = max(map(len, prompts))
        ids_BT = torch.zeros(len(prompts), width, dtype=torch.long)
        mask_BT = torch.zeros_like(ids_BT)
        for row, prompt in enumerate(prompts):  # padded on the left
            ids_BT[row, width - len(prompt) :] = torch.tensor(prompt)
            mask_BT[row, width - len(prompt) :] = 1
        stops = list(self._tokens.stop_ids)
        drawn_BT = self._model.generate(
            ids_BT,
            attention_mask=mask_BT,
            generation_config=GenerationConfig(
                max_new_tokens=self._max_tokens,
                do_sample=not greedy,
                top_k=None if greedy else 0,
                eos_token_id=stops,
                pad_token_id=stops[0],
            ),
        )[:, width:]
        return [self._tokens.decode(row) for row in drawn_BT.tolist()]


if __name__ == "__main__":
    main()
