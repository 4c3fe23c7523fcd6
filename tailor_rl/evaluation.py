"""What a policy can do on one split: results problem by problem, and figures with intervals.

Knows nothing about learners, run folders or which weights the engines hold: the caller says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tailor_rl.concurrency import rollout_slots, together
from tailor_rl.protocols import Grader, RolloutPool, Task
from tailor_rl.seeds import derive_seed
from tailor_rl.statistics import pass_at_k, problem_interval
from tailor_rl.types import Evaluation, Grade, Problem, ProblemResult, Rollout, Sampling


@dataclass(frozen=True, slots=True)
class Trace:
    """One graded rollout, for people: a row of samples/*.jsonl."""

    stage: str
    step: int
    split: str
    problem_id: str
    prompt: str
    answer: str
    text: str
    reward: float
    correct: float  # the task's own verdict: a composite reward says little of it


def trace(problem: Problem, rollout: Rollout, grade: Grade, *, stage: str, step: int) -> Trace:
    return Trace(
        stage=stage,
        step=step,
        split=problem.split,
        problem_id=problem.id,
        prompt=problem.prompt,
        answer=problem.answer,
        text=rollout.text,
        reward=grade.reward,
        correct=grade.correct,
    )


async def examine_problems(
    task: Task,
    split: str,
    pool: RolloutPool,
    grader: Grader,
    *,
    indices: Iterable[int],
    samples: int,
    sampling: Sampling,
    greedy: bool,
    seed: int,
    stage: str,
    step: int,
    on_result: Callable[[ProblemResult], None] | None = None,
    on_trace: Callable[[Trace], None] | None = None,
) -> list[ProblemResult]:
    """One result a problem, in the order of `indices`; `on_result` as soon as one is there.

    Draws depend on (seed, split, index) alone, so that stages and checkpoints are compared on the
    same draws and any part can be made later. `greedy` adds one sample at temperature 0.
    Raises GradeError.
    """
    slots = rollout_slots(samples)

    async def one(index: int) -> ProblemResult:
        problem = task.problem(split, index)
        draw = derive_seed(seed, "evaluate", split, index)
        async with slots:
            rollouts = await pool.generate(problem, num=samples, sampling=sampling, seed=draw)
            if greedy:
                best = replace(sampling, temperature=0.0, top_p=1.0)
                rollouts += await pool.generate(problem, num=1, sampling=best, seed=draw)
        grades = await grader.grade(problem, [rollout.text for rollout in rollouts])
        result = _result(problem, rollouts, grades, samples=samples, stage=stage, step=step)
        if on_trace is not None and grades[0] is not None:
            on_trace(trace(problem, rollouts[0], grades[0], stage=stage, step=step))
        if on_result is not None:
            on_result(result)
        return result

    return await together(one(index) for index in indices)


def _result(
    problem: Problem,
    rollouts: Sequence[Rollout],
    grades: Sequence[Grade | None],
    *,
    samples: int,
    stage: str,
    step: int,
) -> ProblemResult:
    """The first `samples` are samples; one more, if there is one, is the greedy answer."""
    kept = [
        (rollout, grade)
        for rollout, grade in zip(rollouts[:samples], grades[:samples], strict=True)
        if grade is not None
    ]
    best = grades[samples] if len(grades) > samples else None
    return ProblemResult(
        stage=stage,
        step=step,
        split=problem.split,
        problem_id=problem.id,
        family=problem.family or problem.id,
        difficulty=problem.difficulty,
        correct=tuple(grade.correct for _, grade in kept),
        num_tokens=tuple(len(rollout.token_ids) for rollout, _ in kept),
        truncated=tuple(rollout.finish_reason == "length" for rollout, _ in kept),
        entropy=tuple(-float(np.mean(rollout.rollout_logprobs)) for rollout, _ in kept),
        ungraded=samples - len(kept),
        greedy=None if best is None else best.correct,
        drawn_tokens=sum(rollout.num_drawn for rollout in rollouts),
    )


def tabulate(
    results: Sequence[ProblemResult],
    *,
    ks: Sequence[int],
    seed: int,
    temperature: float,
    weight_version: int,
) -> list[Evaluation]:
    """The figures of one split at one stage: "accuracy" where k = 1, "pass@k" above, and "greedy"
    where there are greedy answers.

    Only a grade of 1.0 counts as solved. Intervals are 95 %, over families of problems. For each
    figure, problems with fewer graded samples than it needs are left out.
    """
    figures = [(k, "accuracy" if k == 1 else "pass@k", _pass_at(results, k)) for k in ks]
    best = [(r, float((r.greedy or 0.0) >= 1.0)) for r in results if r.greedy is not None]
    if best:
        figures.append((1, "greedy", best))
    return [
        _row(
            pairs,
            k=k,
            metric=metric,
            seed=derive_seed(seed, "bootstrap"),
            temperature=0.0 if metric == "greedy" else temperature,
            weight_version=weight_version,
            ungraded=sum(result.ungraded for result in results),
        )
        for k, metric, pairs in figures
        if pairs
    ]


Figure = tuple[ProblemResult, float]  # a problem and its value


def _pass_at(results: Sequence[ProblemResult], k: int) -> list[Figure]:
    return [
        (result, pass_at_k(len(result.correct), sum(c >= 1.0 for c in result.correct), k))
        for result in results
        if len(result.correct) >= k
    ]


def _row(
    pairs: Sequence[Figure],
    *,
    k: int,
    metric: str,
    seed: int,
    temperature: float,
    weight_version: int,
    ungraded: int,
) -> Evaluation:
    results = [result for result, _ in pairs]
    families = [result.family for result in results]
    values_P = np.array([value for _, value in pairs])
    interval, name = problem_interval(values_P, families_P=families, seed=seed)
    return Evaluation(
        stage=results[0].stage,
        step=results[0].step,
        split=results[0].split,
        metric=metric,
        k=k,
        value=interval.value,
        low=interval.low,
        high=interval.high,
        num_problems=len(results),
        num_samples=1 if metric == "greedy" else max(len(result.correct) for result in results),
        temperature=temperature,
        mean_tokens=_mean(n for result in results for n in result.num_tokens),
        truncated=_mean(cut for result in results for cut in result.truncated),
        weight_version=weight_version,
        num_families=len(set(families)),
        interval=name,
        entropy=_mean(nats for result in results for nats in result.entropy),
        ungraded=ungraded,
    )


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return float(np.mean(found)) if found else 0.0
