"""What a recipe may say. One model per section; `extra="forbid"`, so an unknown key is an error.

Knows nothing about files, overrides or machines: see load.py, and checks.py for options that do not
go together.
"""

from __future__ import annotations

from math import ceil
from typing import Any, Literal, TypeVar

from pydantic import Field

from tailor_rl.config.learning import LearnerConfig, RLConfig, SFTConfig
from tailor_rl.config.section import Section


class TaskConfig(Section):
    """`name` is a built-in task or "path/to/file.py:ClassName"; `options` go to its constructor."""

    name: str
    seed: int = 0
    options: dict[str, Any] = Field(default_factory=dict)


class RewardConfig(Section):
    """What RL maximises: a weighted sum of "correct" (the task's own grade), of further rewards of
    the task, and of `functions` outside the repository. Accuracy always counts "correct" alone.
    """

    weights: dict[str, float] = Field(default_factory=lambda: {"correct": 1.0}, min_length=1)
    functions: dict[str, str] = Field(
        default_factory=dict, description='name -> "path/to/file.py:function"'
    )
    workers: int = Field(1, ge=1, description="processes that grade")
    timeout_s: float = Field(10.0, gt=0, description="for one answer, then its worker is killed")
    memory_mib: int = Field(
        2048, ge=64, description="that a worker may take besides the loaded task"
    )
    max_error_share: float = Field(
        0.01, ge=0, le=1, description="of answers that could not be graded before a run stops"
    )


class ClusterConfig(Section):
    """Which Ray to run on: "local" starts one, "auto" joins the job's or RAY_ADDRESS, else an
    address.
    """

    address: str = "auto"
    start_timeout_s: float = Field(
        600.0, gt=0, description="until every process is up: a slow file system, a first build"
    )


class RolloutConfig(Section):
    engines: int = Field(1, ge=1, description="rollout engine actors")
    gpus_per_engine: float = Field(0, ge=0)
    tensor_parallel: int = Field(1, ge=1)
    threads: int = Field(
        1, ge=0, description="CPU threads of each engine; 0: this machine's cores, shared out"
    )
    dtype: Literal["float32", "bfloat16"] = "float32"
    max_sequences: int = Field(128, ge=1, description="sequences decoded together in one engine")
    max_model_len: int = Field(512, ge=16)
    kv_cache_gib: float = Field(
        0.5, gt=0, description="CPU: size of the key/value cache of an engine"
    )
    gpu_memory_utilization: float = Field(0.6, gt=0, le=1)
    enforce_eager: bool = True
    sync_timeout_s: float = Field(300.0, gt=0, description="for the weights to reach every engine")


class HostedConfig(Section):
    """What an engine of a teacher occupies that the run hosts itself (`base_url = "vllm"`)."""

    engines: int = Field(1, ge=1, description="copies of the model, each an actor of its own")
    gpus_per_engine: float = Field(0, ge=0)
    tensor_parallel: int = Field(1, ge=1)
    threads: int = Field(1, ge=0, description="CPU threads of each engine; 0: the cores, shared")
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    max_sequences: int = Field(64, ge=1)
    max_model_len: int = Field(4096, ge=16)
    kv_cache_gib: float = Field(1.0, gt=0, description="CPU: size of the key/value cache")
    gpu_memory_utilization: float = Field(0.85, gt=0, le=1)
    enforce_eager: bool = True


class EndpointConfig(Section):
    """One teacher. `base_url` is "builtin" (the rule-driven stand-in, on loopback), "vllm" (the run
    hosts `model` itself) or the address of an OpenAI-compatible API. The key is read from the
    environment.
    """

    base_url: str = "builtin"
    model: str = "builtin-solver"
    api_key_env: str = "TAILOR_TEACHER_API_KEY"
    share: float = Field(
        1.0, ge=0, description="of the requests, beside the other teachers; 0: only when named"
    )
    price_prompt: float = Field(0.0, ge=0, description="money for a million prompt tokens")
    price_completion: float = Field(0.0, ge=0, description="money for a million completion tokens")
    structured_output: bool = Field(
        False, description="the endpoint takes response_format with a JSON schema"
    )
    hosted: HostedConfig = HostedConfig()


Endpoint = TypeVar("Endpoint", bound=EndpointConfig)
FIRST_TEACHER = "teacher"  # the name of [teacher] itself among several


class TeacherConfig(EndpointConfig):
    """The teacher, or the first of several: `[teacher.more.NAME]` adds others."""

    more: dict[str, EndpointConfig] = Field(default_factory=dict)
    actors: int = Field(1, ge=1, description="teacher-service actors")
    requests_in_flight: int = Field(32, ge=1, description="of each actor, at most")
    timeout_s: float = Field(60.0, gt=0, description="of one try")
    deadline_s: float = Field(600.0, gt=0, description="of a request with all its tries and waits")
    max_tokens: int = Field(1024, ge=16, description="of one answer")
    budget_tokens: int | None = Field(
        None,
        gt=0,
        description="bought over the life of the run; then a stage ends with what it has",
    )
    budget_money: float | None = Field(None, gt=0, description="the same, by the prices")

    @property
    def endpoints(self) -> dict[str, EndpointConfig]:
        """Every teacher by its name in the recipe."""
        return {FIRST_TEACHER: self, **self.more}


class PromptConfig(Section):
    """The teacher's prompts are files; those of the same name in `folder` replace them."""

    folder: str = Field("", description="of *.md prompt files of your own")


class AttemptConfig(Section):
    num_problems: int = Field(64, ge=1)
    samples_per_problem: int = Field(4, ge=1)
    temperature: float = Field(1.0, ge=0)


