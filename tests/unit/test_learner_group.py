"""Many ranks as one learner, with ranks that only remember what they were told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from learners.group import LearnerGroup
from learners.metrics import Passes, PolicyReport, SFTReport, merge_policy, merge_sft
from learners.packing import Shard
from learners.settings import StageSettings
from tailor_rl.algorithms.algorithm import AGGREGATIONS
from tailor_rl.config.algorithms import resolve_algorithm
from tailor_rl.config.learning import RLConfig, SFTConfig
from tailor_rl.errors import LearnerError
from tailor_rl.types import Batch, WeightVersion


class FakeRank:
    """A `RankHandle` with counted calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.fails: Exception | None = None
        self.hangs = False
        self.cancelled = False

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        self.calls.append((method, args, kwargs))
        await asyncio.sleep(0)
        if self.fails is not None:
            raise self.fails
        if self.hangs:
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled = True
        answers: dict[str, Any] = {"version": WeightVersion(step=4, checksum="c"), "step": 7}
        if method == "sft_step":
            return sft_report(args[0].num_trained_tokens)
        if method == "policy_step":
            return [policy_report(shard) for shard in args[0]]
        return answers.get(method)

    async def put(self, method: str, *args: Any, **kwargs: Any) -> Any:
        self.calls.append((f"put {method}", args, kwargs))
        return ("reference", method)


class Channel:
    def __init__(self) -> None:
        self.offered: list[Any] = []

    async def offer(self, payload: Any) -> None:
        self.offered.append(payload)

    async def accept(self) -> Any:
        return self.offered[-1]


def sft_report(tokens: int, *, seconds: float = 2.0) -> SFTReport:
    return SFTReport(
        loss=0.5,
        grad_norm=3.0,
        learning_rate=1e-4,
        num_trained_tokens=tokens,
        passes=Passes(num_read_tokens=tokens, num_computed_tokens=tokens, lowered_budget=None),
        seconds=seconds,
    )


def policy_report(
    shard: Shard, *, seconds: float = 2.0, kl: float | None = None, lowered: int | None = None
) -> PolicyReport:
    trained = shard.num_trained_tokens
    return PolicyReport(
        loss=float(shard.weights.sum()),
        entropy_sum=1.5 * trained,
        clipped_low=1,
        clipped_high=2,
        logprob_difference_sum=0.25 * trained,
        logprob_difference_max=0.1 * trained,
        kl_sum=kl,
        correction_sum=1.0 * trained,
        correction_square_sum=1.0 * trained,
        corrected=0,
        supervised_tokens=0,
        own_tokens=trained,
        log_ratios=np.zeros(trained, dtype=np.float32),
        grad_norm=3.0,
        learning_rate=1e-4,
        num_trained_tokens=trained,
        num_tokens=shard.num_tokens,
        num_sequences=shard.num_sequences,
        passes=Passes(
            num_read_tokens=3 * trained, num_computed_tokens=4 * trained, lowered_budget=lowered
        ),
        seconds=seconds,
    )


def make_batch(lengths: list[int]) -> Batch:
    shape = (len(lengths), max(lengths))
    columns = np.arange(shape[1])
    mask = (columns >= 2) & (columns < np.array(lengths)[:, None])
    zeros = np.zeros(shape, dtype=np.float32)
    return Batch(
        tokens=np.ones(shape, dtype=np.int64),
        mask=mask,
        rollout_logprobs=zeros,
        advantages=zeros,
        lengths=np.array(lengths),
    )


def make_group(num_ranks: int, **rl: Any) -> tuple[LearnerGroup, list[FakeRank]]:
    ranks = [FakeRank() for _ in range(num_ranks)]
    group = LearnerGroup(
        ranks,
        sft=SFTConfig(),
        rl=RLConfig(**rl),
    )
    return group, ranks


async def test_weights_of_an_sft_step_are_made_before_the_cut_into_ranks() -> None:
    group, ranks = make_group(2)
    update = await group.sft_step(make_batch([4, 12]))
    shards = [rank.calls[-1][1][0] for rank in ranks]
    assert [shard.weights.sum() for shard in shards] == pytest.approx([10 / 12, 2 / 12])
    assert update.step == 1
    assert update.metrics["tokens"] == 12
    assert update.metrics["loss"] == 1.0


