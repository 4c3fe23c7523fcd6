"""Evaluations of a run: which splits, which rows are there already, what it cost."""

from __future__ import annotations

from tailor_rl.config.schema import EvaluationConfig
from tailor_rl.evaluation import Trace, evaluate
from tailor_rl.protocols import Journal, RolloutPool, Task
from tailor_rl.types import Evaluation, Sampling, WeightVersion


class Examiner:
    """Examines what the engines hold: on "test" and the ood splits after a stage, on "validation"
    within RL.

    Problems and draws are the same at every examination, so stages are compared like with like.
    """

    def __init__(
        self,
        cfg: EvaluationConfig,
        *,
        seed: int,
        task: Task,
        pool: RolloutPool,
        journal: Journal,
    ) -> None:
        self._cfg = cfg
        self._seed = seed
        self._task = task
        self._pool = pool
        self._journal = journal
        ood_splits = tuple(split for split in task.splits if split.startswith("ood/"))
        self._splits = ("test", *(ood_splits if cfg.ood_splits is None else cfg.ood_splits))
        self._ks = (1, cfg.samples_per_problem) if cfg.samples_per_problem > 1 else (1,)

    async def examine(self, stage: str, weights: WeightVersion, *, step: int = 0) -> None:
        """The rows of `stage` in the table: evaluations.jsonl, and samples/eval-STAGE.jsonl to
        read.

        Splits that an earlier, killed sitting has measured are not measured again.
        """
        name = f"evaluate_{stage}"
        if self._journal.finished(name):
            return
        self._journal.start(name)
        for split in self._splits:
            await self._examine(stage, split, weights, step=step)
        self._journal.finish(name)

    async def _examine(self, stage: str, split: str, weights: WeightVersion, *, step: int) -> None:
        known = {
            row.k
            for row in self._journal.read("evaluations", Evaluation)
            if (row.stage, row.step, row.split) == (stage, step, split)
        }
        if known.issuperset(self._ks):
            return
        traces: list[Trace] = []
        rows = await self._evaluate(stage, split, weights, step=step, traces=traces)
        samples = f"samples/eval-{stage}"
        others = [row for row in self._journal.read(samples, Trace) if row.split != split]
        self._journal.write(samples, [*others, *traces])
        for row in rows:
            if row.k not in known:
                self._journal.evaluation(row)

    async def validate(self, weights: WeightVersion, *, step: int) -> None:
        """One point of the learning curve, if `step` is one at which it is measured."""
        if self._cfg.every and step % self._cfg.every == 0:
            for row in await self._evaluate("rl", "validation", weights, step=step, traces=[]):
                self._journal.evaluation(row)

    async def _evaluate(
        self, stage: str, split: str, weights: WeightVersion, *, step: int, traces: list[Trace]
    ) -> list[Evaluation]:
        cfg = self._cfg
        validation = split == "validation"
        rows = await evaluate(
            self._task,
            split,
            self._pool,
            num_problems=cfg.problems_of(split),
            samples=cfg.samples_per_problem,
            sampling=Sampling(temperature=cfg.temperature, max_tokens=cfg.max_tokens),
            seed=self._seed,
            stage=stage,
            step=step,
            weight_version=weights.step,
            ks=self._ks,
            # Within RL the bar on the screen is that of RL's own steps.
            on_progress=None
            if validation
            else lambda done, total: self._journal.progress(done, total, split),
            on_trace=traces.append,
        )
        rollouts = rows[0].num_problems * rows[0].num_samples
        self._journal.spend(
            "validation" if validation else f"evaluate_{stage}",
            {
                "problems": rows[0].num_problems,
                "rollouts": rollouts,
                "generated_tokens": round(rows[0].mean_tokens * rollouts),
            },
        )
        return rows
