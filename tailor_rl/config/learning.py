"""What a recipe may say about learning: the learner itself, [sft] and [rl]. See schema.py."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from tailor_rl.config.section import Section


class LoRAConfig(Section):
    """Low-rank adapters in place of training every weight; engines get the merged weights."""

    rank: int = Field(0, ge=0, description="0: every weight is trained")
    alpha: float = Field(32.0, gt=0, description="adapters are scaled by alpha / rank")
    targets: tuple[str, ...] | None = Field(
        None, description="names of linear layers; default: all but the output layer"
    )


class LearnerConfig(Section):
    ranks: int = Field(1, ge=1)
    gpus_per_rank: float = Field(0, ge=0)
    threads: int = Field(
        1, ge=0, description="CPU threads of each rank; 0: this machine's cores, shared out"
    )
    zero_stage: Literal[0, 1, 2, 3] = 0
    dtype: Literal["float32", "bfloat16"] = "float32"
    micro_batch_tokens: int = Field(
        4096,
        ge=1,
        description="tokens of one forward pass on one rank, halved when memory runs out",
    )
    packing: bool | None = Field(
        None,
        description="sequences end to end in one row; default: where the attention keeps them apart"
        " at no cost (flash_attention_2), else rows of like length",
    )
    attention: Literal["sdpa", "flash_attention_2", "eager"] = "sdpa"
    gradient_checkpointing: bool = False
    lora: LoRAConfig = LoRAConfig()


class SFTConfig(Section):
    epochs: int = Field(4, ge=1)
    num_steps: int | None = Field(
        None, ge=1, description="exactly so many steps, over as many epochs as they take"
    )
    stop_at_accuracy: float | None = Field(
        None,
        gt=0,
        le=1,
        description="accuracy-matched: ends at this accuracy on validation, measured every"
        " evaluate_every steps (0: every epoch)",
    )
    batch_size: int = Field(
        64, ge=1, description="demonstrations of one optimizer step, over all ranks"
    )
    learning_rate: float = Field(5e-6, gt=0)
    warmup_steps: int = Field(0, ge=0)
    schedule: Literal["constant", "cosine"] = "cosine"
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    method: str = Field(
        "", description='how tokens or examples are weighed: "pear", "uds", or "file.py:Class"'
    )
    options: dict[str, Any] = Field(default_factory=dict, description="of the method")
    held_out: int = Field(
        0, ge=0, description="demonstrations that are not trained on, for the loss during training"
    )
    evaluate_every: int = Field(
        0, ge=0, description="steps between measurements (held-out loss, accuracy on validation)"
    )
    checkpoint_every: int = Field(0, ge=0, description="steps; 0: at the end only")
    keep: Literal["last", "best"] = Field(
        "last", description="the weights that go on: the last, or the best measured during training"
    )


class RLConfig(Section):
    algorithm: str = Field(
        "dapo",
        description='"grpo", "dapo", "dr_grpo", "gspo", "cispo", "rloo", "reinforce_pp",'
        ' "reinforce_pp_baseline", "maxrl", "ppo", or "file.py:NAME"',
    )
    advantage: (
        Literal[
            "group_normalised", "group_centred", "leave_one_out", "maximum_likelihood",
            "whitened_returns", "whitened_group_centred", "generalised",
        ]
        | None
    ) = Field(None, description="in place of the algorithm's own")  # fmt: skip
    ratio: Literal["token", "sequence"] | None = None
    clipping: Literal["ppo", "cispo", "none"] | None = None
    aggregation: Literal["token_mean", "sequence_mean", "sequence_sum", "constant"] | None = None
    num_steps: int = Field(100, ge=1)
    groups_per_step: int = Field(16, ge=1)
    group_size: int = Field(8, ge=1)
    temperature: float = Field(1.0, gt=0)
    max_tokens: int = Field(256, ge=1)
    learning_rate: float = Field(1e-6, gt=0)
    warmup_steps: int = Field(10, ge=0)
    schedule: Literal["constant", "cosine"] = "constant"
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    updates_per_step: int = Field(
        1, ge=1, description="parts of a step's batch, each of which makes an optimizer update"
    )
    epochs_per_step: int = Field(1, ge=1, description="times that a step's batch is gone through")
    max_lag: int = Field(
        1, ge=0, description="weight versions a rollout may be behind; 0 is synchronous"
    )
    clip_low: float | None = Field(None, gt=0, description="default: the algorithm's")
    clip_high: float | None = Field(None, gt=0, description="default: the algorithm's")
    clip_dual: float | None = Field(
        None,
        gt=1,
        description="bound on the ratio of bad tokens; default: the algorithm's, or none",
    )
    kl_coefficient: float | None = Field(None, ge=0, description="default: the algorithm's")
    kl_estimate: Literal["k1", "k2", "k3"] | None = None
    kl_in: Literal["loss", "reward"] | None = None
    kl_target: float | None = Field(
        None, gt=0, description="nats a token; the coefficient then adapts to it"
    )
    kl_horizon: int = Field(10_000, ge=1, description="rollouts over which it adapts")
    entropy_coefficient: float = Field(0.0, ge=0, description="of an entropy bonus in the loss")
    logprobs: Literal["stored", "recomputed"] = Field(
        "stored",
        description="what ratios are taken to: the engine's own, or the learner's before the step",
    )
    correction: Literal["none", "token_is", "sequence_is", "icepop", "sequence_mask"] = Field(
        "none", description="of the mismatch between engine and learner"
    )
    correction_low: float | None = Field(None, ge=0, description="default: the correction's")
    correction_high: float | None = Field(None, gt=0, description="default: the correction's")
    mismatch_alarm: float = Field(
        0.01,
        gt=0,
        description="nats a token of KL(rollout || learner) above which it is logged",
    )
    dynamic_sampling: bool | None = Field(None, description="default: the algorithm's")
    overlong_buffer: int = Field(
        0, ge=0, description="tokens before max_tokens over which the reward sinks by 1"
    )
    overlong_filtering: bool = Field(
        False, description="truncated rollouts are not learnt from, only counted"
    )
    gamma: float | None = Field(None, gt=0, le=1, description="default: the algorithm's")
    gae_lambda: float | None = Field(None, ge=0, le=1, description="default: the algorithm's")
    critic_learning_rate: float = Field(1e-5, gt=0)
    critic_warmup_steps: int = Field(
        0, ge=0, description="steps at the beginning that train the critic alone"
    )
    value_clip: float = Field(0.2, ge=0, description="of the critic's values; 0: none")
    method: str = Field(
        "", description='mixes SFT into RL: "sasr", "prefix_rft", or "file.py:Class"'
    )
    options: dict[str, Any] = Field(default_factory=dict, description="of the method")
    checkpoint_every: int = Field(10, ge=1)
    keep_checkpoints: int = Field(2, ge=1)
    keep_best: bool = Field(
        False, description="keep the checkpoint that is best on validation, too"
    )