@pytest.mark.parametrize(
    ("algorithm", "shares"), [("dapo", [10 / 12, 2 / 12]), ("grpo", [0.5, 0.5])]
)
async def test_dapo_weighs_tokens_and_grpo_sequences(algorithm: str, shares: list[float]) -> None:
    group, ranks = make_group(2, algorithm=algorithm)
    await group.policy_step(make_batch([4, 12]))
    weights = [rank.calls[-1][1][0][0].weights.sum() for rank in ranks]
    assert weights == pytest.approx(shares)


async def test_every_part_of_a_policy_step_is_normalised_by_itself() -> None:
    group, ranks = make_group(2, updates_per_step=3)
    update = await group.policy_step(make_batch([4, 12, 5, 6, 7, 8]))
    updates = list(zip(*(rank.calls[-1][1][0] for rank in ranks), strict=True))
    assert len(updates) == 3
    for shards in updates:
        assert sum(shard.weights.sum() for shard in shards) == pytest.approx(1)
    assert update.step == 1
    assert update.metrics["sequences"] == 6


async def test_a_batch_is_gone_through_once_an_epoch_in_the_same_order() -> None:
    group, ranks = make_group(1, updates_per_step=2, epochs_per_step=3)
    await group.policy_step(make_batch([4, 12, 5, 6]), kl_coefficient=0.25)
    shards, coefficient = ranks[0].calls[-1][1]
    assert [shard.num_tokens for shard in shards] == [16, 11] * 3
    assert coefficient == 0.25


async def test_demonstrations_in_rl_are_normalised_by_their_own_tokens() -> None:
    group, ranks = make_group(1, algorithm="grpo")
    batch = make_batch([4, 12, 5, 7])
    shape = batch.mask.shape
    batch = replace(
        batch,
        supervised=np.array([False, True, False, True]),
        scales=np.where([[False], [True], [False], [True]], 3.0, 0.5) * np.ones(shape),
    )
    await group.policy_step(batch)
    (shard,) = ranks[0].calls[-1][1][0]
    # A mean over the two rollouts, times 1/2; a mean over the 15 demonstrated tokens, times 3.
    of_row = dict(zip(shard.rows.tolist(), shard.weights.sum(axis=1).tolist(), strict=True))
    assert of_row == pytest.approx({0: 1 / 4, 1: 3 * 10 / 15, 2: 1 / 4, 3: 3 * 5 / 15})


async def test_scores_of_all_ranks_are_put_back_into_the_rows_of_the_batch() -> None:
    class ScoringRank(FakeRank):
        async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
            shard = args[0]
            said = np.where(shard.mask, shard.rows[:, None] + 1.0, 0.0).astype(np.float32)
            return {"rows": shard.rows, "logprobs": -said, "entropies": said}

    group = LearnerGroup([ScoringRank(), ScoringRank()], sft=SFTConfig(), rl=RLConfig())
    batch = make_batch([4, 12, 5])
    scores = await group.score(batch)
    expected = np.where(batch.mask, np.array([[1.0], [2.0], [3.0]]), 0.0)
    assert np.array_equal(scores.entropies, expected)
    assert np.array_equal(scores.learner_logprobs, -expected)
    assert scores.reference_logprobs is None and scores.values is None
    assert await group.sft_loss(batch) == pytest.approx((2 * 1 + 10 * 2 + 3 * 3) / 15)


@pytest.mark.parametrize(("coefficient", "kept"), [(0.0, False), (0.01, True)])
async def test_a_reference_is_kept_only_for_a_kl_term(coefficient: float, kept: bool) -> None:
    group, ranks = make_group(2, kl_coefficient=coefficient)
    await group.begin_rl(num_steps=5)
    await group.begin_sft(num_steps=6)
    for rank in ranks:
        (_, (rl,), _), (_, (sft,), _) = rank.calls
        assert (rl.num_steps, rl.keep_reference) == (5, kept)
        assert (sft.num_steps, sft.keep_reference) == (6, False)