class PrimitiveConfig(Section):
    num_primitives: int = Field(25, ge=1, description="that are selected to be followed")
    num_candidates: int | None = Field(
        None,
        ge=1,
        description="asked of the teacher until as many pass the screen, to be selected from; "
        "default: a fifth more than num_primitives",
    )
    attempts_per_request: int = Field(
        6, ge=2, description="failures and successes shown to the teacher at once"
    )
    primitives_per_request: int = Field(4, ge=1)
    max_requests: int = Field(64, ge=1, description="of discovery, at most")
    temperature: float = Field(0.8, ge=0)
    max_similarity: float = Field(
        90.0, ge=0, le=100, description="rapidfuzz ratio above which two are one"
    )
    max_meaning_similarity: float = Field(
        0.97, ge=0, le=1, description="cosine of embeddings above which two are one"
    )
    trial_problems: int = Field(
        0,
        ge=0,
        description="problems on which each primitive is tried before it may be selected; they are "
        "answered by the first teacher, whatever the shares",
    )
    min_trial_accuracy: float = Field(
        0.0, ge=0, le=1, description="share of trial answers that must be right"
    )
    guard: str = Field(
        "", description="the teacher (a name of [teacher.more]) that judges safety; empty: none"
    )
    library: str = Field(
        "", description="a primitives.jsonl to take candidates from instead of asking the teacher"
    )

    @property
    def candidates(self) -> int:
        """How many are to pass the screen: more than are selected, so that there is a choice."""
        return self.num_candidates or self.num_primitives + ceil(self.num_primitives / 5)


class DemonstrationConfig(Section):
    num_problems: int = Field(512, ge=1, description="queries: the same for every initialisation")
    temperature: float = Field(0.4, ge=0)
    max_tries: int = Field(
        3, ge=1, description="draws of a primitive and trace before a problem is given up"
    )
    keep: Literal["correct", "all", "wrong"] = Field(
        "correct", description="which traces become demonstrations, by their grade"
    )
    match: Literal["none", "examples", "tokens"] = Field(
        "none", description="what the set is trimmed to, so that initialisations cost the same SFT"
    )
    match_to: int = Field(0, ge=0, description="examples, or the student's own completion tokens")
    correct_share: float | None = Field(
        None, gt=0, le=1, description="accuracy-matched: share of right traces to trim the set to"
    )


class FourStarConfig(Section):
    """`habits`: the teacher is asked for the four habits. `rounds`: the student itself samples,
    keeps what is right and is trained from the base again (STaR), `num_rounds` times.
    """

    reading: Literal["habits", "rounds"] = "habits"
    num_rounds: int = Field(4, ge=1)
    samples_per_problem: int = Field(4, ge=1)
    temperature: float = Field(1.0, gt=0)


class ReDistillConfig(Section):
    """The first run: RL from another initialisation, whose policy then writes the SFT set."""

    initialisation: str = "rule_based"
    num_steps: int | None = Field(None, ge=1, description="of the first RL; default: rl.num_steps")
    samples_per_problem: int = Field(4, ge=1)
    temperature: float = Field(1.0, gt=0)


class ControlConfig(Section):
    """The set that a control (empty, dots, ...) is made from."""

    of: str = "tailor"


class MeasureConfig(Section):
    embedder: str = Field(
        "words", description='"words" (offline), or a folder with a Hugging Face encoder'
    )
    judge: str = Field(
        "", description='who counts habits: the name of a teacher ("teacher" is the first); '
        "empty: patterns"
    )  # fmt: skip
    judged_traces: int = Field(64, ge=1, description="traces of a set that the judge reads")


class EvaluationConfig(Section):
    num_problems: int = Field(200, ge=1, description="of each split, for the table")
    num_ood_problems: int | None = Field(
        None, ge=1, description="of each ood split; default: num_problems"
    )
    samples_per_problem: int = Field(8, ge=1)
    temperature: float = Field(1.0, gt=0)
    max_tokens: int = Field(384, ge=1)
    every: int = Field(10, ge=0, description="RL steps between evaluations on validation; 0: none")
    greedy: bool = Field(True, description="one more answer a problem, at temperature 0")
    num_validation_problems: int = Field(64, ge=1)
    ood_splits: tuple[str, ...] | None = Field(
        None, description="default: every ood split of the task"
    )

    def problems_of(self, split: str) -> int:
        if split == "validation":
            return self.num_validation_problems
        ood = self.num_ood_problems if split.startswith("ood/") else None
        return ood or self.num_problems


class RunConfig(Section):
    """A whole recipe."""

    student: str
    seed: int = 0
    initialisation: str = Field(
        "tailor", description='a built-in one, or "path/to/file.py:function"'
    )
    task: TaskConfig
    reward: RewardConfig = RewardConfig()
    cluster: ClusterConfig = ClusterConfig()
    rollout: RolloutConfig = RolloutConfig()
    learner: LearnerConfig = LearnerConfig()
    teacher: TeacherConfig = TeacherConfig()
    prompts: PromptConfig = PromptConfig()
    attempts: AttemptConfig = AttemptConfig()
    primitives: PrimitiveConfig = PrimitiveConfig()
    demonstrations: DemonstrationConfig = DemonstrationConfig()
    four_star: FourStarConfig = FourStarConfig()
    re_distill: ReDistillConfig = ReDistillConfig()
    control: ControlConfig = ControlConfig()
    measures: MeasureConfig = MeasureConfig()
    sft: SFTConfig = SFTConfig()
    rl: RLConfig = RLConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
