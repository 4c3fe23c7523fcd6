"""The nouns. Values only: frozen, slotted, picklable; everything before `Batch` can be written as
JSON.

Shape legend, used as suffixes everywhere: P problems, G rollouts a problem, B sequences in a batch,
T tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Origin = Literal["teacher", "rule", "student", "control"]
FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One question with one right answer. `id` is "task:split:index" and names the problem on every
    host.

    Problems of one `family` are the same up to renaming, so they are not independent of each other:
    intervals resample families. Where it is empty the problem is alone in its own.
    """

    id: str
    prompt: str
    answer: str
    split: str  # "train", "validation", "test" or "ood/<axis>"
    difficulty: int
    metadata: Mapping[str, Any] = field(default_factory=dict)
    family: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The student's own graded trace, shown to the teacher."""

    id: str
    problem_id: str
    prompt: str
    text: str
    reward: float
    finish_reason: FinishReason
    num_tokens: int


@dataclass(frozen=True, slots=True)
class Primitive:
    """A reasoning primitive: an instruction that a solver can follow, and where it came from."""

    id: str
    name: str
    instruction: str
    targets: str  # the error pattern that it repairs, in the teacher's words
    source_attempt_ids: tuple[str, ...]
    teacher: str
    temperature: float
    prompt_version: str = ""  # of the prompt file that asked for it: "discover@1a2b3c4d"
    parents: tuple[str, ...] = ()  # primitives that this one was combined from or edited after


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A trace for one problem. The primitive was in the teacher's prompt and is not in the
    student's. `reward` is its grade: 1.0 right.
    """

    id: str
    problem_id: str
    prompt: str
    trace: str
    reward: float
    origin: Origin
    primitive_id: str | None
    prompt_tokens: int  # the teacher's own count: what was paid for
    completion_tokens: int
    teacher: str = ""  # the model that wrote it; empty for a rule
    temperature: float | None = None
    prompt_version: str = ""  # of the prompt file that asked for it


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn. `temperature=0` is greedy."""

    temperature: float
    max_tokens: int
    top_p: float = 1.0


@dataclass(frozen=True, slots=True)
class Draw:
    """How one rollout of a group is drawn: after `prefix`, tokens that begin the completion and are
    given, at `temperature` (None: the recipe's).

    At another temperature than the recipe's a rollout is off-policy: ratios to what the engine
    reported then start away from 1.
    """

    prefix: tuple[int, ...] = ()
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """One sampled completion, token ids in and token ids out, with the weight versions that
    produced it.

    `rollout_logprobs[t]` is the log-probability of `token_ids[t]` under the distribution it was
    drawn from (temperature applied), as computed by the engine. `token_ids` ends with the
    end-of-turn token when `finish_reason` is "stop". The first `given` of them were put into the
    policy's mouth (see `Draw`); of those `rollout_logprobs` is 0: nothing was left to chance.
    """

    problem_id: str
    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    rollout_logprobs: tuple[float, ...]
    text: str
    finish_reason: FinishReason
    first_version: int  # optimizer step of the weights at the first token
    last_version: int  # ... and at the last token
    given: int = 0

    @property
    def num_drawn(self) -> int:
        """Tokens that the engine generated: what a rollout costs."""
        return len(self.token_ids) - self.given


@dataclass(frozen=True, slots=True)
class Grade:
    """What one completion is worth. `correct` is the task's own verdict: 1.0 is solved, and that is
    what accuracy counts. `reward` is what RL maximises: the weighted sum of `components`.
    """

    correct: float
    reward: float
    components: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class GradeFailure:
    """A completion that could not be graded, and why: the grader's defect, not the policy's."""

    problem_id: str
    text: str
    error: str


@dataclass(frozen=True, slots=True)
class Group:
    """The graded rollouts of one problem. `order` is the place in which the group was started;
    `ungraded` rollouts were generated and paid for, and are learnt from by nobody.
    """

    problem: Problem
    rollouts: tuple[Rollout, ...]
    grades: tuple[Grade, ...]
    order: int
    ungraded: tuple[Rollout, ...] = ()

    @property
    def rewards(self) -> tuple[float, ...]:
        return tuple(grade.reward for grade in self.grades)

    @property
    def generated(self) -> tuple[Rollout, ...]:
        return (*self.rollouts, *self.ungraded)

    @property
    def informative(self) -> bool:
        """Whether the group carries a gradient: its rewards differ."""
        return len(set(self.rewards)) > 1