async def test_all_ranks_take_part_in_sending_and_rank_0s_reference_is_offered_unopened() -> None:
    group, ranks = make_group(3)
    channel = Channel()
    await group.send(await group.version(), channel)
    assert channel.offered == [("reference", "weights")]
    assert [rank.calls[-1] for rank in ranks] == [
        ("put weights", (), {"step": 4}),
        ("weights", (), {"step": 4}),
        ("weights", (), {"step": 4}),
    ]


async def test_steps_go_on_from_the_restored_ones(tmp_path: Path) -> None:
    group, ranks = make_group(2)
    await group.restore(tmp_path)
    assert ranks[1].calls[0] == ("restore", (tmp_path,), {})
    assert (await group.sft_step(make_batch([4]))).step == 8


async def test_a_dead_rank_ends_a_step_that_the_others_would_wait_for() -> None:
    group, ranks = make_group(2)
    ranks[0].hangs = True
    ranks[1].fails = LearnerError("learner rank 1 was killed by signal 9")
    with pytest.raises(LearnerError, match="killed by signal 9"):
        await asyncio.wait_for(group.sft_step(make_batch([4, 4])), timeout=5)
    assert ranks[0].cancelled


async def test_any_failure_of_a_rank_says_which_rank_and_what_it_did() -> None:
    group, ranks = make_group(2)
    ranks[1].fails = RuntimeError("out of memory")
    with pytest.raises(LearnerError, match=r"rank 1 failed in policy_step: out of memory"):
        await group.policy_step(make_batch([4, 4]))


def test_a_learner_without_ranks_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one rank"):
        make_group(0)


def shard_of(lengths: list[int]) -> Shard:
    batch = make_batch(lengths)
    return Shard(
        tokens=batch.tokens,
        mask=batch.mask,
        rollout_logprobs=batch.rollout_logprobs,
        advantages=batch.advantages,
        weights=batch.mask * np.float32(0.01),
        lengths=batch.lengths,
        rows=np.arange(batch.num_sequences),
    )


def test_means_are_taken_once_over_all_ranks_and_updates() -> None:
    small, large = shard_of([3]), shard_of([12, 12])  # 1 and 20 trained tokens
    metrics = merge_policy(
        [
            [policy_report(small, seconds=1.0, kl=2.0), policy_report(small, seconds=5.0, kl=2.0)],
            [policy_report(large, seconds=3.0, kl=8.5), policy_report(large, seconds=4.0, kl=8.5)],
        ]
    )
    assert metrics == pytest.approx(
        {
            "loss": 0.21,
            "grad_norm": 3.0,
            "entropy": 1.5,
            "clip_fraction_low": 4 / 42,
            "clip_fraction_high": 8 / 42,
            "logprob_difference_mean": 0.25,
            "logprob_difference_max": 2.0,
            "kl_reference": 21 / 42,
            "learning_rate": 1e-4,
            "trained_tokens": 42,
            "forward_backward_seconds": 8.0,
            "tokens_per_second": 54 / 8,
            "sequences": 6,
            "padding": 0.25,
            "mismatch_kl": 0.0,
            "log_ratio_q01": 0.0,
            "log_ratio_q50": 0.0,
            "log_ratio_q99": 0.0,
            "effective_share": 1.0,
            "correction_mean": 1.0,
            "corrected_effective_share": 1.0,
            "corrected_share": 0.0,
        }
    )


def test_a_run_without_reference_reports_no_kl() -> None:
    assert "kl_reference" not in merge_policy([[policy_report(shard_of([4]))]])


def test_a_lowered_token_budget_is_reported_by_every_step_after_it() -> None:
    shard = shard_of([4])
    as_ever, lower, lowest = (policy_report(shard, lowered=each) for each in (None, 96, 48))
    assert "micro_batch_tokens" not in merge_policy([[as_ever]])
    assert merge_policy([[lower], [as_ever], [lowest]])["micro_batch_tokens"] == 48


