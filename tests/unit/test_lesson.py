"""One RL step before and after the learner's update, with a learner that keeps what it is told."""

from __future__ import annotations

import math

import numpy as np
import pytest

from learners.packing import split_batch
from tailor_rl.config.learning import RLConfig
from tailor_rl.errors import ConfigError
from tailor_rl.methods.hooks import Mix
from tailor_rl.stages.lesson import Lesson
from tailor_rl.stages.reinforce import StepRecord
from tests.fake_journal import FakeJournal, Records
from tests.fakes import FakeTokens
from tests.lesson_fakes import RecordingLearner, make_group, make_lesson

POLICY, SUPERVISED = Mix(), Mix(policy=0.0, supervised=1.0)
MISMATCH = {"mismatch_kl": 0.02}


async def test_the_batch_holds_the_advantages_of_the_algorithm() -> None:
    learner = RecordingLearner()
    learnt = await make_lesson(learner).learn(1, POLICY, [make_group([1, 0]), make_group([0, 0])])
    (batch,) = learner.learnt
    assert batch.advantages[0, 2:5].tolist() == pytest.approx([1, 1, 1], abs=1e-5)
    assert batch.advantages[1, 2:5].tolist() == pytest.approx([-1, -1, -1], abs=1e-5)
    assert not batch.advantages[:2, :2].any() and not batch.advantages[2:].any()
    assert learner.scored == []  # nobody asked for a second pass
    assert learnt.tokens == 4 * 5
    assert learnt.notes == ()


async def test_tokens_are_counted_in_every_epoch() -> None:
    learnt = await make_lesson(RecordingLearner(), epochs_per_step=3).learn(
        1, POLICY, [make_group([1, 0])]
    )
    assert learnt.tokens == 3 * 2 * 5


async def test_rollouts_that_are_cut_off_count_in_their_group_and_are_not_learnt_from() -> None:
    learner, plain = RecordingLearner(), RecordingLearner()
    group = make_group([1, 0, 0], cut=[2])
    await make_lesson(learner, overlong_filtering=True).learn(1, POLICY, [group])
    await make_lesson(plain).learn(1, POLICY, [group])
    (batch,), (whole,) = learner.learnt, plain.learnt
    assert whole.num_sequences == 3 and batch.num_sequences == 2
    # The mean is 1/3 with the third, and would be 1/2 without it.
    assert np.array_equal(batch.advantages, whole.advantages[:2])
    assert batch.advantages[0, 2] == pytest.approx(math.sqrt(2), rel=1e-4)


async def test_a_step_with_nothing_left_makes_no_update_and_says_so() -> None:
    learner = RecordingLearner()
    lesson = make_lesson(learner, overlong_filtering=True)
    learnt = await lesson.learn(4, POLICY, [make_group([1, 0], cut=[0, 1])])
    assert learner.learnt == [] and learner.step == 0
    assert learnt.tokens == 0
    assert learnt.update.step == 0
    assert learnt.update.metrics == {"skipped": 1.0}
    (note,) = learnt.notes
    assert note.startswith("step 4: no token of its rollouts is left")
    assert "rl.max_tokens=8" in note and "raise rl.max_tokens" in note


async def test_no_part_of_a_step_consists_of_what_is_filtered_alone() -> None:
    learner = RecordingLearner()
    lesson = make_lesson(learner, overlong_filtering=True, updates_per_step=2)
    await lesson.learn(1, POLICY, [make_group([1, 0, 1, 0], cut=[0, 1])])
    parts = split_batch(learner.learnt[0], 2)
    assert [part.mask.any() for part in parts] == [True, True]


async def test_a_punished_length_comes_off_the_reward_before_groups_are_compared() -> None:
    learner = RecordingLearner()
    groups = [make_group([1, 1], length=6), make_group([1, 1], length=3)]
    uneven = make_group([0, 0])
    uneven = type(uneven)(
        problem=uneven.problem,
        rollouts=(groups[0].rollouts[0], groups[1].rollouts[0]),
        grades=groups[0].grades,
        order=0,
    )
    await make_lesson(learner, overlong_buffer=4, algorithm="dr_grpo").learn(1, POLICY, [uneven])
    # 6 of 8 tokens are two into a buffer of four: 1/2 less; the mean is 3/4.
    assert learner.learnt[0].advantages[:, 2].tolist() == pytest.approx([-0.25, 0.25])


