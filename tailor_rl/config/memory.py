"""What a recipe will occupy of memory: of each learner rank, part by part, and of each engine.

Arithmetic on the recipe and the student's config.json: loads no model. The formulas follow what
torch and DeepSpeed keep with the settings of learners/engine.py; benchmarks/memory_forecast.py
holds them against measurements.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from tailor_rl.config.algorithms import resolve_algorithm
from tailor_rl.config.learning import LearnerConfig
from tailor_rl.config.schema import RunConfig
from tailor_rl.config.shape import Shape, read_shape
from tailor_rl.errors import ConfigError
from tailor_rl.runs.environment import Machine

FLOAT = 4  # bytes of a float32: master weights, Adam's moments
BYTES = {"float32": 4, "bfloat16": 2}
BUCKET = 500_000_000  # elements that DeepSpeed exchanges at once, at most
LIVE = 1_000_000_000  # elements that ZeRO-3 puts together at once, at most
CHUNK = 1 << 24  # logits that exist at once, see tailor_rl/algorithms/logprobs.py
# Python, torch and transformers, before any model: 0.38 GB. A CUDA context is about as large.
PROCESS = 400_000_000
ENGINE_PROCESS = 800_000_000  # vLLM's on the CPU, beside weights and cache
# The C allocator gives little of what a pass freed back to the system, and fits the next one into
# it badly: measured on passes over 2,048 tokens.
CPU_SLACK = 1.5


@dataclass(frozen=True)
class RankMemory:
    """Of one rank, in bytes, at its fullest: in an optimizer step, or in a backward pass."""

    learner: LearnerConfig
    shape: Shape
    tokens: int  # of the largest micro-batch
    reference: bool = False
    critic: bool = False

    @cached_property
    def parts(self) -> dict[str, int]:
        shape, policy = self.shape, self._state(self.shape.parameters)
        parts = {name: policy[name] for name in ("weights", "gradients", "optimizer", "exchange")}
        if self.reference and not self.learner.lora.rank:
            parts["reference"] = shape.parameters * self._bytes
        if self.critic:
            parts["critic"] = sum(self._state(shape.backbone + shape.hidden + 1).values())
        if not self.learner.gpus_per_rank:
            parts["copy for the engines"] = shape.parameters * self._bytes
        slack = 1.0 if self.learner.gpus_per_rank else CPU_SLACK
        parts["activations"] = round(slack * self._activations())
        parts["logits"] = 3 * FLOAT * min(CHUNK, self.tokens * shape.vocabulary)
        parts["process"] = PROCESS
        return parts

    @property
    def total(self) -> int:
        return sum(self.parts.values())

    @property
    def fixed(self) -> int:
        """What no smaller micro-batch would spare."""
        return self.total - self.parts["activations"] - self.parts["logits"]

    @property
    def _bytes(self) -> int:
        return BYTES[self.learner.dtype]

    def _state(self, parameters: int) -> dict[str, int]:
        """Of one model that is trained.

        Weights, gradients, master weights and moments are divided by the ranks from ZeRO-3, 2 and 1
        on. BF16_Optimizer (bfloat16, ZeRO-1) adds up whole gradients in float32 beside those in
        bfloat16. A tied embedding gets gradients from both its ends at once.
        """
        learner, size, shape = self.learner, self._bytes, self.shape
        zero, ranks, lora = learner.zero_stage, max(1, learner.ranks), learner.lora
        trained = shape.adapters(lora) if lora.rank else parameters
        masters = 0 if zero == 0 else FLOAT * trained
        bucket = min(trained, BUCKET)
        gradients = FLOAT * trained // (ranks if zero >= 2 else 1)
        if size < FLOAT and zero == 1:
            gradients += size * trained
        if shape.tied and not lora.rank:
            gradients += size * shape.embedding
        gathered = min(parameters, LIVE) if zero == 3 else 0
        return {
            "weights": size * parameters // (ranks if zero == 3 else 1),
            "gradients": gradients,
            "optimizer": (masters + 2 * FLOAT * trained) // (ranks if zero else 1),
            # From ZeRO-2 on in float32, as gradients are added up in it.
            "exchange": (FLOAT if zero >= 2 else size) * bucket * (1, 2, 2, 3)[zero]
            + size * gathered,
        }

    def _activations(self) -> int:
        """What the backward pass needs of the forward pass, and makes on its way.

        Of a block, by what torch saves: 4 H + 2 Q + 2 K + 4 I numbers a token in the model's type
        (Q and K the widths of queries and of keys) and 2 H + heads + 2 in float32. With gradient
        checkpointing H of each block, and all of one.
        """
        shape, size = self.shape, self._bytes
        heads = 2 * (shape.heads + shape.kv_heads) * shape.head_dim
        block = size * (4 * shape.hidden + heads + 4 * shape.intermediate)
        block += FLOAT * (2 * shape.hidden + shape.heads + 2)
        blocks = shape.layers * block
        if self.learner.gradient_checkpointing:
            blocks = shape.layers * size * shape.hidden + block
        ends = 4 * size * shape.hidden
        backward = 2 * size * (shape.hidden + shape.intermediate)
        return self.tokens * (blocks + ends + backward)


def rank_memory(config: RunConfig, shape: Shape) -> RankMemory:
    """In RL, where more is kept than in SFT."""
    learner, rl, longest = config.learner, config.rl, config.rollout.max_model_len
    algorithm = resolve_algorithm(rl)
    sequences = max(rl.groups_per_step * rl.group_size, config.sft.batch_size)
    share = -(-sequences // max(1, learner.ranks))
    return RankMemory(
        learner=learner,
        shape=shape,
        tokens=min(max(learner.micro_batch_tokens, longest), share * longest),
        reference=algorithm.kl_coefficient > 0,
        critic=algorithm.critic,
    )


def engine_memory(config: RunConfig, shape: Shape) -> dict[str, int]:
    """Of one rollout engine on the CPU, in bytes; on a GPU it takes the share it is given."""
    rollout = config.rollout
    return {
        "weights": shape.parameters * BYTES[rollout.dtype],
        "KV cache": round(rollout.kv_cache_gib * 2**30),
        "process": ENGINE_PROCESS,
    }


def check_learner_memory(config: RunConfig, machine: Machine) -> None:
    """Raises ConfigError where weights, gradients and optimizer alone are more than there is: that
    is certain, and no smaller micro-batch would help.
    """
    shape = read_shape(config.student)
    if shape is None or not config.learner.ranks:
        return
    memory = rank_memory(config, shape)
    needed, given, what = _room(config, shape, machine, memory.fixed)
    if given is not None and needed > given:
        raise ConfigError(
            f"learner.ranks={config.learner.ranks} with learner.zero_stage="
            f"{config.learner.zero_stage} need {_gib(needed)} for weights, gradients and optimizer "
            f"of {shape.parameters:,} parameters (see --dry-run), and {what} has {_gib(given)}: "
            f"{_advice(config)}"
        )


def check_adapter_targets(config: RunConfig) -> None:
    """Raises ConfigError for `learner.lora.targets` that no layer of the student is called, for
    none, and for those that have no effect.
    """
    shape, lora = read_shape(config.student), config.learner.lora
    if lora.targets is not None and not lora.rank:
        raise ConfigError(
            "learner.lora.targets has no effect with learner.lora.rank=0, which trains every "
            "weight: set learner.lora.rank (16 is common), or leave it out"
        )
    if lora.targets == ():
        raise ConfigError(
            "learner.lora.targets=[] leaves nothing to train: name layers (such as q_proj), or "
            "leave it out for all but the output layer"
        )
    if shape is None or not lora.rank:
        return
    for target in lora.targets or ():
        if target.rpartition(".")[2] not in shape.linear:
            raise ConfigError(
                f"learner.lora.targets names {target!r}, which is no linear layer below the output "
                f"layer of this student: choose from {', '.join(shape.linear)}"
            )


def memory_lines(config: RunConfig, machine: Machine | None) -> list[str]:
    """A table of what a rank and an engine occupy, and a warning where it may not fit."""
    shape = read_shape(config.student)
    if shape is None or not config.learner.ranks:
        return ["memory           not known before the student is here, or for its architecture"]
    memory = rank_memory(config, shape)
    label = f"memory           a rank, {shape.parameters:,} parameters"
    lines = [f"{label}, {memory.tokens:,} tokens in a micro-batch:"]
    rows = [*memory.parts.items(), ("together", memory.total)]
    if not config.rollout.gpus_per_engine:
        engine = engine_memory(config, shape)
        rows += [(f"an engine's {name}", size) for name, size in engine.items()]
    lines += [f"                 {name:<20} {_gib(size):>10}" for name, size in rows]
    if machine is None:
        return lines
    needed, given, what = _room(config, shape, machine, memory.total)
    if given is None:
        return lines
    fits = f"                 of {_gib(given)} that {what} has, {_gib(needed)} are needed"
    if needed <= given:
        return [*lines, fits]
    advice = _lighter(config) or _advice(config)
    return [*lines, f"{fits}: micro-batches will be made smaller when memory runs out, or {advice}"]


def _room(
    config: RunConfig, shape: Shape, machine: Machine, rank: int
) -> tuple[int, int | None, str]:
    """What is needed, what there is, and where: of the GPU of a rank, or of this machine."""
    learner, rollout = config.learner, config.rollout
    if learner.gpus_per_rank:
        share = min(1.0, learner.gpus_per_rank)
        given = None if machine.gpu_gib is None else round(machine.gpu_gib * share * 2**30)
        return rank, given, f"learner.gpus_per_rank={learner.gpus_per_rank:g} of a GPU"
    needed = learner.ranks * rank
    if not rollout.gpus_per_engine:
        needed += rollout.engines * sum(engine_memory(config, shape).values())
    return needed, round(machine.memory_gib * 2**30), "this machine"


def _advice(config: RunConfig) -> str:
    """The one key that spares most of what no micro-batch can."""
    learner = config.learner
    if learner.ranks > 1 and learner.zero_stage < 3:
        return f"set learner.zero_stage={learner.zero_stage + 1}, which shares it out over ranks"
    if not learner.lora.rank:
        return "set learner.lora.rank=16, which trains adapters alone, or take a smaller student"
    if learner.gpus_per_rank:
        return "raise learner.ranks with learner.zero_stage=3, or take a smaller student"
    return "lower learner.ranks or rollout.kv_cache_gib, or take a smaller student"


def _lighter(config: RunConfig) -> str | None:
    """The one key that spares most of a pass, where it has not been turned already."""
    learner = config.learner
    if not learner.gradient_checkpointing:
        return "set learner.gradient_checkpointing=true"
    if learner.micro_batch_tokens > config.rollout.max_model_len:
        return f"set learner.micro_batch_tokens={learner.micro_batch_tokens // 2}"
    return None


def _gib(size: int) -> str:
    return f"{size / 2**30:,.2f} GiB" if size >= 2**30 else f"{size / 2**20:,.0f} MiB"
