"""vLLM inside this process: how an engine is built, prompted and read, for rollouts and teachers.

vLLM itself is imported by the functions only, so that a driver can make the settings.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tailor_rl.errors import EngineError
from tailor_rl.types import FinishReason

Device = Literal["cpu", "cuda"]
MIN_STEP_TOKENS = 4096  # of prompts and decoding together, in one step; vLLM's own default on CPU


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What an engine loads and occupies.

    `kv_cache_gib` counts on CPU, `gpu_memory_utilization` on CUDA. `max_sequences` are decoded
    together; more wait their turn inside the engine.
    """

    model_path: str
    dtype: str
    max_sequences: int
    max_model_len: int
    kv_cache_gib: float
    threads: int
    enforce_eager: bool
    tensor_parallel: int
    gpu_memory_utilization: float
    seed: int
    device: Device

    @property
    def step_tokens(self) -> int:
        """Enough for the longest prompt in one step."""
        return max(MIN_STEP_TOKENS, self.max_model_len)


def build_engine(settings: EngineSettings, **more: Any) -> Any:
    """vLLM's LLMEngine; `more` are EngineArgs of the caller's own.

    Runs on the thread that steps it: OpenMP counts are per thread.
    """
    prepare_process(settings.threads)
    from vllm import EngineArgs
    from vllm.usage.usage_lib import UsageContext
    from vllm.v1.engine.llm_engine import LLMEngine

    memory = (
        {"kv_cache_memory_bytes": int(settings.kv_cache_gib * 2**30)}
        if settings.device == "cpu"
        else {"gpu_memory_utilization": settings.gpu_memory_utilization}
    )
    args = EngineArgs(
        model=settings.model_path,
        dtype=settings.dtype,
        max_num_seqs=settings.max_sequences,
        max_model_len=settings.max_model_len,
        enforce_eager=settings.enforce_eager,
        tensor_parallel_size=settings.tensor_parallel,
        # Left alone, vLLM asks the placement group that it runs in for more actors.
        distributed_executor_backend="mp" if settings.tensor_parallel > 1 else "uni",
        seed=settings.seed,
        disable_log_stats=True,
        **memory,
        **more,
    )
    return LLMEngine.from_engine_args(args, usage_context=UsageContext.LLM_CLASS)


def prepare_process(threads: int) -> None:
    """Call before anything imports vLLM; again does no harm."""
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # no other processes, no copies to them
    os.environ["OMP_NUM_THREADS"] = str(threads)
    # Else tensor parallelism on CPU pins each worker to a NUMA node of its own, or does not start.
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    import torch

    torch.set_num_threads(threads)


def token_prompt(prompt_ids: Sequence[int]) -> Any:
    from vllm.inputs.engine import tokens_input

    return tokens_input(list(prompt_ids))


def warm_up(engine: Any, params: Sequence[Any]) -> None:
    """The first steps of a process take seconds: spend them here, not in a caller's deadline."""
    for i, each in enumerate(params):
        engine.add_request(f"warm-up-{i}", token_prompt([0] * 8), each)
    while engine.has_unfinished_requests():
        engine.step()
    engine.reset_prefix_cache()


def read_finish_reason(reason: str) -> FinishReason:
    if reason == "stop":
        return "stop"
    if reason == "length":
        return "length"
    raise EngineError(f"vLLM ended a request with finish reason {reason!r}")


def check_checkpoint(folder: Path) -> None:
    """Raise EngineError unless the folder holds a Hugging Face checkpoint."""
    if not (folder / "config.json").is_file():
        raise EngineError(f"{folder} is not a Hugging Face checkpoint: it has no config.json")
    if not [*folder.glob("*.safetensors"), *folder.glob("*.bin")]:
        raise EngineError(f"{folder} is not a Hugging Face checkpoint: it holds no weights")


def last_line(error: BaseException) -> str:
    """What an error says at its end, where vLLM's long ones name the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else 'no message'}"