@dataclass(frozen=True, slots=True)
class Batch:
    """Right-padded sequences (prompt + completion) ready to be learnt from.

    Example: prompt [5, 6], completion [7, 2], padded to T=5 with 0::

        tokens            5  6  7   2  0
        mask              F  F  T   T  F    True: trained on; mask[t] is of predicting tokens[t]
        rollout_logprobs  0  0 -1 -.5  0    rollout_logprobs[t] is that of tokens[t]
        advantages        0  0  a   a  0
    """

    tokens: np.ndarray  # (B, T) int64
    mask: np.ndarray  # (B, T) bool
    rollout_logprobs: np.ndarray  # (B, T) float32; of demonstrations: of whoever wrote them, or 0
    advantages: np.ndarray  # (B, T) float32
    lengths: np.ndarray  # (B,) int64, tokens before padding
    # What only some algorithms need:
    proximal_logprobs: np.ndarray | None = None  # (B, T) what ratios are taken to; None: rollout's
    reference_logprobs: np.ndarray | None = None  # (B, T) of the frozen policy, for KL in the loss
    old_values: np.ndarray | None = None  # (B, T) of the critic before the step
    returns: np.ndarray | None = None  # (B, T) what the critic is trained towards
    supervised: np.ndarray | None = None  # (B,) bool: rows learnt by cross-entropy, in RL
    scales: np.ndarray | None = None  # (B, T) float32 that multiply the weights of tokens

    @property
    def num_sequences(self) -> int:
        return int(self.tokens.shape[0])

    @property
    def num_trained_tokens(self) -> int:
        """The global token count: the denominator of every token-level loss."""
        return int(self.mask.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What the learner says of a batch without learning from it: float32 (B, T), 0 elsewhere.

    Log-probabilities and entropies are those of the rollouts' temperature.
    """

    learner_logprobs: np.ndarray
    entropies: np.ndarray
    reference_logprobs: np.ndarray | None  # where a reference is kept
    values: np.ndarray | None  # where there is a critic


@dataclass(frozen=True, slots=True)
class Update:
    """What one optimizer step did. `metrics` keys are plain names; values are numbers over the
    whole batch.
    """

    step: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True, order=True)
class WeightVersion:
    """A name for one state of the policy's weights: ordered by optimizer step."""

    step: int
    checksum: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % interval over problems, or families of them."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ProblemResult:
    """What the policy made of one problem of a split: a row of results/eval-STAGE.jsonl.

    The tuples have one entry a graded sample. `entropy` estimates the mean entropy of the policy
    over the sample's tokens, in nats: minus the mean log-probability of the tokens drawn.
    """

    stage: str
    step: int
    split: str
    problem_id: str
    family: str
    difficulty: int
    correct: tuple[float, ...]
    num_tokens: tuple[int, ...]
    truncated: tuple[bool, ...]
    entropy: tuple[float, ...]
    ungraded: int  # samples set aside because the grader failed
    greedy: float | None = None  # the grade at temperature 0, where that was asked for
    drawn_tokens: int = 0  # of all answers, those at temperature 0 and those set aside too


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One row of evaluations.jsonl: a figure over the problems of one split.

    "accuracy" is the mean over `num_samples` samples a problem (avg@k, an unbiased pass@1),
    "pass@k" the chance that one of k samples is right, "greedy" the accuracy at temperature 0.
    """

    stage: str  # "base", "sft" or "rl"
    step: int
    split: str
    metric: str  # "accuracy", "pass@k" or "greedy"
    k: int
    value: float
    low: float
    high: float
    num_problems: int
    num_samples: int
    temperature: float
    mean_tokens: float
    truncated: float  # share of completions that hit max_tokens
    weight_version: int
    num_families: int = 0  # problems up to renaming: what the interval resamples
    interval: str = "bootstrap"  # or "wilson"
    entropy: float = 0.0  # nats a token, see ProblemResult
    ungraded: int = 0