@pytest.mark.parametrize("kl_in", ["loss", "reward"])
async def test_kl_is_paid_in_the_loss_or_in_the_reward_and_never_twice(kl_in: str) -> None:
    learner = RecordingLearner()
    lesson = make_lesson(
        learner,
        algorithm="dr_grpo",
        kl_coefficient=0.1,
        kl_estimate="k2" if kl_in == "loss" else "k1",
        kl_in=kl_in,
    )
    short, long = make_group([1], length=2), make_group([0], length=6)
    group = type(short)(
        problem=short.problem,
        rollouts=short.rollouts + long.rollouts,
        grades=short.grades + long.grades,
        order=0,
    )
    await lesson.learn(1, POLICY, [group])
    (batch,) = learner.learnt
    assert batch.reference_logprobs is not None
    assert batch.reference_logprobs[0, 2] == -1.5
    if kl_in == "loss":
        assert learner.coefficients == [0.1]
        assert batch.advantages[:, 2].tolist() == pytest.approx([0.5, -0.5])
    else:
        # 0.05 a token: 1 - 0.1 and 0 - 0.3, whose mean is 0.3.
        assert learner.coefficients == [0.0]
        assert batch.advantages[:, 2].tolist() == pytest.approx([0.6, -0.6])


async def test_ratios_are_taken_to_recomputed_log_probabilities_where_they_are_asked_for() -> None:
    learner = RecordingLearner()
    await make_lesson(learner, logprobs="recomputed").learn(1, POLICY, [make_group([1, 0])])
    await make_lesson(learner).learn(1, POLICY, [make_group([1, 0])])
    recomputed, stored = learner.learnt
    assert recomputed.proximal_logprobs is not None
    assert recomputed.proximal_logprobs[0].tolist() == [0, 0, -1, -1, -1]
    assert recomputed.rollout_logprobs[0].tolist() == [0, 0, -0.5, -0.5, -0.5]
    assert stored.proximal_logprobs is None


async def test_a_critic_is_given_its_old_values_and_what_to_learn() -> None:
    learner = RecordingLearner()
    lesson = make_lesson(learner, algorithm="ppo", kl_coefficient=0.0, gae_lambda=1.0)
    await lesson.learn(1, POLICY, [make_group([1, 0])])
    (batch,) = learner.learnt
    assert batch.old_values is not None and batch.returns is not None
    assert batch.old_values[0].tolist() == [0, 0, 0.25, 0.25, 0.25]
    assert batch.returns[:, 2:].tolist() == [[1, 1, 1], [0, 0, 0]]


async def test_an_adapting_coefficient_follows_the_kl_and_is_remembered() -> None:
    learner = RecordingLearner({"kl_reference": 0.5}, {"kl_reference": 0.5})
    lesson = make_lesson(learner, algorithm="grpo", kl_target=0.1, kl_horizon=100)
    first = await lesson.learn(1, POLICY, [make_group([1, 0])])
    second = await lesson.learn(2, POLICY, [make_group([1, 0])])
    # Far above the target: 0.2 x 2 rollouts of a horizon of 100, each time.
    assert first.update.metrics["kl_coefficient"] == 0.001
    assert learner.coefficients == pytest.approx([0.001, 0.001 * 1.004])
    assert second.update.metrics["kl_coefficient"] == learner.coefficients[1]

    resumed = make_lesson(RecordingLearner(), algorithm="grpo", kl_target=0.1, kl_horizon=100)
    resumed.load(lesson.state())
    assert resumed.state() == lesson.state()
    assert resumed.state()["kl_coefficient"] == pytest.approx(0.001 * 1.004**2)


async def test_a_fixed_coefficient_stays() -> None:
    lesson = make_lesson(RecordingLearner({"kl_reference": 0.5}), algorithm="grpo")
    await lesson.learn(1, POLICY, [make_group([1, 0])])
    assert lesson.state()["kl_coefficient"] == 0.001


async def test_a_step_of_demonstrations_alone_needs_no_groups_and_no_scores() -> None:
    learner = RecordingLearner({"kl_reference": 9.0})
    lesson = make_lesson(learner, algorithm="grpo", kl_target=0.1)
    await lesson.learn(1, SUPERVISED, [])
    (batch,) = learner.learnt
    assert batch.supervised is not None and batch.supervised.tolist() == [True] * 4
    assert learner.scored == []
    assert lesson.state()["kl_coefficient"] == 0.001  # it was no KL of the policy's own rollouts


async def test_demonstrations_of_a_step_are_drawn_by_its_number_and_none_twice() -> None:
    drawn = []
    for step in (1, 2, 1):
        learner = RecordingLearner()
        await make_lesson(learner).learn(step, SUPERVISED, [])
        drawn.append(learner.learnt[0].lengths.tolist())
    assert drawn[0] == drawn[2] != drawn[1]
    assert len(set(drawn[0])) == 4  # each demonstration of the six has a length of its own


