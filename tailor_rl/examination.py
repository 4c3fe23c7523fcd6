"""An evaluation by itself: which problems are left, doing them, and the results in order.

Problems and draws are those of an evaluation within a run with the same seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tailor_rl.config.schema import EvaluationConfig
from tailor_rl.evaluation import Trace, examine_problems
from tailor_rl.protocols import Grader, RolloutPool, Task
from tailor_rl.runs.evaluation_folder import EvaluationFolder
from tailor_rl.stages.measure import NUM_TRACES
from tailor_rl.task_extras import HasSizes
from tailor_rl.types import ProblemResult, Sampling

OnProgress = Callable[[str, int, int], None]  # split, problems done, problems


class Examination:
    """The problems of some splits. `stage` and `step` go into their results."""

    def __init__(
        self,
        cfg: EvaluationConfig,
        *,
        seed: int,
        task: Task,
        splits: Sequence[str],
        stage: str,
        step: int,
    ) -> None:
        self._cfg = cfg
        self._seed = seed
        self._task = task
        self._stage = stage
        self._step = step
        self._ids = {split: self._problem_ids(split) for split in splits}

    def left(self, results: Sequence[ProblemResult]) -> dict[str, list[int]]:
        """Split -> indices of the problems without a result."""
        done = {(result.split, result.problem_id) for result in results}
        return {
            split: [i for i, name in enumerate(ids) if (split, name) not in done]
            for split, ids in self._ids.items()
        }

    def chosen(self, results: Sequence[ProblemResult]) -> list[ProblemResult]:
        """The results of these problems, in their order: a folder may hold more."""
        found = {(result.split, result.problem_id): result for result in results}
        keys = [(split, name) for split, ids in self._ids.items() for name in ids]
        return [found[key] for key in keys if key in found]

    async def run(
        self,
        pool: RolloutPool,
        grader: Grader,
        *,
        folder: EvaluationFolder,
        on_progress: OnProgress,
    ) -> None:
        """Do what is left, split by split; every result is on the disk as soon as it is there."""
        for split, indices in self.left(folder.results()).items():
            if indices:
                await self._run(split, indices, pool, grader, folder, on_progress)

    async def _run(
        self,
        split: str,
        indices: Sequence[int],
        pool: RolloutPool,
        grader: Grader,
        folder: EvaluationFolder,
        on_progress: OnProgress,
    ) -> None:
        cfg, ids = self._cfg, self._ids[split]
        shown = set(ids[:NUM_TRACES])
        done = len(ids) - len(indices)

        def keep(result: ProblemResult) -> None:
            nonlocal done
            done += 1
            folder.add_result(result)
            on_progress(split, done, len(ids))

        def show(sample: Trace) -> None:
            if sample.problem_id in shown:
                folder.add_sample(sample)

        await examine_problems(
            self._task,
            split,
            pool,
            grader,
            indices=indices,
            samples=cfg.samples_per_problem,
            sampling=Sampling(temperature=cfg.temperature, max_tokens=cfg.max_tokens),
            greedy=cfg.greedy,
            seed=self._seed,
            stage=self._stage,
            step=self._step,
            on_result=keep,
            on_trace=show,
        )

    def _problem_ids(self, split: str) -> list[str]:
        num = self._cfg.problems_of(split)
        if isinstance(self._task, HasSizes):
            num = min(num, self._task.size(split))
        return [self._task.problem(split, index).id for index in range(num)]
