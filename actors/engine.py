"""A rollout engine: vLLM in this process, stepped by one thread, fed by any number of coroutines.

Token ids in, token ids and log-probabilities out. Knows nothing about problems, rewards or Ray.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from actors.handles import EngineStats, RawRollout, ReceiveReport
from actors.step_thread import StepThread
from actors.vllm_process import (
    Device,
    EngineSettings,
    build_engine,
    check_checkpoint,
    last_line,
    prepare_process,
    read_finish_reason,
    token_prompt,
    warm_up,
)
from actors.weight_update import Progress, load, verify
from tailor_rl.chat import ChatTokens
from tailor_rl.errors import EngineError, WeightSyncError
from tailor_rl.seeds import derive_seed
from tailor_rl.types import WeightVersion
from tailor_rl.weights import WeightBundle

Result = TypeVar("Result")
SYNC_FAILED = "the last weight sync failed: "
AS_LOADED = 0  # the version of weights that came from the folder and not from a learner


class RolloutEngine:
    """Loads a Hugging Face checkpoint folder. Raises EngineError in one sentence where it is none.

    The arguments are those of `EngineSettings`.
    """

    def __init__(
        self,
        model_path: str,
        *,
        dtype: str,
        max_sequences: int,
        max_model_len: int,
        kv_cache_gib: float,
        threads: int,
        enforce_eager: bool,
        tensor_parallel: int,
        gpu_memory_utilization: float,
        seed: int,
        device: Device,
    ) -> None:
        check_checkpoint(Path(model_path))
        self._tokens = ChatTokens(model_path)
        self._dtype = dtype
        settings = EngineSettings(
            model_path=model_path,
            dtype=dtype,
            max_sequences=max_sequences,
            max_model_len=max_model_len,
            kv_cache_gib=kv_cache_gib,
            threads=threads,
            enforce_eager=enforce_eager,
            tensor_parallel=tensor_parallel,
            gpu_memory_utilization=gpu_memory_utilization,
            seed=seed,
            device=device,
        )
        self._version: WeightVersion | None = None
        self._receiving = asyncio.Lock()
        try:
            self._steps = StepThread(lambda: _build(settings), what="the rollout engine")
        except Exception as error:
            raise EngineError(
                f"the rollout engine did not start on {model_path}: {last_line(error)}"
            ) from error

    def pid(self) -> int:
        return os.getpid()

    def version(self) -> WeightVersion | None:
        """The weights that were last adopted; None while they are still the folder's."""
        return self._version

    def stats(self) -> EngineStats:
        return EngineStats(
            pid=self.pid(),
            generated_tokens=self._steps.generated_tokens,
            busy_s=self._steps.busy_s,
            sequences_in_flight=self._steps.sequences_in_flight,
        )

    def health(self) -> None:
        """Raises EngineError, naming the cause, where this engine cannot generate."""
        if self._steps.death:
            raise self._steps.death
        if self._steps.refusal:
            raise EngineError(self._steps.refusal)

    def close(self) -> None:
        self._steps.close()

    async def generate(
        self,
        prompt_ids: Sequence[int],
        *,
        num: int,
        temperature: float,
        top_p: float,
        max_tokens: int,
        seed: int,
        stall_s: float,
    ) -> list[RawRollout]:
        """`num` completions; the i-th draws from a generator of its own, seeded from (seed, i).

        `temperature=0` is greedy. A queue may be as long as it likes: EngineError, naming the
        cause, comes when no step was made for `stall_s` seconds, when a step fails, or when the
        last weight sync did.
        """
        self.health()
        params = [
            _sampling(
                temperature=temperature,
                top_p=top_p,
                max_tokens=max_tokens,
                seed=derive_seed(seed, i),
                stop_ids=self._tokens.stop_ids,
            )
            for i in range(num)
        ]
        try:
            completions = await self._steps.answers(
                token_prompt(prompt_ids), params, stall_s=stall_s
            )
        except TimeoutError as error:
            raise EngineError(
                f"no decoding step within {stall_s:g} s; {self._steps.pace()}"
            ) from error
        return [self._raw(completion) for completion in completions]

    async def receive(self, bundle: WeightBundle, *, deadline_s: float) -> ReceiveReport:
        """Adopt the bundle's weights, or raise WeightSyncError and refuse work until a good sync.

        Decoding goes on while the checksums are verified and stops from loading to adoption.
        Requests in flight go on with the new weights; their version span says so.
        """
        progress = Progress()
        begin = time.monotonic()
        try:
            async with asyncio.timeout(deadline_s), self._receiving:
                await asyncio.to_thread(verify, bundle, self._version, progress)
                paused = time.monotonic()
                progress.enter("pause")
                difference = await self._on_thread(
                    lambda engine: self._adopt(engine, bundle, progress)
                )
        except TimeoutError as error:
            raise self._refuse(f"not done within {deadline_s:g} s ({progress})") from error
        except (WeightSyncError, EngineError) as error:
            raise self._refuse(str(error)) from error
        now = time.monotonic()
        return ReceiveReport(bundle.version, now - begin, now - paused, difference)

    async def _on_thread(self, job: Callable[[Any], Result]) -> Result:
        return await asyncio.wrap_future(self._steps.submit(job))

    def _adopt(self, engine: Any, bundle: WeightBundle, progress: Progress) -> float:
        canary = (token_prompt(bundle.canary_tokens), _canary_sampling())
        try:
            loaded = load(engine, bundle, canary=canary, dtype=self._dtype, progress=progress)
        except WeightSyncError as error:
            # Here and not in receive(): nothing may be decoded with these weights.
            self._steps.refuse(engine, f"{SYNC_FAILED}{error}")
            raise
        self._version = bundle.version
        self._steps.refusal = None
        self._steps.deliver(loaded.bystanders)
        return loaded.canary_difference

    def _refuse(self, cause: str) -> WeightSyncError:
        reason = f"{SYNC_FAILED}{cause}"
        self._steps.refusal = reason
        self._steps.submit(lambda engine: self._steps.refuse(engine, reason))
        return WeightSyncError(cause)

    def _raw(self, completion: Any) -> RawRollout:
        token_ids = tuple(completion.token_ids)
        return RawRollout(
            token_ids=token_ids,
            logprobs=tuple(completion.logprobs.logprobs),
            text=self._tokens.decode(token_ids),
            finish_reason=read_finish_reason(completion.finish_reason),
            first_version=int(completion.weight_versions[0].version),
            last_version=int(completion.weight_versions[-1].version),
        )


