"""A weight sync on one engine as a transaction: verify, load, reset prefix cache, ask the canary.

Runs between two decoding steps. Knows nothing about threads or transports.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tailor_rl.errors import WeightSyncError
from tailor_rl.types import WeightVersion
from tailor_rl.weights import WeightBundle, checksum, combined_checksum

CANARY_ID = "canary"
TOLERANCE_FLOAT32 = 1e-4  # 1e-6 is seen; a stale layer gives 1e-2 and more
TOLERANCE_BFLOAT16 = 5e-2  # 1e-2 is seen: both sides round at different places


@dataclass(slots=True)
class Progress:
    """Where a sync is: read from another thread to say what a deadline caught."""

    phase: str = "verify"
    parameter: str = ""

    def enter(self, phase: str) -> None:
        self.phase, self.parameter = phase, ""

    def __str__(self) -> str:
        return f"phase: {self.phase}" + (f", parameter: {self.parameter}" if self.parameter else "")


@dataclass(slots=True)
class Loaded:
    canary_difference: float
    bystanders: list[Any] = field(default_factory=list)  # other requests' outputs during the canary


def verify(bundle: WeightBundle, current: WeightVersion | None, progress: Progress) -> None:
    """WeightSyncError unless every byte is the learner's and the version is not older than ours."""
    progress.enter("verify")
    version = bundle.version
    if current is not None and (version.step, version.checksum) != (current.step, current.checksum):
        if version.step < current.step:
            raise _error(progress, f"step {version.step} is older than step {current.step}")
        if version.step == current.step:
            raise _error(
                progress,
                f"step {version.step} has checksum {version.checksum}, but this engine already has "
                f"that step with checksum {current.checksum}",
            )
    for name, packed in bundle.tensors.items():
        progress.parameter = name
        actual = checksum(packed.data)
        if actual != packed.checksum:
            raise _error(progress, f"checksum is {actual}, the learner's was {packed.checksum}")
    progress.parameter = ""
    combined = combined_checksum((name, packed.checksum) for name, packed in bundle.tensors.items())
    if combined != version.checksum:
        raise _error(progress, f"combined checksum is {combined}, not {version.checksum}")
    if (
        len(bundle.canary_tokens) < 2
        or len(bundle.canary_logprobs) != len(bundle.canary_tokens) - 1
    ):
        raise _error(
            progress,
            f"the canary has {len(bundle.canary_tokens)} tokens and {len(bundle.canary_logprobs)} "
            "log-probabilities; it needs at least two tokens and one log-probability less",
        )


def load(
    engine: Any, bundle: WeightBundle, *, canary: tuple[Any, Any], dtype: str, progress: Progress
) -> Loaded:
    """Put verified weights into vLLM's LLMEngine and compare the canary (prompt, parameters).

    After a WeightSyncError the engine's weights are unusable. Requests in flight are preempted:
    when they go on, their key/value cache is computed again with the new weights, and no block of
    the old ones survives in the prefix cache.
    """
    try:
        progress.enter("load")
        engine.collective_rpc("start_weight_update")
        engine.collective_rpc("update_weights", args=({"tensors": dict(bundle.tensors)},))
        engine.collective_rpc("finish_weight_update")
        progress.enter("reset prefix cache")
        engine.reset_prefix_cache(reset_running_requests=True)
        progress.enter("canary")
        engine.set_weight_version(str(bundle.version.step))
        logprobs, bystanders = _canary_logprobs(engine, bundle.canary_tokens, canary)
    except Exception as error:
        raise _error(progress, f"{type(error).__name__}: {error}") from error
    return Loaded(_compare(bundle, logprobs, dtype=dtype, progress=progress), bystanders)


def _canary_logprobs(
    engine: Any, tokens: Sequence[int], request: tuple[Any, Any]
) -> tuple[list[float], list[Any]]:
    prompt, params = request
    # Ahead of all requests that wait; what those produce meanwhile is held back by the caller.
    engine.add_request(CANARY_ID, prompt, params, priority=-1)
    bystanders: list[Any] = []
    while engine.has_unfinished_requests():
        answer = None
        # To the end of the step: a request that finishes beside the canary may stand behind it,
        # and vLLM names it only once.
        for output in engine.step():
            if output.request_id != CANARY_ID:
                bystanders.append(output)
            elif output.finished:
                answer = output
        if answer is not None:
            pairs = zip(tokens[1:], answer.prompt_logprobs[1:], strict=True)
            return [row[token].logprob for token, row in pairs], bystanders
    raise RuntimeError("the canary request vanished")


def _compare(
    bundle: WeightBundle, logprobs: Sequence[float], *, dtype: str, progress: Progress
) -> float:
    exact = dtype == "float32" and all(p.dtype == "float32" for p in bundle.tensors.values())
    tolerance = TOLERANCE_FLOAT32 if exact else TOLERANCE_BFLOAT16
    differences = [abs(a - b) for a, b in zip(logprobs, bundle.canary_logprobs, strict=True)]
    # max() may step over a NaN, and a NaN is no small difference.
    worst = math.nan if any(math.isnan(d) for d in differences) else max(differences)
    if not worst <= tolerance:
        place = next(i for i, d in enumerate(differences) if not d <= tolerance)
        raise _error(
            progress,
            f"log-probability of token {place + 1} is {logprobs[place]:.6f} here and "
            f"{bundle.canary_logprobs[place]:.6f} at the learner; the largest difference is "
            f"{worst:.2e}, more than {tolerance:g}",
        )
    return worst


def _error(progress: Progress, what: str) -> WeightSyncError:
    return WeightSyncError(f"{what} ({progress})")
