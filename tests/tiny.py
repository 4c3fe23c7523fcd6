"""A random student small enough for a test: byte-level tokenizer, chat template, few parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Ids 0 (padding), 1 and 2 (end of turn).
SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
VOCABULARY = len(SPECIAL_TOKENS) + 256
HEAD_WIDTH = 32  # the smallest that vLLM's CPU attention takes


def make_student(
    folder: Path,
    *,
    family: Literal["qwen2", "llama"] = "qwen2",
    tied: bool = True,
    hidden: int = 64,
    layers: int = 2,
    max_length: int = 1024,
    seed: int = 0,
    talkative: bool = False,
) -> Path:
    """Write a checkpoint that transformers and vLLM load, and return its folder.

    `hidden` is a multiple of 32. A `talkative` one ends its turn only where a grammar leaves it
    nothing else; the others do so at any token, the first too, with probability 1 / VOCABULARY.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    shape: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": hidden // HEAD_WIDTH,
        "num_key_value_heads": max(1, hidden // HEAD_WIDTH // 2),
        "max_position_embeddings": max_length,
        "tie_word_embeddings": tied,
        "pad_token_id": 0,
        "bos_token_id": 0,
        "eos_token_id": 2,
    }
    # A seed of its own: making a student must not move the random state of the test around it.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if family == "qwen2":
            model: Any = Qwen2ForCausalLM(Qwen2Config(**shape))
        else:
            model = LlamaForCausalLM(LlamaConfig(**shape))
    if talkative:
        make_talkative(model)
    model.save_pretrained(folder)
    byte_level_tokenizer().save_pretrained(folder)
    return folder


def make_talkative(model: Any) -> None:
    """One dimension of the residual stream is large at every position and argues against ends."""
    assert not model.config.tie_word_embeddings
    model.get_input_embeddings().weight.data[:, 0] = 1.0
    model.get_output_embeddings().weight.data[model.config.eos_token_id, 0] = -5.0


def byte_level_tokenizer() -> Any:
    """One token a byte, nothing merged: ids do not depend on any training corpus."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*SPECIAL_TOKENS, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL_TOKENS)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast
