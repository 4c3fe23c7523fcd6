"""A task that parts a run's RL problems: those like one that was demonstrated, and the others.

    tailor evaluate RUN --checkpoint sft --recipe benchmarks/demonstrated_families.toml \
        task.options.run=RUN --splits ood/demonstrated,ood/fresh

Like: the same up to renaming. Runs from before RL and the warm start had families of their own
(tailor_rl/train_problems.py) have both; what the student solves more often among the demonstrated
is what it remembers of their solutions.
"""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

from tailor_rl.runs.folder import read_run_config
from tailor_rl.tasks.registry import load_task
from tailor_rl.types import Problem


class DemonstratedFamilies:
    name = "demonstrated-families"
    splits = ("train", "validation", "test", "ood/demonstrated", "ood/fresh")

    def __init__(self, *, run: str, seed: int = 0) -> None:
        cfg = read_run_config(Path(run)).task
        self._task = load_task(cfg.name, seed=cfg.seed, options=cfg.options)
        rows = (Path(run) / "demonstrations.jsonl").read_text().splitlines()
        indices = [int(json.loads(row)["problem_id"].rpartition(":")[2]) for row in rows]
        self._shown = {self._task.problem("train", index).family for index in indices}
        self._found: dict[str, list[Problem]] = {split: [] for split in self.splits[-2:]}
        self._orders = count()

    def problem(self, split: str, index: int) -> Problem:
        """Of the last two splits the `index`-th such train problem, in the order of RL."""
        if split not in self._found:
            return self._task.problem(split, index)
        while len(self._found[split]) <= index:
            problem = self._task.problem("train", next(self._orders))
            demonstrated, fresh = self._found.values()
            (demonstrated if problem.family in self._shown else fresh).append(problem)
        found = self._found[split][index]
        return Problem(
            id=f"{self.name}:{split}:{index}",
            prompt=found.prompt,
            answer=found.answer,
            split=split,
            difficulty=found.difficulty,
            metadata=found.metadata,
            family=found.family,
        )

    def grade(self, problem: Problem, text: str) -> float:
        return self._task.grade(problem, text)
