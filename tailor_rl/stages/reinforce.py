"""What one RL step needs besides its verbs: where to go on, the batch, and what is written down."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tailor_rl.config.algorithms import resolve_algorithm
from tailor_rl.config.learning import RLConfig
from tailor_rl.errors import RunFolderError
from tailor_rl.evaluation import trace
from tailor_rl.kit import Kit
from tailor_rl.protocols import Journal, Learner
from tailor_rl.stages.best import best_step
from tailor_rl.stages.lesson import Learnt, Lesson
from tailor_rl.stages.warm_start import set_aside
from tailor_rl.stream import GroupStream, Spent
from tailor_rl.types import Demonstration, Group, Sampling, WeightVersion

CHECKPOINTS = "step-"
SAMPLES_EVERY = 10  # steps between two looks at what the policy writes
SAMPLED_GROUPS, SAMPLED_ROLLOUTS = 2, 2


@dataclass(frozen=True, slots=True)
class Start:
    """Where RL goes on: after `step`, with group `position`; `spent` is the cost until then, and
    `lesson` what the algorithm remembers.
    """

    step: int
    position: int
    spent: Spent
    lesson: Mapping[str, Any] | None = None


async def begin_or_resume(cfg: RLConfig, *, learner: Learner, journal: Journal) -> Start:
    """Prepare the learner, which holds the policy that RL starts from, and drop rows past the
    checkpoint.

    RL begins before a checkpoint is restored: the KL reference is the policy held at `begin_rl`,
    and must be the same before and after a kill.
    """
    await learner.begin_rl(num_steps=cfg.num_steps)
    checkpoint = journal.latest_checkpoint(CHECKPOINTS)
    start = Start(step=0, position=0, spent=Spent())
    if checkpoint is not None:
        note = await learner.restore(checkpoint.folder)
        if note and not journal.finished("rl"):
            journal.log(note)
        state = checkpoint.state
        start = Start(
            checkpoint.step, int(state["position"]), Spent(**state["spent"]), state["lesson"]
        )
    if journal.finished("rl"):
        if start.step != cfg.num_steps:
            raise RunFolderError(
                f"RL has finished but the checkpoint of its last step ({cfg.num_steps}) is "
                "missing or damaged: start a new run"
            )
    else:
        # At step 0 the first point of the learning curve goes too: it is measured again.
        journal.rewind("evaluations", stage="rl", step=start.step if start.step else -1)
        journal.rewind("metrics", stage="rl", step=start.step)
        journal.rewind_ledger("rl", checkpoint)
        _prune(cfg, journal, spare=start.step)
    return start


def open_stream(kit: Kit, start: Start, lesson: Lesson, *, weights: WeightVersion) -> GroupStream:
    """The groups after those taken before `start`, as the lesson's method asks for them."""
    cfg = kit.cfg.rl
    return GroupStream(
        kit.task,
        kit.pool,
        kit.grader,
        num_groups=(cfg.num_steps - start.step) * cfg.groups_per_step,
        groups_per_step=cfg.groups_per_step,
        group_size=cfg.group_size,
        max_lag=cfg.max_lag,
        dynamic_sampling=resolve_algorithm(cfg).dynamic_sampling,
        sampling=Sampling(temperature=cfg.temperature, max_tokens=cfg.max_tokens),
        seed=kit.cfg.seed,
        version=weights,
        position=start.position,
        spent=start.spent,
        method=lesson.method,
        idle=not lesson.mix(start.step + 1).policy,
    )


def open_lesson(kit: Kit, start: Start) -> Lesson:
    """What was remembered at the checkpoint that RL goes on from, is remembered again."""
    demonstrations = kit.journal.read("demonstrations", Demonstration)
    _, trained = set_aside(demonstrations, num=kit.cfg.sft.held_out, seed=kit.cfg.seed)
    lesson = Lesson(
        kit.cfg.rl,
        learner=kit.trainer,
        tokens=kit.tokens,
        demonstrations=trained,
        batch_size=kit.cfg.sft.batch_size,
        seed=kit.cfg.seed,
        warm_up=_last_of_sft(kit.journal),
    )
    if start.lesson is not None:
        lesson.load(start.lesson)
    return lesson


def _last_of_sft(journal: Journal) -> dict[str, float] | None:
    """The metrics of the last SFT step; None without SFT."""
    rows = journal.read("metrics", dict[str, Any])
    return next((row for row in reversed(rows) if row["stage"] == "sft"), None)


