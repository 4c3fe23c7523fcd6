"""Evaluations of a run: which splits, which rows are there already, what it cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from tailor_rl.config.schema import EvaluationConfig
from tailor_rl.evaluation import Trace, examine_problems, tabulate
from tailor_rl.kit import Kit
from tailor_rl.measures.behaviours import make_report
from tailor_rl.measures.behaviours_table import as_record
from tailor_rl.measures.forecast import report_name
from tailor_rl.protocols import Grader, Journal, RolloutPool, Task
from tailor_rl.task_extras import HasSizes
from tailor_rl.types import Evaluation, ProblemResult, Sampling, WeightVersion

NUM_TRACES = 8  # problems of a split whose first sample is kept for people to read
SplitRow = TypeVar("SplitRow", Trace, ProblemResult)


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
        grader: Grader,
        journal: Journal,
    ) -> None:
        self._cfg = cfg
        self._seed = seed
        self._task = task
        self._pool = pool
        self._grader = grader
        self._journal = journal
        ood_splits = tuple(split for split in task.splits if split.startswith("ood/"))
        self._splits = ("test", *(ood_splits if cfg.ood_splits is None else cfg.ood_splits))
        self._ks = (1, cfg.samples_per_problem) if cfg.samples_per_problem > 1 else (1,)

    async def examine(self, stage: str, weights: WeightVersion, *, step: int = 0) -> None:
        """The rows of `stage` in the table: evaluations.jsonl, and for each problem
        results/eval-STAGE.jsonl; samples/eval-STAGE.jsonl to read.

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
            (row.metric, row.k)
            for row in self._journal.read("evaluations", Evaluation)
            if (row.stage, row.step, row.split) == (stage, step, split)
        }
        if len(known) == len(self._ks) + self._cfg.greedy:
            return
        traces: dict[str, Trace] = {}
        results = await self._results(
            stage, split, step=step, on_trace=lambda trace: traces.update({trace.problem_id: trace})
        )
        shown = [traces[r.problem_id] for r in results[:NUM_TRACES] if r.problem_id in traces]
        self._replace(f"samples/eval-{stage}", Trace, split, shown)
        self._replace(f"results/eval-{stage}", ProblemResult, split, results)
        for row in self._tabulate(results, weights):
            if (row.metric, row.k) not in known:
                self._journal.evaluation(row)

    def _replace(self, name: str, kind: type[SplitRow], split: str, rows: list[SplitRow]) -> None:
        kept: list[SplitRow] = self._journal.read(name, kind)
        self._journal.write(name, [*(row for row in kept if row.split != split), *rows])

    async def validate(self, weights: WeightVersion, *, step: int) -> None:
        """One point of the learning curve, if `step` is one at which it is measured; an answer to
        each problem goes to samples/validation-STEP.jsonl, to see what the policy came to write.
        """
        if self._cfg.every and step % self._cfg.every == 0:
            await self.accuracy(weights, stage="rl", step=step)

    async def before_rl(self, weights: WeightVersion, *, stage: str) -> None:
        """The first point of the learning curve, and from its answers the forecast of what RL will
        gain over `stage`: behaviours-STAGE.json, written before RL begins.
        """
        if not self._cfg.every:
            return
        answers: list[Trace] = []
        results = await self._results("rl", "validation", step=0, on_trace=answers.append)
        self._write(results, weights)
        answers = self._keep(answers, step=0)
        k = self._cfg.samples_per_problem
        if k > 1 and any(len(result.correct) >= k for result in results):
            report = make_report(
                [replace(result, stage=stage) for result in results],
                answers,
                subject=stage,
                k=k,
                temperature=self._cfg.temperature,
                seed=self._seed,
            )
            self._journal.record(report_name(stage), as_record(report))

    async def accuracy(self, weights: WeightVersion, *, stage: str, step: int) -> float:
        """The accuracy on validation, which is written down too."""
        answers: list[Trace] = []
        results = await self._results(stage, "validation", step=step, on_trace=answers.append)
        rows = self._write(results, weights)
        if stage == "rl":
            self._keep(answers, step=step)
        return next(row.value for row in rows if row.metric == "accuracy")

    def _keep(self, answers: list[Trace], *, step: int) -> list[Trace]:
        """In the order of the problems, not in that in which they were ready."""
        answers = sorted(answers, key=lambda answer: answer.problem_id)
        self._journal.write(f"samples/validation-{step:06d}", answers)
        return answers

    def _write(self, results: list[ProblemResult], weights: WeightVersion) -> list[Evaluation]:
        rows = self._tabulate(results, weights)
        for row in rows:
            self._journal.evaluation(row)
        return rows

    async def _results(
        self, stage: str, split: str, *, step: int, on_trace: Callable[[Trace], None] | None
    ) -> list[ProblemResult]:
        cfg, validation = self._cfg, split == "validation"
        num_problems = cfg.problems_of(split)
        if isinstance(self._task, HasSizes):
            num_problems = min(num_problems, self._task.size(split))
        done = 0

        def note(result: ProblemResult) -> None:
            nonlocal done
            done += 1
            # Within RL the bar on the screen is that of RL's own steps.
            if not validation:
                self._journal.progress(done, num_problems, split)

        results = await examine_problems(
            self._task,
            split,
            self._pool,
            self._grader,
            indices=range(num_problems),
            samples=cfg.samples_per_problem,
            sampling=Sampling(temperature=cfg.temperature, max_tokens=cfg.max_tokens),
            greedy=cfg.greedy and not validation,
            seed=self._seed,
            stage=stage,
            step=step,
            on_result=note,
            on_trace=on_trace,
        )
        self._journal.spend("validation" if validation else f"evaluate_{stage}", _spent(results))
        return results

    def _tabulate(self, results: list[ProblemResult], weights: WeightVersion) -> list[Evaluation]:
        return tabulate(
            results,
            ks=self._ks,
            seed=self._seed,
            temperature=self._cfg.temperature,
            weight_version=weights.step,
        )


def examiner_of(kit: Kit) -> Examiner:
    return Examiner(
        kit.cfg.evaluation,
        seed=kit.cfg.seed,
        task=kit.task,
        pool=kit.pool,
        grader=kit.grader,
        journal=kit.journal,
    )


def _spent(results: list[ProblemResult]) -> dict[str, float]:
    """Greedy answers and rollouts set aside were paid for too."""
    return {
        "problems": len(results),
        "rollouts": sum(len(r.correct) + r.ungraded + (r.greedy is not None) for r in results),
        "generated_tokens": sum(r.drawn_tokens for r in results),
        "ungraded": sum(r.ungraded for r in results),
    }