def test_the_mismatch_of_engine_and_learner_worked_by_hand() -> None:
    report = replace(
        policy_report(shard_of([6])),  # 4 trained tokens
        log_ratios=np.log(np.array([1.0, 2.0, 2.0, 1.0], dtype=np.float32)),
        correction_sum=1.0 + 1.5 + 1.5 + 1.0,
        correction_square_sum=1.0 + 2.25 + 2.25 + 1.0,
        corrected=2,
    )
    metrics = merge_policy([[report]])
    # The mean of r - 1 - log r, and the share (sum r)^2 / (n sum r^2).
    assert metrics["mismatch_kl"] == pytest.approx((1 - np.log(2)) / 2)
    assert metrics["effective_share"] == pytest.approx(36 / (4 * 10))
    assert metrics["corrected_effective_share"] == pytest.approx(25 / (4 * 6.5))
    assert metrics["correction_mean"] == pytest.approx(1.25)
    assert metrics["corrected_share"] == 0.5
    assert metrics["log_ratio_q50"] == pytest.approx(np.log(2) / 2)


def test_the_mismatch_is_that_of_the_first_update_before_the_learner_moves_away() -> None:
    first = policy_report(shard_of([6]))
    later = replace(first, log_ratios=np.full(4, 3.0, dtype=np.float32), corrected=4)
    metrics = merge_policy([[first, later]])
    assert metrics["mismatch_kl"] == 0.0
    assert metrics["corrected_share"] == 0.5  # over both


def test_a_step_without_tokens_of_the_policys_own_reports_no_mismatch() -> None:
    report = replace(
        policy_report(shard_of([6])),
        log_ratios=np.zeros(0, dtype=np.float32),
        supervised_tokens=4,
        own_tokens=0,
    )
    metrics = merge_policy([[report]])
    assert not {"mismatch_kl", "entropy", "clip_fraction_low"} & set(metrics)
    assert metrics["supervised_tokens"] == 4


def test_the_slowest_rank_sets_the_seconds_of_an_sft_step() -> None:
    metrics = merge_sft([sft_report(3, seconds=1.0), sft_report(5, seconds=2.0)])
    assert (metrics["tokens"], metrics["seconds"], metrics["loss"]) == (8, 2.0, 1.0)


@pytest.mark.parametrize(
    ("given", "clip_high", "kl_coefficient", "aggregation"),
    [
        ({"algorithm": "dapo"}, 0.28, 0.0, "token_mean"),
        ({"algorithm": "grpo"}, 0.2, 0.001, "sequence_mean"),
        ({"algorithm": "grpo", "clip_high": 0.3, "kl_coefficient": 0.0}, 0.3, 0.0, "sequence_mean"),
    ],
)
def test_an_algorithm_is_a_set_of_defaults(
    given: dict[str, Any], clip_high: float, kl_coefficient: float, aggregation: str
) -> None:
    algorithm = resolve_algorithm(RLConfig(**given))
    assert algorithm.clips.low == 0.2
    assert algorithm.clips.high == clip_high
    assert algorithm.kl_coefficient == kl_coefficient
    assert algorithm.aggregate is AGGREGATIONS[aggregation]


def test_tokens_without_weight_are_in_no_mean() -> None:
    shard = shard_of([12])  # 10 trained tokens
    report = replace(policy_report(shard), entropy_sum=6.0, clipped_low=2, own_tokens=4)
    metrics = merge_policy([[report]])
    assert metrics["entropy"] == 1.5
    assert metrics["clip_fraction_low"] == 0.5
    assert metrics["trained_tokens"] == 10


def test_steps_of_the_critic_alone_are_none_of_the_policys_warm_up() -> None:
    rl = RLConfig(algorithm="ppo", critic_warmup_steps=3)
    assert StageSettings(config=rl, num_steps=9).critic_warmup_steps == 3
    plain = rl.model_copy(update={"algorithm": "grpo"})
    assert StageSettings(config=plain, num_steps=9).critic_warmup_steps == 0
