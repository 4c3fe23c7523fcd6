"""PPO's critic in real DeepSpeed ranks, against the same network in plain PyTorch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from learners.group import LearnerGroup
from tailor_rl.batch import rows_of
from tailor_rl.config.learning import RLConfig, SFTConfig
from tailor_rl.methods.hooks import Mix
from tailor_rl.stages.lesson import Lesson
from tailor_rl.types import Batch, Grade, Group, Problem, Rollout, Update
from tests.fakes import FakeTokens
from tests.learner_processes import RankProcesses
from tests.learner_reference import make_batch as random_batch

RL = RLConfig(
    algorithm="ppo", learning_rate=1e-3, warmup_steps=0, weight_decay=0.01, max_grad_norm=0.5,
    critic_learning_rate=2e-3, value_clip=0.2, temperature=0.8,
)  # fmt: skip
# (ranks, ZeRO stage, tokens of a micro-batch, gradient checkpointing)
CUTS = [
    (1, 0, 10_000, False),
    (1, 0, 1, False),
    (1, 1, 60, False),
    (1, 2, 60, False),
    (1, 3, 60, False),
    (2, 0, 60, False),
    (2, 1, 40, False),
    (2, 2, 40, False),
    (2, 3, 10_000, False),
    (2, 3, 40, True),
]


def make_batch(seed: int) -> Batch:
    batch = random_batch(seed)
    returns = np.random.default_rng(seed).normal(size=batch.mask.shape) * batch.mask
    return replace(batch, returns=returns.astype(np.float32))


class PlainCritic:
    """The formulas written out: one backbone, one linear layer, one AdamW, no cuts."""

    def __init__(self, student: Path) -> None:
        from transformers import AutoModel

        self.backbone = AutoModel.from_pretrained(student, dtype=torch.float32)
        self.head = torch.nn.Linear(self.backbone.config.hidden_size, 1)
        torch.nn.init.zeros_(self.head.weight)
        torch.nn.init.zeros_(self.head.bias)
        self.parameters = [*self.backbone.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=2e-3, weight_decay=0.01)

    def values(self, batch: Batch) -> torch.Tensor:
        """(B, T): entry t is of the state before token t."""
        hidden = self.backbone(input_ids=torch.from_numpy(batch.tokens)).last_hidden_state
        after = self.head(hidden).squeeze(-1)
        before = torch.nn.functional.pad(after[:, :-1], (1, 0))
        return before * torch.from_numpy(batch.mask)

    def update(self, batch: Batch, old: torch.Tensor) -> tuple[float, float]:
        returns, mask = torch.from_numpy(batch.returns), torch.from_numpy(batch.mask)
        values = self.values(batch)
        held = torch.maximum(torch.minimum(values, old + 0.2), old - 0.2)
        worse = torch.maximum((values - returns) ** 2, (held - returns) ** 2)
        loss = 0.5 * worse[mask].mean()
        self.optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, 0.5)
        self.optimizer.step()
        return loss.item(), float(norm)


@pytest.fixture(scope="module")
def plain(student: Path) -> dict[str, Any]:
    critic = PlainCritic(student)
    losses, norms = [], []
    for step in range(3):
        batch = make_batch(step)
        with torch.no_grad():
            old = critic.values(batch)
        loss, norm = critic.update(batch, old)
        losses.append(loss)
        norms.append(norm)
        if step == 1:
            moments = [critic.optimizer.state[p]["exp_avg"].numpy() for p in critic.parameters]
            moments = [moment.copy() for moment in moments]
    with torch.no_grad():
        values = critic.values(make_batch(3)).numpy()
    return {"losses": losses, "norms": norms, "moments": moments, "values": values}


async def group_of(
    processes: RankProcesses, student: Path, *, rl: RLConfig = RL, **settings: Any
) -> LearnerGroup:
    values = {"micro_batch_tokens": 60, **settings}
    return LearnerGroup(
        await processes.start(student=str(student), **values), sft=SFTConfig(), rl=rl
    )


async def values_of(group: LearnerGroup, batch: Batch) -> np.ndarray:
    values = (await group.score(batch)).values
    assert values is not None
    return values


async def learn(group: LearnerGroup, batch: Batch) -> Update:
    scores = await group.score(batch)
    return await group.policy_step(replace(batch, old_values=scores.values))


@pytest.mark.parametrize(("ranks", "zero_stage", "micro_batch_tokens", "checkpointing"), CUTS)
async def test_values_and_gradients_are_those_of_a_plain_network_under_every_cut(
    processes: dict[int, RankProcesses],
    student: Path,
    plain: dict[str, Any],
    ranks: int,
    zero_stage: int,
    micro_batch_tokens: int,
    checkpointing: bool,
) -> None:
    group = await group_of(
        processes[ranks],
        student,
        zero_stage=zero_stage,
        micro_batch_tokens=micro_batch_tokens,
        gradient_checkpointing=checkpointing,
    )
    await group.begin_rl(num_steps=10)
    first = await group.score(make_batch(0))
    assert first.values is not None and not first.values.any()
    for step in range(3):
        update = await learn(group, make_batch(step))
        assert update.metrics["value_loss"] == pytest.approx(plain["losses"][step], rel=1e-5)
        assert update.metrics["critic_grad_norm"] == pytest.approx(plain["norms"][step], rel=2e-5)
        if step == 1:  # by then the backbone has a gradient
            moments = (await processes[ranks].all("critic_moments"))[0]
            assert relative_difference([*moments.values()], plain["moments"]) < 1e-5
    values = await values_of(group, make_batch(3))
    assert np.abs(values - plain["values"]).max() < 1e-5
    assert np.abs(values).max() > 0.05


def relative_difference(ours: list[np.ndarray], theirs: list[np.ndarray]) -> float:
    pairs = list(zip(ours, theirs, strict=True))
    difference = sum(float(((a - b).astype(np.float64) ** 2).sum()) for a, b in pairs)
    return float(
        np.sqrt(difference / sum(float((b.astype(np.float64) ** 2).sum()) for b in theirs))
    )


@pytest.mark.parametrize(
    ("ranks", "zero_stage", "dtype"),
    [
        (1, 0, "float32"),
        (1, 1, "float32"),
        (2, 2, "float32"),
        (2, 3, "float32"),
        (2, 1, "bfloat16"),
    ],
)
async def test_a_restored_critic_goes_on_bit_by_bit(
    processes: dict[int, RankProcesses],
    student: Path,
    tmp_path: Path,
    ranks: int,
    zero_stage: int,
    dtype: str,
) -> None:
    async def fresh() -> LearnerGroup:
        group = await group_of(processes[ranks], student, zero_stage=zero_stage, dtype=dtype)
        await group.begin_rl(num_steps=10)
        return group

    def timeless(update: Update) -> dict[str, float]:
        return {name: value for name, value in update.metrics.items() if "second" not in name}

    group = await fresh()
    for step in range(2):
        await learn(group, make_batch(step))
    await group.save(tmp_path)
    straight = [timeless(await learn(group, make_batch(step))) for step in (2, 3)]
    values = await values_of(group, make_batch(4))

    group = await fresh()
    await group.restore(tmp_path)
    assert [timeless(await learn(group, make_batch(step))) for step in (2, 3)] == straight
    assert np.array_equal(await values_of(group, make_batch(4)), values)


async def test_warm_up_steps_move_the_critic_alone(
    processes: dict[int, RankProcesses], student: Path
) -> None:
    rl = RL.model_copy(update={"critic_warmup_steps": 2, "warmup_steps": 4})
    group = await group_of(processes[2], student, zero_stage=1, rl=rl)
    await group.begin_rl(num_steps=10)
    before = (await group.version()).checksum
    losses = []
    for _ in range(2):
        update = await learn(group, make_batch(0))
        assert update.metrics["grad_norm"] == update.metrics["learning_rate"] == 0.0
        losses.append(update.metrics["value_loss"])
    assert (await group.version()).checksum == before
    assert losses[1] < losses[0]
    # What would have been learnt is reported as ever: the critic changes no policy loss.
    loss = update.metrics["loss"]
    update = await learn(group, make_batch(0))
    assert update.metrics["loss"] == pytest.approx(loss, rel=1e-5)
    # The policy's own warm-up begins only now.
    assert update.metrics["learning_rate"] == pytest.approx(rl.learning_rate / 4)
    assert (await group.version()).checksum != before


async def test_demonstrations_among_the_rollouts_teach_the_critic_nothing(
    processes: dict[int, RankProcesses], student: Path
) -> None:
    async def losses(batch: Batch) -> list[float]:
        group = await group_of(processes[2], student, zero_stage=0)
        await group.begin_rl(num_steps=10)
        updates = [await learn(group, batch) for _ in range(2)]
        return [update.metrics["value_loss"] for update in updates]

    batch = make_batch(0)
    supervised = np.arange(batch.num_sequences) % 2 == 0
    mixed = replace(batch, supervised=supervised)
    alone = rows_of(batch, np.flatnonzero(~supervised))
    assert await losses(mixed) == pytest.approx(await losses(alone), rel=1e-5)


@pytest.mark.parametrize("ranks", [1, 2])
async def test_through_a_lesson_a_critic_learns_which_answers_are_right(
    processes: dict[int, RankProcesses], student: Path, ranks: int
) -> None:
    """An answer of even tokens is right, one of odd tokens is wrong: from the first on it shows."""
    rl = RL.model_copy(
        update={
            "critic_warmup_steps": 100,  # the policy stands still, so its values can be learnt
            "critic_learning_rate": 1e-2,
            "kl_coefficient": 0.0,
            "value_clip": None,
            "max_grad_norm": 10.0,
        }
    )
    group = await group_of(processes[ranks], student, zero_stage=1, micro_batch_tokens=400, rl=rl)
    await group.begin_rl(num_steps=100)
    lesson = Lesson(rl, learner=group, tokens=FakeTokens(), demonstrations=[], batch_size=1, seed=0)
    explained = []
    for step in range(30):
        learnt = await lesson.learn(step, Mix(), groups_of(step))
        explained.append(learnt.update.metrics["explained_variance"])
    assert np.mean(explained[:2]) < 0.2
    # 0.8 is all there is: one state of five is before the first token.
    assert np.mean(explained[-5:]) > 0.5
    rewards = np.array([reward for group in groups_of(29) for reward in group.rewards])
    assert learnt.batch.old_values is not None
    second = learnt.batch.mask.argmax(axis=1) + 1
    known = np.take_along_axis(learnt.batch.old_values, second[:, None], axis=1)[:, 0]
    assert np.corrcoef(known, rewards)[0, 1] > 0.9


def groups_of(seed: int) -> list[Group]:
    random = np.random.default_rng(seed)
    groups = []
    for order in range(8):
        rollouts: list[Rollout] = []
        grades: list[Grade] = []
        for _ in range(4):
            odd = int(random.integers(2))
            answer = tuple(100 + 2 * int(token) + odd for token in random.integers(0, 4, 5))
            rollouts.append(
                Rollout(
                    problem_id=f"p{order}",
                    prompt_ids=(1, 50, 60),
                    token_ids=answer,
                    rollout_logprobs=(-5.5,) * len(answer),
                    text="",
                    finish_reason="stop",
                    first_version=0,
                    last_version=0,
                )
            )
            right = 1.0 - odd
            grades.append(Grade(correct=right, reward=right, components={}))
        problem = Problem(
            id=f"p{order}", prompt="", answer="", split="train", difficulty=0, metadata={}
        )
        groups.append(Group(problem, tuple(rollouts), tuple(grades), order))
    return groups


async def test_the_rate_falls_over_the_steps_that_train_the_policy(
    processes: dict[int, RankProcesses], student: Path
) -> None:
    changes = {"schedule": "cosine", "warmup_steps": 1, "critic_warmup_steps": 1}
    rl = RL.model_copy(update=changes)
    group = await group_of(processes[1], student, rl=rl, zero_stage=0)
    await group.begin_rl(num_steps=4)
    rates = [(await learn(group, make_batch(step))).metrics["learning_rate"] for step in range(4)]
    peak = RL.learning_rate
    assert rates == pytest.approx([0.0, peak, peak, peak / 2])