@pytest.mark.parametrize(("policy", "supervised"), [(0.5, 2.0), (1.0, 0.25), (3.0, 1.0)])
async def test_both_losses_get_their_weights(policy: float, supervised: float) -> None:
    learner = RecordingLearner()
    await make_lesson(learner).learn(
        1, Mix(policy=policy, supervised=supervised), [make_group([1, 0])]
    )
    (batch,) = learner.learnt
    assert batch.supervised is not None and batch.scales is not None
    trained = batch.mask & batch.supervised[:, None]
    assert set(batch.scales[trained].tolist()) == {supervised}
    assert set(batch.scales[batch.mask & ~trained].tolist()) == {policy}


async def test_every_part_of_a_step_gets_its_share_of_both_losses() -> None:
    learner = RecordingLearner()
    lesson = make_lesson(learner, updates_per_step=2)
    groups = [make_group([1, 0, 1, 0]), make_group([0, 1, 1, 0])]
    await lesson.learn(1, Mix(policy=0.5, supervised=2.0), groups)
    (batch,) = learner.learnt
    assert batch.supervised is not None
    for part in split_batch(batch, 2):
        assert part.supervised is not None
        assert part.supervised.sum() == 2 and part.num_sequences == 6
    assert not batch.advantages[batch.supervised].any()
    signs = np.sign(batch.advantages[~batch.supervised, 2]).tolist()
    assert signs == [1, -1, 1, -1, -1, 1, 1, -1]  # in the order of the groups


async def test_a_mix_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="step 3: a mix must give"):
        await make_lesson(RecordingLearner()).learn(3, Mix(policy=0.0), [])


async def test_a_mismatch_is_said_once_until_it_has_gone() -> None:
    below = {"mismatch_kl": 0.001}
    learner = RecordingLearner(
        below, MISMATCH, MISMATCH, below, MISMATCH, {"mismatch_kl": math.nan}
    )
    lesson = make_lesson(learner)
    said: list[str] = []
    for step in range(1, 7):
        learnt = await lesson.learn(step, POLICY, [make_group([1, 0])])
        said += learnt.notes
    assert [line.partition(":")[0] for line in said] == ["step 2", "step 5"]
    assert "0.02 nats a token, above rl.mismatch_alarm=0.01" in said[0]
    assert 'rl.logprobs="recomputed" with rl.correction="token_is"' in said[0]
    assert "rl.max_lag below 1" in said[0]


async def test_a_mismatch_that_is_no_number_is_said() -> None:
    lesson = make_lesson(RecordingLearner({"mismatch_kl": math.nan}))
    learnt = await lesson.learn(1, POLICY, [make_group([1, 0])])
    assert len(learnt.notes) == 1


async def test_advice_that_was_taken_is_not_given_again() -> None:
    lesson = make_lesson(
        RecordingLearner(MISMATCH), logprobs="recomputed", correction="token_is", max_lag=0
    )
    learnt = await lesson.learn(1, POLICY, [make_group([1, 0])])
    (line,) = learnt.notes
    assert line.endswith("try the same dtype for engines and learner")


async def test_what_a_lesson_says_is_logged_and_its_metrics_are_kept(tmp_path: object) -> None:
    records = Records(folder=tmp_path)  # type: ignore[arg-type]
    learnt = await make_lesson(RecordingLearner(MISMATCH)).learn(1, POLICY, [make_group([1, 0])])
    record = StepRecord(FakeJournal(records), step=1)
    record.learned(learnt)
    record.write([])
    assert records.said == list(learnt.notes)
    assert records.files["metrics"][0]["mismatch_kl"] == 0.02
    assert records.ledger["rl"]["learner_tokens"] == learnt.tokens


def test_a_method_without_demonstrations_to_mix_in_is_refused() -> None:
    with pytest.raises(ConfigError, match=r'rl\.method="sasr" learns from demonstrations'):
        Lesson(
            RLConfig(method="sasr"),
            learner=RecordingLearner(),
            tokens=FakeTokens(),
            demonstrations=[],
            batch_size=4,
            seed=1,
        )


async def test_memory_that_ran_out_is_told_once_for_each_time_the_budget_falls() -> None:
    learner = RecordingLearner(
        {}, {"micro_batch_tokens": 512}, {"micro_batch_tokens": 512}, {"micro_batch_tokens": 256}
    )
    lesson = make_lesson(learner)
    notes = [(await lesson.learn(i, POLICY, [make_group([1, 0])])).notes for i in range(4)]
    assert notes[0] == notes[2] == ()
    assert "learner.micro_batch_tokens=512" in notes[1][0]
    assert "step 3: out of memory; micro-batches have at most 256 tokens" in notes[3][0]
