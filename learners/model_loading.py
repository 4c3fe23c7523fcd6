"""The student as a transformers model and tokenizer, from a checkpoint folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import is_flash_attn_2_available, logging

from tailor_rl.errors import ConfigError

DType = Literal["float32", "bfloat16"]
Attention = Literal["sdpa", "flash_attention_2", "eager"]


def load_model(
    path: str,
    *,
    dtype: DType,
    device: torch.device,
    gradient_checkpointing: bool,
    attention: Attention = "sdpa",
) -> Any:
    """A causal language model in `dtype` on `device`, ready to be trained.

    Raises ConfigError for an attention that cannot run here.
    """
    check_attention(attention, dtype=dtype, on_gpu=device.type == "cuda")
    logging.disable_progress_bar()  # every rank would draw its own, over the live screen
    model = AutoModelForCausalLM.from_pretrained(
        path,
        dtype=getattr(torch, dtype),
        attn_implementation=attention,
        use_safetensors=True,  # pickled weights beside a stray safetensors file stay unread
    )
    if gradient_checkpointing:
        # The re-entrant kind: the other compares shapes of parameters, and ZeRO-3 empties those.
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": True})
        model.enable_input_require_grads()
        model.train()  # transformers checkpoints in this mode only
    else:
        model.eval()  # no dropout: learner and engine must speak of the same distribution
    return model.to(device)


def check_attention(attention: Attention, *, dtype: DType, on_gpu: bool) -> None:
    """Raises ConfigError for an attention that this device, type or installation does not have."""
    if attention != "flash_attention_2":
        return
    asked = 'learner.attention = "flash_attention_2"'
    if not on_gpu:
        raise ConfigError(
            f"{asked} runs on GPUs alone, and learner.gpus_per_rank is 0: set it to 1, or "
            f'learner.attention = "sdpa"'
        )
    if dtype == "float32":
        raise ConfigError(
            f'{asked} knows no float32: set learner.dtype = "bfloat16", or '
            f'learner.attention = "sdpa"'
        )
    if not is_flash_attn_2_available():
        raise ConfigError(
            f"{asked} needs the package flash-attn, which is not installed here: install it "
            f'(pip install flash-attn), or set learner.attention = "sdpa"'
        )


def set_weights(model: Any, weights: Mapping[str, torch.Tensor]) -> None:
    """Overwrite every parameter by name, in place."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])


def load_tokenizer(path: str) -> Any:
    return AutoTokenizer.from_pretrained(path)
