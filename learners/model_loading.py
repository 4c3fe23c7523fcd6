"""The student as a transformers model and tokenizer, from a checkpoint folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

DType = Literal["float32", "bfloat16"]


def load_model(
    path: str, *, dtype: DType, device: torch.device, gradient_checkpointing: bool
) -> Any:
    """A causal language model in `dtype` on `device`, ready to be trained."""
    logging.disable_progress_bar()  # every rank would draw its own, over the live screen
    model = AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, dtype))
    if gradient_checkpointing:
        # The re-entrant kind: the other compares shapes of parameters, and ZeRO-3 empties those.
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": True})
        model.enable_input_require_grads()
        model.train()  # transformers checkpoints in this mode only
    else:
        model.eval()  # no dropout: learner and engine must speak of the same distribution
    return model.to(device)


def set_weights(model: Any, weights: Mapping[str, torch.Tensor]) -> None:
    """Overwrite every parameter by name, in place."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])


def load_tokenizer(path: str) -> Any:
    return AutoTokenizer.from_pretrained(path)
