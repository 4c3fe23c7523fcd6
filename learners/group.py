"""M ranks that act as one learner.

Knows nothing about DeepSpeed or Ray: a rank is a handle whose methods are called by name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from learners.metrics import merge_policy, merge_sft
from learners.packing import Shard, shard_batch, split_batch
from learners.settings import StageSettings
from tailor_rl.algorithms.aggregation import token_mean
from tailor_rl.config.algorithms import resolve_algorithm
from tailor_rl.config.learning import RLConfig, SFTConfig
from tailor_rl.errors import LearnerError, TailorError
from tailor_rl.protocols import WeightChannel
from tailor_rl.types import Batch, Scores, Update, WeightVersion


class RankHandle(Protocol):
    """One `LearnerRank`, wherever it runs. Raises LearnerError with the reason when it has died."""

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Run a method there and bring its result here."""
        ...

    async def put(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Start a method there and leave its result where it is: returns an opaque reference to it.

        May return before the method has finished; whoever resolves the reference waits for it.
        """
        ...


class LearnerGroup:
    """Implements `tailor_rl.protocols.Learner`. Every call reaches all ranks: they meet inside."""

    def __init__(self, ranks: Sequence[RankHandle], *, sft: SFTConfig, rl: RLConfig) -> None:
        if not ranks:
            raise ValueError("a learner needs at least one rank")
        self._ranks = tuple(ranks)
        self._sft = sft
        self._rl = rl
        self._algorithm = resolve_algorithm(rl)
        self._step = 0
        self._noted: str | None = None

    async def begin_sft(self, *, num_steps: int) -> None:
        """Fresh optimizer and schedule; the weights stay."""
        await self._all("begin", StageSettings(config=self._sft, num_steps=num_steps))

    async def begin_rl(self, *, num_steps: int) -> None:
        """Fresh optimizer and schedule; these weights are the reference of the KL term, if any."""
        await self._all("begin", StageSettings(config=self._rl, num_steps=num_steps))

    async def sft_step(self, batch: Batch) -> Update:
        """Metrics: loss, grad_norm, learning_rate, tokens, seconds."""
        shards = self._shard(batch, token_mean(batch.mask))
        reports = await self._each("sft_step", [(shard,) for shard in shards])
        self._step += 1
        return Update(step=self._step, metrics=merge_sft(reports))

    async def sft_loss(self, batch: Batch) -> float:
        logprobs_BT = (await self._score("score", batch, 1.0))["logprobs"]
        return float(-logprobs_BT[batch.mask].mean(dtype=np.float64))

    async def sft_features(self, batch: Batch) -> np.ndarray:
        return (await self._score("sft_features", batch))["features"]

    async def logprobs_of(self, folder: Path | None, batch: Batch) -> np.ndarray:
        return (await self._score("score_by", batch, folder))["logprobs"]

    async def score(self, batch: Batch) -> Scores:
        columns = await self._score("score", batch, self._rl.temperature)
        return Scores(
            learner_logprobs=columns["logprobs"],
            entropies=columns["entropies"],
            reference_logprobs=columns.get("reference_logprobs"),
            values=columns.get("values"),
        )

    async def policy_step(self, batch: Batch, *, kl_coefficient: float = 0.0) -> Update:
        """Metrics: see `merge_policy`.

        The batch is cut into `updates_per_step` consecutive parts, each normalised by itself, and
        each makes one optimizer update; `epochs_per_step` times over.
        """
        parts = split_batch(batch, self._rl.updates_per_step) * self._rl.epochs_per_step
        sharded = [self._shard(part, self._weights(part)) for part in parts]
        shards_of = zip(*sharded, strict=True)  # [rank][update]
        calls = [(list(shards), kl_coefficient) for shards in shards_of]
        reports = await self._each("policy_step", calls)
        self._step += 1
        return Update(step=self._step, metrics=merge_policy(reports))

    def _weights(self, batch: Batch) -> np.ndarray:
        """Supervised rows are normalised by their own tokens, the others by the algorithm."""
        weights_BT = np.zeros(batch.mask.shape, dtype=np.float32)
        supervised_B = batch.supervised
        if supervised_B is None:
            supervised_B = np.zeros(batch.num_sequences, dtype=np.bool_)
        own_BT = batch.mask & ~supervised_B[:, None]
        if own_BT.any():
            weights_BT += self._algorithm.aggregate(own_BT, max_tokens=self._rl.max_tokens)
        given_BT = batch.mask & supervised_B[:, None]
        if given_BT.any():
            weights_BT += token_mean(given_BT)
        return weights_BT if batch.scales is None else weights_BT * batch.scales

    async def _score(self, method: str, batch: Batch, *args: Any) -> dict[str, np.ndarray]:
        """Columns of a method that looks at a batch, put together from those of the ranks."""
        shards = self._shard(batch, batch.mask.astype(np.float32))
        parts = await self._each(method, [(shard, *args) for shard in shards])
        columns: dict[str, np.ndarray] = {}
        for part in parts:
            for name, values in part.items():
                if name != "rows" and len(values):
                    # A shard is no wider than its longest sequence.
                    width = values.shape[1]
                    wide = width if method == "sft_features" else batch.tokens.shape[1]
                    whole = np.zeros((batch.num_sequences, wide), dtype=np.float32)
                    columns.setdefault(name, whole)[part["rows"], :width] = values
        return columns

    async def version(self) -> WeightVersion:
        """Step (updates of all stages since the student) and checksum of the weights held now."""
        named: WeightVersion = (await self._all("version"))[0]
        return named

    async def send(self, version: WeightVersion, channel: WeightChannel) -> None:
        """Offer a reference to the `WeightBundle` of `version`: what rank 0's handle made of it.

        Raises LearnerError when the ranks hold other weights by now.
        """
        first = self._guard(0, self._ranks[0].put, "weights", step=version.step)
        others = [
            self._guard(i, rank.call, "weights", step=version.step)
            for i, rank in enumerate(self._ranks)
            if i > 0
        ]
        reference, *_ = await _together([first, *others])
        await channel.offer(reference)

    async def save(self, folder: Path) -> None:
        """Write a checkpoint; complete when this returns."""
        await self._all("save", folder)

    async def restore(self, folder: Path) -> str | None:
        """Go on from a checkpoint; after `begin_sft` or `begin_rl`, whichever it was written in.

        A run restores one for each stage: the same sentence is returned once.
        """
        note: str | None = (await self._all("restore", folder))[0]
        self._step = (await self._all("step"))[0]
        if note == self._noted:
            return None
        self._noted = note
        return note

    async def load(self, folder: Path | None, *, step: int) -> None:
        """Take over the weights of a model folder (None: the student's own) as those of `step`."""
        await self._all("load", folder, step)
        self._step = step

    def _shard(self, batch: Batch, weights_BT: np.ndarray) -> list[Shard]:
        return shard_batch(batch, weights_BT, num_ranks=len(self._ranks))

    async def _all(self, method: str, *args: Any) -> list[Any]:
        return await self._each(method, [args] * len(self._ranks))

    async def _each(self, method: str, args: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Rank i gets args[i]. The first failure is raised at once: the rest wait for the dead."""
        pairs = zip(self._ranks, args, strict=True)
        calls = [self._guard(i, rank.call, method, *own) for i, (rank, own) in enumerate(pairs)]
        return await _together(calls)

    async def _guard(
        self,
        index: int,
        call: Callable[..., Awaitable[Any]],
        method: str,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        try:
            return await call(method, *args, **kwargs)
        except TailorError:
            raise
        except Exception as e:
            raise LearnerError(f"learner rank {index} failed in {method}: {e}") from e


async def _together(calls: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
