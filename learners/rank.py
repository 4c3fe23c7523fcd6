"""One rank of the learner: a model, its optimizer, and the counters that name its states.

A plain class; whoever starts it gives each rank a process of its own. Its methods are collective:
every rank is called with the same method before any is called with the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from learners import checkpoint
from learners.accumulate import most_of_all_ranks
from learners.adapters import without_adapters
from learners.budget import Budget, release_memory
from learners.critic import critic_step, values_of
from learners.engine import Engine, Unmoved
from learners.forward import Forward, PolicyModel
from learners.metrics import CriticReport, PolicyReport, SFTReport
from learners.model_loading import Attention, DType, load_tokenizer, set_weights
from learners.models import Models
from learners.packing import PASS_TOKENS, Shard
from learners.parameters import copies, named_weights, own_weights
from learners.policy_step import policy_step
from learners.process_group import Device, join
from learners.score import Columns, features_of, score
from learners.settings import PolicyLoss, StageSettings, sft_hooks
from learners.sft_step import sft_step
from learners.weight_sender import canary_tokens, make_bundle, next_token_logprobs, pack_all
from tailor_rl.algorithms.schedules import learning_rate
from tailor_rl.config.learning import LoRAConfig, RLConfig, SFTConfig
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
        lora: LoRAConfig | None = None,
        packing: bool | None = None,
        attention: Attention = "sdpa",
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
        packs = attention == "flash_attention_2" if packing is None else packing
        self._layout = checkpoint.Layout(
            ranks=world_size,
            zero_stage=zero_stage,
            dtype=dtype,
            micro_batch_tokens=micro_batch_tokens,
            packing=packs,
            attention=attention,
            threads=threads,
        )
        self._device = torch.device(device)
        self._models = Models(
            student=student,
            dtype=dtype,
            device=self._device,
            attention=attention,
            gradient_checkpointing=gradient_checkpointing,
            lora=lora if lora is not None and lora.rank else None,
            zero_stage=zero_stage,
            world_size=world_size,
            seed=seed,
        )
        self._budget = Budget(micro_batch_tokens, packed=packs, pass_tokens=PASS_TOKENS[device])
        self._model = self._models.load(student)
        self._engine: Engine | None = None
        self._critic: Engine | None = None
        self._reference: Any = None
        self._stage: StageSettings | None = None
        self._step = 0
        self._stage_step = 0
        self._bundle: tuple[int, WeightBundle | None] | None = None  # (step, on rank 0 the bundle)

    def begin(self, stage: StageSettings) -> None:
        """Fresh optimizer and schedule for the weights held now."""
        self._drop_critic()
        self._reference = None
        weights = copies(self._model)
        if self._engine is not None:
            self._replace_model(self._models.student)  # the old one was cut up by ZeRO
            set_weights(self._model, weights)
        if self._needs_copy(stage):
            self._reference = self._models.frozen(weights)
        self._stage = stage
        # Made once a stage: what a method prepares may be as large as the vocabulary.
        self._method = sft_hooks(stage.config)
        self._stage_step = 0
        self._models.adapt(self._model, stage_began=self._step)
        self._engine = self._models.engine(PolicyModel(self._model), stage)
        if stage.critic:
            self._critic = self._models.new_critic(stage, weights, stage_began=self._step)

    def sft_step(self, shard: Shard) -> SFTReport:
        """One supervised step on this rank's share of a batch."""
        stage, engine = self._begun()
        assert isinstance(stage.config, SFTConfig), stage
        report = sft_step(
            engine,
            shard,
            method=self._method,
            learning_rate=self._learning_rate(stage),
            budget=self._budget,
            device=self._device,
        )
        self._advance()
        return report

    def policy_step(self, shards: Sequence[Shard], kl_coefficient: float) -> list[PolicyReport]:
        """One policy step: an optimizer update for each of `shards`, in order."""
        stage, engine = self._begun()
        assert isinstance(stage.config, RLConfig), stage
        loss = PolicyLoss.of(stage.config, kl_coefficient=kl_coefficient)
        waits = self._stage_step < stage.critic_warmup_steps
        reports = []
        for shard in shards:
            report = policy_step(
                Unmoved(engine) if waits else engine,
                shard,
                loss=loss,
                learning_rate=0.0 if waits else self._learning_rate(stage),
                budget=self._budget,
                device=self._device,
            )
            reports.append(replace(report, critic=self._critic_step(stage.config, shard)))
        self._advance()
        return reports

    def score(self, shard: Shard, temperature: float) -> Columns:
        """What the policy, and the reference if one is kept, say of the trained tokens."""
        columns = self._score(self._forward(), shard, temperature)
        if self._stage is not None and self._stage.keep_reference:
            reference = self._score_reference(shard, temperature)
            columns["reference_logprobs"] = reference["logprobs"]
        if self._critic is not None:
            columns["values"] = values_of(
                self._critic, shard, budget=self._budget, device=self._device
            )
        return columns

    def score_by(self, shard: Shard, folder: Path | None) -> Columns:
        """What another model of the same vocabulary (None: the student as it was) says of the
        trained tokens.
        """
        path = self._models.student if folder is None else str(folder)
        model = self._models.fixed(path)
        if model.config.vocab_size != self._model.config.vocab_size:
            raise LearnerError(
                f"{path} has a vocabulary of {model.config.vocab_size:,} and the student one of "
                f"{self._model.config.vocab_size:,}: name a model of the student's own family"
            )
        return self._score(PolicyModel(model), shard, 1.0)

    def sft_features(self, shard: Shard) -> Columns:
        """What the SFT method says of each sequence."""
        stage, _ = self._begun()
        assert isinstance(stage.config, SFTConfig), stage
        return features_of(
            self._forward(),
            shard,
            method=self._method,
            budget=self._budget,
            in_step=self._looks_in_step(),
            device=self._device,
        )

    def step(self) -> int:
        """Steps made since the student's own weights, which are step 0."""
        return self._step

    def logprobs(self, tokens: Sequence[int]) -> tuple[float, ...]:
        """Entry t: log-probability of tokens[t + 1] given those before it, at temperature 1."""
        return next_token_logprobs(self._forward(), tuple(tokens), device=self._device)

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
        """Write models, optimizers, counters and random state: see checkpoint.py."""
        self._begun()
        self._save_weights(folder)
        for name, engine in self._engines().items():
            checkpoint.save_optimizer(
                folder,
                engine.optimizer_state.tensors(),
                model=name,
                rank=self._rank,
                ranks=self._layout.ranks,
            )
        random_state = checkpoint.RandomState(
            cpu=torch.get_rng_state(),
            device=torch.cuda.get_rng_state() if self._device.type == "cuda" else None,
        )
        checkpoint.save_random_state(folder, random_state, rank=self._rank)

    def _save_weights(self, folder: Path) -> None:
        stage, _ = self._begun()
        first = self._rank == 0
        weights, adapted = copies(self._model, keep=first), None
        if self._models.lora is not None:
            adapted = copies(self._model, own_weights, keep=first)
        critic = None
        if self._critic is not None:
            critic = copies(self._critic.model, own_weights, keep=first)
        version = self.version()
        # As it has become on any rank: memory may have run out, and will not have after a resume.
        lowest = -most_of_all_ranks(-self._budget.tokens, device=self._device)
        if version is None:
            return
        checkpoint.save_model(
            folder, weights, model=self._model, tokenizer=load_tokenizer(self._models.student)
        )
        if adapted is not None:
            checkpoint.save_weights(folder, "adapted", adapted)
        if critic is not None:
            checkpoint.save_weights(folder, "critic", critic)
        if self._reference is not None:
            checkpoint.save_weights(folder, "reference", copies(self._reference))
        counters = checkpoint.Counters(
            stage=stage.name,
            step=self._step,
            stage_step=self._stage_step,
            version=version,
            layout=replace(self._layout, micro_batch_tokens=lowest),
        )
        checkpoint.save_counters(folder, counters)

    def restore(self, folder: Path) -> str | None:
        """Go on from a folder written by `save`, in a stage with the same settings, on any number
        of ranks at any ZeRO stage; returns a sentence where rounding will differ by that.
        """
        stage, _ = self._begun()
        counters = checkpoint.load_counters(folder)
        checkpoint.check_stage(folder, counters, stage=stage.name)
        note = checkpoint.changes(counters.layout, self._layout)
        self._drop_critic()
        self._reference = None
        if self._needs_copy(stage):
            weights = checkpoint.load_weights(folder, "reference", needed_by="rl.kl_coefficient")
            self._reference = self._models.frozen(weights)
        self._replace_model(str(folder))
        began = counters.step - counters.stage_step
        if self._models.lora is not None:
            self._models.adapt(self._model, stage_began=began)
            weights = checkpoint.load_weights(folder, "adapted", needed_by="learner.lora.rank")
            set_weights(self._model, weights)
        self._engine = self._models.engine(PolicyModel(self._model), stage)
        if stage.critic:
            weights = checkpoint.load_weights(folder, "critic", needed_by="rl.algorithm")
            self._critic = self._models.restored_critic(stage, weights, stage_began=began)
        for name, engine in self._engines().items():
            with checkpoint.SavedOptimizer(folder, model=name) as saved:
                engine.optimizer_state.load(saved)
        self._step, self._stage_step = counters.step, counters.stage_step
        self._bundle = None
        self._set_random_state(checkpoint.load_random_state(folder, rank=self._rank))
        return note

    def _engines(self) -> dict[str, Engine]:
        """Every model that is trained, by the name that its optimizer's files have."""
        _, engine = self._begun()
        return {"policy": engine} | ({"critic": self._critic} if self._critic is not None else {})

    def _set_random_state(self, state: checkpoint.RandomState | None) -> None:
        if state is None:  # a rank that is new
            return
        torch.set_rng_state(state.cpu)
        if state.device is not None and self._device.type == "cuda":
            torch.cuda.set_rng_state(state.device)

    def load(self, folder: Path | None, step: int) -> None:
        """The weights of a model folder (None: the student's own), before any stage.

        They get a `step` to be named by: engines refuse to go back to an older one.
        """
        self._drop_critic()
        self._reference = self._stage = None
        self._replace_model(self._models.student if folder is None else str(folder))
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
        """Of this step; those that train the critic alone are none of the policy's."""
        return learning_rate(
            max(0, self._stage_step - stage.critic_warmup_steps),
            peak=stage.optimizer.learning_rate,
            warmup_steps=stage.optimizer.warmup_steps,
            num_steps=stage.num_steps - stage.critic_warmup_steps,
            schedule=stage.optimizer.schedule,
        )

    def _critic_step(self, config: RLConfig, shard: Shard) -> CriticReport | None:
        if self._critic is None or shard.returns is None:
            return None
        return critic_step(
            self._critic,
            shard,
            clip=config.value_clip or None,
            learning_rate=config.critic_learning_rate,
            budget=self._budget,
            device=self._device,
        )

    def _score_reference(self, shard: Shard, temperature: float) -> Columns:
        if self._models.lora is None:
            return self._score(PolicyModel(self._reference), shard, temperature)
        with without_adapters(self._model):
            return self._score(self._forward(), shard, temperature)

    def _score(self, forward: Forward, shard: Shard, temperature: float) -> Columns:
        return score(
            forward,
            shard,
            temperature=temperature,
            budget=self._budget,
            in_step=self._looks_in_step(),
            device=self._device,
        )

    def _forward(self) -> Forward:
        return PolicyModel(self._model) if self._engine is None else self._engine.forward

    def _looks_in_step(self) -> bool:
        return self._engine is not None and self._engine.looks_in_step

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

    def _needs_copy(self, stage: StageSettings) -> bool:
        """Where adapters learn, the frozen base is the reference."""
        return stage.keep_reference and self._models.lora is None

    def _drop_critic(self) -> None:
        if self._critic is None:
            return
        self._critic.destroy()
        self._critic = None
        release_memory()

    def _replace_model(self, path: str) -> None:
        if self._engine is not None:
            self._engine.destroy()
        # Freed first: two models with optimizers may not fit.
        self._engine = self._model = None
        release_memory()
        self._model = self._models.load(path)
