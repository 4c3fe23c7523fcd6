"""One rank of the learner: a model, its optimizer, and the counters that name its states.

A plain class; whoever starts it gives each rank a process of its own. Its methods are collective:
every rank is called with the same method before any is called with the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from learners import checkpoint
from learners.engine import Engine, named_weights
from learners.forward import Logits, model_logits
from learners.metrics import PolicyReport, SFTReport
from learners.model_loading import DType, load_model, load_tokenizer, set_weights
from learners.packing import Shard
from learners.policy_step import policy_step
from learners.process_group import Device, join
from learners.score import Columns, features_of, score
from learners.settings import PolicyLoss, StageSettings, sft_hooks
from learners.sft_step import sft_step
from learners.weight_sender import canary_tokens, make_bundle, next_token_logprobs, pack_all
from tailor_rl.algorithms.schedules import learning_rate
from tailor_rl.config.schema import RLConfig, SFTConfig
from tailor_rl.errors import LearnerError
from tailor_rl.types import WeightVersion
from tailor_rl.weights import WeightBundle


class LearnerRank:
    """`rank` of `world_size`, with the student's weights, waiting for `begin`.

    The step counts updates of all stages since the student (one for each call of a step method), so
    versions of one run are ordered.
    """

    def __init__(
        self,
        *,
        rank: int,
        world_size: int,
        master_addr: str,
        master_port: int,
        student: str,
        dtype: DType,
        zero_stage: int,
        threads: int,
        device: Device,
        micro_batch_tokens: int,
        gradient_checkpointing: bool,
        seed: int,
    ) -> None:
        join(
            rank=rank,
            world_size=world_size,
            master_addr=master_addr,
            master_port=master_port,
            threads=threads,
            device=device,
        )
        torch.manual_seed(seed + rank)
        self._rank = rank
        self._layout = checkpoint.Layout(world_size=world_size, zero_stage=zero_stage, dtype=dtype)
        self._student = student
        self._dtype: DType = dtype
        self._device = torch.device(device)
        self._micro_batch_tokens = micro_batch_tokens
        self._gradient_checkpointing = gradient_checkpointing
        self._model = self._load(student)
        self._engine: Engine | None = None
        self._reference: Any = None
        self._stage: StageSettings | None = None
        self._step = 0
        self._stage_step = 0
        self._bundle: tuple[int, WeightBundle | None] | None = None  # (step, on rank 0 the bundle)

    def begin(self, stage: StageSettings) -> None:
        """Fresh optimizer and schedule for the weights held now."""
        weights = self._copy_weights()
        if self._engine is not None:
            self._replace_model(self._student)  # the old one was cut up by ZeRO
            set_weights(self._model, weights)
        self._reference = self._frozen(weights) if stage.keep_reference else None
        self._stage = stage
        self._stage_step = 0
        self._engine = self._make_engine(stage)

    def sft_step(self, shard: Shard) -> SFTReport:
        """One supervised step on this rank's share of a batch."""
        stage, engine = self._begun()
        assert isinstance(stage.config, SFTConfig), stage
        report = sft_step(
            engine,
            shard,
            method=sft_hooks(stage.config),
            learning_rate=self._learning_rate(stage),
            max_tokens=self._micro_batch_tokens,
            device=self._device,
        )
        self._advance()
        return report

    def policy_step(self, shards: Sequence[Shard], kl_coefficient: float) -> list[PolicyReport]:
        """One policy step: an optimizer update for each of `shards`, in order."""
        stage, engine = self._begun()
        assert isinstance(stage.config, RLConfig), stage
        loss = PolicyLoss.of(stage.config, kl_coefficient=kl_coefficient)
        reports = [
            policy_step(
                engine,
                shard,
                loss=loss,
                learning_rate=self._learning_rate(stage),
                max_tokens=self._micro_batch_tokens,
                device=self._device,
            )
            for shard in shards
        ]
        self._advance()
        return reports

    def score(self, shard: Shard, temperature: float) -> Columns:
        """What the policy, and the reference if one is kept, say of the trained tokens."""
        columns = self._score(self._logits(), shard, temperature)
        if self._reference is not None:
            reference = self._score(model_logits(self._reference), shard, temperature)
            columns["reference_logprobs"] = reference["logprobs"]
        return columns

    def score_by(self, shard: Shard, folder: Path) -> Columns:
        """What another model, of the same vocabulary, says of the trained tokens."""
        model = load_model(
            str(folder), dtype=self._dtype, device=self._device, gradient_checkpointing=False
        )
        return self._score(model_logits(model), shard, 1.0)

    def sft_features(self, shard: Shard) -> Columns:
        """What the SFT method says of each sequence."""
        stage, _ = self._begun()
        assert isinstance(stage.config, SFTConfig), stage
        return features_of(
            self._logits(),
            shard,
            method=sft_hooks(stage.config),
            max_tokens=self._micro_batch_tokens,
            device=self._device,
        )

    def step(self) -> int:
        """Steps made since the student's own weights, which are step 0."""
        return self._step

    def logprobs(self, tokens: Sequence[int]) -> tuple[float, ...]:
        """Entry t: log-probability of tokens[t + 1] given those before it, at temperature 1."""
        return next_token_logprobs(self._logits(), tuple(tokens), device=self._device)

    def version(self) -> WeightVersion | None:
        """Name of the weights held now; None on other ranks than 0."""
        bundle = self._bundled()
        return None if bundle is None else bundle.version

    def weights(self, *, step: int) -> WeightBundle | None:
        """The weights of `step`, whole; None on other ranks than 0.

        Raises LearnerError when other weights are held by now.
        """
        if step != self._step:
            raise LearnerError(f"the weights of step {step} are gone: these are of {self._step}")
        return self._bundled()

    def save(self, folder: Path) -> None:
        """Write model, optimizer, counters and random state: see checkpoint.py."""
        _, engine = self._begun()
        weights = self._copy_weights()
        if self._rank == 0:
            checkpoint.save_model(
                folder, weights, model=self._model, tokenizer=load_tokenizer(self._student)
            )
            if self._reference is not None:
                checkpoint.save_reference(folder, _copies(self._reference))
        on_gpu = self._device.type == "cuda"
        state = checkpoint.RankState(
            step=self._step,
            stage_step=self._stage_step,
            optimizer=engine.optimizer_state(),
            random_cpu=torch.get_rng_state(),
            random_device=torch.cuda.get_rng_state() if on_gpu else None,
        )
        checkpoint.save_rank(folder, state, rank=self._rank, layout=self._layout)

    def restore(self, folder: Path) -> None:
        """Go on from a folder written by `save`, in a stage with the same settings."""
        stage, _ = self._begun()
        state = checkpoint.load_rank(folder, rank=self._rank, layout=self._layout)
        if stage.keep_reference:
            self._reference = self._frozen(checkpoint.load_reference(folder))
        self._replace_model(str(folder))
        self._engine = self._make_engine(stage)
        self._engine.load_optimizer_state(state.optimizer)
        self._step, self._stage_step = state.step, state.stage_step
        self._bundle = None
        torch.set_rng_state(state.random_cpu)
        if state.random_device is not None:
            torch.cuda.set_rng_state(state.random_device)

    def load(self, folder: Path | None, step: int) -> None:
        """The weights of a model folder (None: the student's own), before any stage.

        They get a `step` to be named by: engines refuse to go back to an older one.
        """
        self._replace_model(self._student if folder is None else str(folder))
        self._reference = self._stage = None
        self._stage_step = 0
        self._step = step
        self._bundle = None

    def _begun(self) -> tuple[StageSettings, Engine]:
        if self._stage is None or self._engine is None:
            raise LearnerError("no stage has begun: call begin first")
        return self._stage, self._engine

    def _advance(self) -> None:
        self._step += 1
        self._stage_step += 1
        self._bundle = None

    def _learning_rate(self, stage: StageSettings) -> float:
        return learning_rate(
            self._stage_step,
            peak=stage.optimizer.learning_rate,
            warmup_steps=stage.optimizer.warmup_steps,
            num_steps=stage.num_steps,
            schedule=stage.optimizer.schedule,
        )

    def _score(self, logits: Logits, shard: Shard, temperature: float) -> Columns:
        return score(
            logits,
            shard,
            temperature=temperature,
            max_tokens=self._micro_batch_tokens,
            device=self._device,
        )

    def _logits(self) -> Logits:
        return model_logits(self._model) if self._engine is None else self._engine.logits

    def _bundled(self) -> WeightBundle | None:
        """Packed once for each step: `version` and `weights` speak of the same bytes."""
        if self._bundle is None or self._bundle[0] != self._step:
            canary = canary_tokens(self._model.config.vocab_size)
            said = self.logprobs(canary)
            tensors = pack_all(named_weights(self._model), keep=self._rank == 0)
            bundle = None
            if self._rank == 0:
                bundle = make_bundle(tensors, step=self._step, canary=canary, canary_logprobs=said)
            self._bundle = (self._step, bundle)
        return self._bundle[1]

    def _copy_weights(self) -> dict[str, torch.Tensor]:
        return _copies(self._model)

    def _make_engine(self, stage: StageSettings) -> Engine:
        return Engine(
            self._model,
            zero_stage=self._layout.zero_stage,
            dtype=self._dtype,
            world_size=self._layout.world_size,
            weight_decay=stage.optimizer.weight_decay,
            max_grad_norm=stage.optimizer.max_grad_norm,
        )

    def _replace_model(self, path: str) -> None:
        if self._engine is not None:
            self._engine.destroy()
        # Freed first: two models with optimizers may not fit.
        self._engine = self._model = None
        self._model = self._load(path)

    def _load(self, path: str) -> Any:
        return load_model(
            path,
            dtype=self._dtype,
            device=self._device,
            gradient_checkpointing=self._gradient_checkpointing,
        )

    def _frozen(self, weights: dict[str, torch.Tensor]) -> Any:
        """A whole copy on every rank, whatever the ZeRO stage."""
        model = load_model(
            self._student, dtype=self._dtype, device=self._device, gradient_checkpointing=False
        )
        set_weights(model, weights)
        return model.requires_grad_(False)


def _copies(model: Any) -> dict[str, torch.Tensor]:
    return {name: weight.to("cpu", copy=True) for name, weight in named_weights(model)}
