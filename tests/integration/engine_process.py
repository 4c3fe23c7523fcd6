"""A real rollout engine in a process of its own, and the learner's side of a sync by transformers.

vLLM initialises torch.distributed and replaces `torch.set_num_threads` in its process: a test
process that other tests share is no place for it.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch

from actors.engine import RolloutEngine
from actors.handles import RawRollout
from learners.model_loading import DType
from tailor_rl.types import WeightVersion
from tailor_rl.weights import PackedTensor, WeightBundle, combined_checksum, pack

CANARY = tuple(range(3, 35))
MAX_MODEL_LEN = 512

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_engine: RolloutEngine | None = None


def _start(folder: str, dtype: DType) -> None:
    global _engine
    _engine = RolloutEngine(
        folder,
        dtype=dtype,
        max_sequences=32,
        max_model_len=MAX_MODEL_LEN,
        kv_cache_gib=0.1,
        threads=1,
        enforce_eager=True,
        tensor_parallel=1,
        gpu_memory_utilization=0.5,
        seed=0,
        device="cpu",
    )


def _run(function: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> Any:
    async def main() -> Any:
        return await function(_engine, *args)

    return asyncio.run(main())


class EngineProcess:
    """Runs module-level coroutine functions of a test beside an engine that is built once."""

    def __init__(self, folder: Path, *, dtype: DType = "float32") -> None:
        context = multiprocessing.get_context("spawn")
        self._executor = ProcessPoolExecutor(max_workers=1, mp_context=context)
        self._executor.submit(_start, str(folder), dtype).result(timeout=300)

    def run(
        self,
        function: Callable[Concatenate[RolloutEngine, Arguments], Awaitable[Result]],
        *args: Arguments.args,
        **_: Arguments.kwargs,
    ) -> Result:
        result: Result = self._executor.submit(_run, function, args).result(timeout=120)
        return result

    def close(self) -> None:
        self._executor.shutdown(cancel_futures=True)


def load_model(folder: Path, *, dtype: DType = "float32") -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()


def moved(model: Any, seed: int) -> Any:
    """The model after what a few optimizer steps might do, exaggerated."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(0.3 * parameter.std().nan_to_num(0.1).clamp(min=0.05) * noise)
    return model


@torch.no_grad()
def logprobs_of(
    model: Any, prompt_ids: Sequence[int], token_ids: Sequence[int], *, temperature: float = 1.0
) -> torch.Tensor:
    """(T,) log-probabilities of the completion, by transformers."""
    logits_TV = model(torch.tensor([[*prompt_ids, *token_ids]])).logits[0] / temperature
    rows_TV = logits_TV.log_softmax(-1)[len(prompt_ids) - 1 : -1]
    return rows_TV.gather(1, torch.tensor(token_ids)[:, None])[:, 0]


def bundle_tensors(
    tensors: dict[str, PackedTensor], *, step: int, canary_logprobs: tuple[float, ...]
) -> WeightBundle:
    checksum = combined_checksum((name, packed.checksum) for name, packed in tensors.items())
    return WeightBundle(WeightVersion(step, checksum), tensors, CANARY, canary_logprobs)


def bundle_of(model: Any, step: int) -> WeightBundle:
    return bundle_tensors(
        {name: pack(parameter) for name, parameter in model.named_parameters()},
        step=step,
        canary_logprobs=tuple(logprobs_of(model, CANARY[:1], CANARY[1:]).tolist()),
    )


def worst_difference(
    model: Any, prompt_ids: Sequence[int], rollouts: Sequence[RawRollout], *, temperature: float
) -> float:
    """Largest |log-probability difference| between engine and transformers."""
    return max(
        float(
            (
                logprobs_of(model, prompt_ids, rollout.token_ids, temperature=temperature)
                - torch.tensor(rollout.logprobs)
            )
            .abs()
            .max()
        )
        for rollout in rollouts
    )