class StepRecord:
    """One RL step as it is written down: metrics.jsonl, the ledger, and now and then samples.

    Metrics: `reward` (mean over every group generated for the step, those passed over too) and, of
    a composite reward, `reward_NAME` of each component (`reward_continued` and `given_tokens` are
    of rollouts whose beginning was given, which are not in `reward`), `ungraded` (rollouts set
    aside), `informative` (their share), `response_tokens`, `response_tokens_max`, `truncated`
    (share), `lag` and `lag_max` (weight versions), `seconds_rollout` (waiting), `seconds_learn`,
    `seconds_sync`, `seconds` and `tokens_per_s` (generated) of the whole step, `learner_tokens`
    (that went through the learner, prompts included), and the totals so far:
    `spent_groups`, `spent_rollouts`, `spent_tokens`.

    Of the update: what the learner says of it (`merge_policy` in learners/metrics.py), with
    `kl_reference` (nats a token, by the algorithm's estimate) and the `kl_coefficient` of this step
    where a reference is kept. `mismatch_kl` is KL(rollout || learner) in nats a token; where it
    rises above rl.mismatch_alarm the log says so once, until it has been below again. `skipped` is
    1, and there is nothing else, for a step that had no token to learn from.
    """

    def __init__(self, journal: Journal, *, step: int) -> None:
        self._journal = journal
        self._step = step
        self._began = time.monotonic()
        self._metrics: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._metrics[f"seconds_{name}"] = time.monotonic() - began

    def taken(self, groups: Sequence[Group], stream: GroupStream) -> None:
        """Groups just taken: their lag is that of the weights which will learn from them."""
        if not groups:  # a step that learns from demonstrations alone
            return
        lags = [stream.lag(group) for group in groups]
        generated = stream.generated
        rollouts = [rollout for group in generated for rollout in group.generated]
        lengths = [len(rollout.token_ids) for rollout in rollouts]
        self._metrics |= {
            **_rewards(generated),
            "informative": float(np.mean([group.informative for group in generated])),
            "response_tokens": float(np.mean(lengths)),
            "response_tokens_max": max(lengths),
            "truncated": float(np.mean([r.finish_reason == "length" for r in rollouts])),
            "lag": float(np.mean(lags)),
            "lag_max": max(lags),
            "spent_groups": stream.spent.groups,
            "spent_rollouts": stream.spent.rollouts,
            "spent_tokens": stream.spent.generated_tokens,
            "ungraded": sum(len(group.ungraded) for group in generated),
        }
        self._journal.spend(
            "rl",
            {
                "problems": len(generated),
                "rollouts": len(rollouts),
                "generated_tokens": sum(rollout.num_drawn for rollout in rollouts),
            },
        )
        if self._step == 1 or self._step % SAMPLES_EVERY == 0:
            self._write_samples(generated)

    def learned(self, learnt: Learnt) -> None:
        self._journal.spend("rl", {"learner_tokens": learnt.tokens})
        self._metrics["learner_tokens"] = learnt.tokens
        for note in learnt.notes:
            self._journal.log(note)
        # How fast the learner is by itself must not be read as the speed of the whole step.
        own = {"seconds": "learner_seconds", "tokens_per_second": "learner_tokens_per_s"}
        self._metrics |= {own.get(name, name): n for name, n in learnt.update.metrics.items()}

    def write(self, generated: Sequence[Group]) -> None:
        seconds = time.monotonic() - self._began
        tokens = sum(rollout.num_drawn for group in generated for rollout in group.generated)
        self._metrics["seconds"] = seconds
        self._metrics["tokens_per_s"] = tokens / max(seconds, 1e-9)
        self._journal.metrics("rl", self._step, self._metrics)

    def _write_samples(self, generated: Sequence[Group]) -> None:
        rows = [
            trace(group.problem, rollout, grade, stage="rl", step=self._step)
            for group in generated[:SAMPLED_GROUPS]
            for rollout, grade in list(zip(group.rollouts, group.grades, strict=True))[
                :SAMPLED_ROLLOUTS
            ]
        ]
        self._journal.write(f"samples/step-{self._step:06d}", rows)


def _rewards(groups: Sequence[Group]) -> dict[str, float]:
    """Means over rollouts: the reward, and each component where there are several.

    Rollouts that were given their beginning stand apart: the learning curve is of the policy's own.
    """
    pairs = [pair for g in groups for pair in zip(g.rollouts, g.grades, strict=True)]
    continued = [grade for rollout, grade in pairs if rollout.given]
    grades = [grade for rollout, grade in pairs if not rollout.given] or continued
    means = {"reward": float(np.mean([grade.reward for grade in grades]))}
    names = grades[0].components
    if len(names) > 1:
        for name in names:
            values = [grade.components[name] for grade in grades]
            means[f"reward_{name}"] = float(np.mean(values))
    if continued:
        means["reward_continued"] = float(np.mean([grade.reward for grade in continued]))
        given = [rollout.given for rollout, _ in pairs if rollout.given]
        means["given_tokens"] = float(np.mean(given))
    return means


async def save_if_due(
    cfg: RLConfig,
    *,
    step: int,
    stream: GroupStream,
    lesson: Lesson,
    learner: Learner,
    journal: Journal,
) -> None:
    """A checkpoint every `checkpoint_every` steps, at the last and, with `keep_best`, where the
    accuracy on validation is the highest so far; with the stream's place.
    """
    best = cfg.keep_best and best_step(journal, stage="rl") == step
    if step % cfg.checkpoint_every == 0 or step == cfg.num_steps or best:
        state = {
            "position": stream.position,
            "spent": asdict(stream.spent),
            "lesson": lesson.state(),
        }
        await journal.checkpoint(
            f"{CHECKPOINTS}{step:06d}", step=step, learner=learner, state=state
        )
        _prune(cfg, journal)


def _prune(cfg: RLConfig, journal: Journal, *, spare: int | None = None) -> None:
    """`spare`: the step that was just restored, which is not the newest where that is damaged."""
    best = best_step(journal, stage="rl") if cfg.keep_best else None
    journal.prune_checkpoints(CHECKPOINTS, keep=cfg.keep_checkpoints, spare=[best, spare])