def _build(settings: EngineSettings) -> Any:
    """vLLM's LLMEngine, warm, with a receiver of weights."""
    prepare_process(settings.threads)  # vLLM reads its environment when it is imported, as here
    from vllm.config.weight_transfer import WeightTransferConfig

    from actors.weight_receiver import BACKEND, WorkerExtension

    engine = build_engine(
        settings,
        skip_tokenizer_init=True,  # token ids in and out
        generation_config="vllm",  # nothing but what generate() is told
        logprobs_mode="processed_logprobs",  # of the distribution that tokens are drawn from
        scheduling_policy="priority",  # lets the canary of a weight sync go first
        async_scheduling=False,  # a step in the queue during a sync would carry the wrong version
        weight_transfer_config=WeightTransferConfig(backend=BACKEND),
        worker_extension_cls=f"{WorkerExtension.__module__}.{WorkerExtension.__qualname__}",
        # vLLM cannot rewind a CPU generator after a chunk of a seeded prompt ("CPU Generator does
        # not use offset" ends the engine): whole prompts only, with room for the longest in a step.
        enable_chunked_prefill=False,
        max_num_batched_tokens=settings.step_tokens,
    )
    engine.collective_rpc("init_weight_transfer_engine", args=({},))
    engine.set_weight_version(str(AS_LOADED))
    warm_up(
        engine,
        [
            _sampling(temperature=1.0, top_p=0.9, max_tokens=2, seed=i, stop_ids=())
            for i in range(2)
        ],
    )
    return engine


def _sampling(
    *, temperature: float, top_p: float, max_tokens: int, seed: int, stop_ids: Sequence[int]
) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        seed=seed if temperature > 0 else None,
        stop_token_ids=list(stop_ids),
        logprobs=0,  # of the sampled token alone
        flat_logprobs=True,
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
        skip_clone=True,
    )


def _canary_sampling() -> Any:
    from vllm import SamplingParams

    return SamplingParams(max_tokens=1, temperature=0.0, prompt_logprobs=0, detokenize=False)
