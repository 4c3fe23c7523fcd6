"""Which step of a stage was the best measured so far, by the rows that the run has written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tailor_rl.protocols import Journal
from tailor_rl.types import Evaluation

HELD_OUT_LOSS = "held_out_loss"  # in the metrics of SFT


def most_accurate_step(evaluations: Iterable[Evaluation], *, stage: str) -> int | None:
    """The step of the highest accuracy on validation, the first of equals; None before one was
    measured. Step 0 is the policy that the stage began with.
    """
    accuracies = {
        row.step: row.value
        for row in evaluations
        if (row.stage, row.split, row.metric) == (stage, "validation", "accuracy")
        and row.k == 1
        and row.step > 0
    }
    return max(sorted(accuracies), key=lambda step: accuracies[step], default=None)


def lowest_loss_step(metrics: Iterable[Mapping[str, Any]], *, stage: str) -> int | None:
    """The step of the lowest held-out loss, the first of equals; None before one was measured."""
    losses = {
        int(row["step"]): float(row[HELD_OUT_LOSS])
        for row in metrics
        if row["stage"] == stage and HELD_OUT_LOSS in row
    }
    return min(sorted(losses), key=lambda step: losses[step], default=None)


def best_step(journal: Journal, *, stage: str) -> int | None:
    """Of a run that is under way: by accuracy or, where none was measured, by held-out loss."""
    best = most_accurate_step(journal.read("evaluations", Evaluation), stage=stage)
    if best is not None:
        return best
    return lowest_loss_step(journal.read("metrics", dict[str, Any]), stage=stage)
