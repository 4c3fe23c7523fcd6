"""How far traces are from a student: the log-probability that it gives to every token of them.

Torch and transformers are imported when a student is scored, not before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tailor_rl.batch import collate_demonstrations
from tailor_rl.config.student import check_student

if TYPE_CHECKING:
    from tailor_rl.chat import ChatTokens
    from tailor_rl.types import Batch, Demonstration

BATCH_TOKENS = 8192  # padded tokens of one forward pass


@dataclass(frozen=True, slots=True)
class StudentDistance:
    """What a student thinks of a set of traces. Sums are over the tokens that SFT would train on:
    the trace and its end of turn.
    """

    student: str
    mean_logprobs: tuple[float | None, ...]  # nats a token of each trace; None: too long for it
    num_tokens: tuple[int, ...]  # of each trace, in the student's own tokens

    @property
    def mean_logprob(self) -> float | None:
        """Nats a token over all tokens of the set; None where no trace was short enough."""
        scored = [
            (mean * num, num)
            for mean, num in zip(self.mean_logprobs, self.num_tokens, strict=True)
            if mean is not None
        ]
        return sum(s for s, _ in scored) / sum(n for _, n in scored) if scored else None

    @property
    def perplexity(self) -> float | None:
        """exp(-mean_logprob)."""
        mean = self.mean_logprob
        return None if mean is None else math.exp(-mean)

    @property
    def num_too_long(self) -> int:
        return sum(mean is None for mean in self.mean_logprobs)


def student_distance(
    demonstrations: Sequence[Demonstration],
    student: str | Path,
    *,
    threads: int,
    batch_tokens: int = BATCH_TOKENS,
    on_progress: Callable[[int, int], None] | None = None,
) -> StudentDistance:
    """log p(trace | the student's chat prompt) / tokens, of every demonstration, in order.

    On a GPU where there is one, else on `threads` CPU threads. Raises ConfigError for a folder that
    holds no student.
    """
    import torch

    from tailor_rl.chat import ChatTokens

    files = check_student(str(student), ())
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, threads))
    try:
        tokens = ChatTokens(student)
        lengths, trained = _lengths(demonstrations, tokens)
        longest = files.max_position_embeddings or max(lengths, default=0)
        means: list[float | None] = [None] * len(demonstrations)
        model = _load(student)
        done = sum(length > longest for length in lengths)
        for chosen in _by_length(lengths, longest=longest, batch_tokens=batch_tokens):
            batch = collate_demonstrations([demonstrations[i] for i in chosen], tokens)
            for i, mean in zip(chosen, _mean_logprobs(model, batch), strict=True):
                means[i] = mean
            done += len(chosen)
            if on_progress is not None:
                on_progress(done, len(demonstrations))
    finally:
        torch.set_num_threads(before)
    return StudentDistance(Path(student).name, tuple(means), tuple(trained))


def _lengths(
    demonstrations: Sequence[Demonstration], tokens: ChatTokens
) -> tuple[list[int], list[int]]:
    """Tokens of prompt and trace, and of the trace alone."""
    trained = [len(tokens.encode_completion(each.trace)) for each in demonstrations]
    prompts = [len(tokens.encode_prompt(each.prompt)) for each in demonstrations]
    return [a + b for a, b in zip(prompts, trained, strict=True)], trained


def _by_length(lengths: Sequence[int], *, longest: int, batch_tokens: int) -> Iterator[list[int]]:
    """Indices in batches of like length, none with more than `batch_tokens` padded tokens unless it
    is of one sequence.
    """
    chosen: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if lengths[i] > longest:
            break
        if chosen and (len(chosen) + 1) * lengths[i] > batch_tokens:
            yield chosen
            chosen = []
        chosen.append(i)
    if chosen:
        yield chosen


# Of models that cap or scale what their head gives (Gemma 2, Granite, Cohere).
_BENT_LOGITS = ("final_logit_softcapping", "logits_scaling", "logit_scale")


def _mean_logprobs(model: Any, batch: Batch) -> list[float]:
    """Of each sequence, over its masked tokens. Logits are computed for the places that predict
    those alone: with a large vocabulary the rest would not fit.
    """
    import torch

    from tailor_rl.algorithms.logprobs import token_logprobs

    device = next(model.parameters()).device
    tokens_BT = torch.from_numpy(batch.tokens).to(device)
    mask_BT = torch.from_numpy(batch.mask).to(device)
    with torch.inference_mode():
        # Padding is on the right: no earlier token sees it.
        chosen_BT = mask_BT[:, 1:]
        if any(getattr(model.config, name, None) for name in _BENT_LOGITS):
            logits_BTV = model(input_ids=tokens_BT, use_cache=False).logits
            logits_NV = logits_BTV[:, :-1][chosen_BT]
        else:
            hidden_BTH = model.get_decoder()(input_ids=tokens_BT, use_cache=False).last_hidden_state
            logits_NV = model.get_output_embeddings()(hidden_BTH[:, :-1][chosen_BT])
        logprobs_N = token_logprobs(logits_NV, tokens_BT[:, 1:][chosen_BT], temperature=1.0)
    counts = chosen_BT.sum(dim=1).tolist()
    return [float(part.double().mean()) for part in torch.split(logprobs_N, counts)]


def _load(student: str | Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()  # it would be drawn over the screen
    model: Any = AutoModelForCausalLM.from_pretrained(
        str(student), local_files_only=True, use_safetensors=True, dtype="auto"
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    # Half precision on a CPU is slow and coarse.
    return (model if device == "cuda" else model.float()).to(device).eval()
