"""`tailor student build`: tokenizer, random weights, training on a corpus, an ordinary checkpoint
with its own card.

Loss on completions only, AdamW, linear warm-up and cosine decay; documents of like length share a
batch.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tailor_rl.students.recipe import Corpus, Shape, StudentRecipe, Training, read_recipe
from tailor_rl.students.tokenizer import END, PAD, train_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

_TOKENIZER_DOCUMENTS = 20_000
_POOL = 2048  # documents sorted by length together
Example = tuple[list[int], int]  # token ids, length of the prompt


def build_student(
    recipe_path: Path,
    out: Path,
    *,
    tokens: int | None = None,
    threads: int | None = None,
    log: Callable[[str], None] = print,
) -> Path:
    """Train the student of a recipe from scratch and save it to `out`; returns `out`."""
    import torch
    from transformers import AutoTokenizer

    overrides = {"tokens": tokens, "threads": threads}
    recipe = read_recipe(recipe_path, {k: v for k, v in overrides.items() if v is not None})
    torch.set_num_threads(recipe.training.threads)
    torch.manual_seed(recipe.training.seed)
    tokenizer = train_tokenizer(_texts(recipe), vocabulary=recipe.shape.vocabulary)
    model = new_model(recipe.shape, tokenizer)
    # Read back as everybody will read it: transformers splits digits by the model's family.
    for part in (model, tokenizer):
        part.save_pretrained(out)
    tokenizer = AutoTokenizer.from_pretrained(out)
    log(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(tokenizer)} tokens")
    corpus = recipe.corpus.make(seed=recipe.training.seed)
    figures = train(model, tokenizer, corpus, recipe.training, log=log)
    model.save_pretrained(out)
    card = {"recipe": recipe.model_dump(), "training": figures, "corpus_hash": _corpus_hash(recipe)}
    (out / "student.json").write_text(json.dumps(card, indent=2) + "\n")
    return out


def new_model(shape: Shape, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    options: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.key_value_heads,
        "max_position_embeddings": shape.max_positions,
        "tie_word_embeddings": shape.tied_embeddings,
        "eos_token_id": tokenizer.convert_tokens_to_ids(END),
        "pad_token_id": tokenizer.convert_tokens_to_ids(PAD),
        "bos_token_id": None,
    }
    if shape.family == "qwen2":
        return Qwen2ForCausalLM(Qwen2Config(**options))
    return LlamaForCausalLM(LlamaConfig(**options))


def train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    corpus: Corpus,
    training: Training,
    *,
    log: Callable[[str], None],
) -> dict[str, float]:
    """One pass over fresh documents until `training.tokens` are spent."""
    import torch

    optimizer = torch.optim.AdamW(
        model.parameters(), lr=training.learning_rate, betas=(0.9, 0.95), weight_decay=0.01
    )
    spent, step, smooth, start = 0, 0, 0.0, time.monotonic()
    for tokens_BT, labels_BT in _batches(tokenizer, corpus, training.batch_tokens):
        rate = _rate(spent / training.tokens, step, training)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = _loss(model, tokens_BT, labels_BT)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        step, spent = step + 1, spent + tokens_BT.numel()
        smooth = loss.item() if step == 1 else 0.98 * smooth + 0.02 * loss.item()
        if step % 50 == 0:
            speed = spent / (time.monotonic() - start)
            log(f"step {step}: {spent / 1e6:.2f} M tokens, loss {smooth:.4f}, {speed:,.0f} tok/s")
        if spent >= training.tokens:
            break
    return {"steps": step, "loss": smooth, "seconds": time.monotonic() - start}


def _loss(model: PreTrainedModel, tokens_BT: torch.Tensor, labels_BT: torch.Tensor) -> torch.Tensor:
    """Mean negative log-likelihood of completion tokens; logits only where there is a label."""
    import torch

    hidden_BTH = model.model(input_ids=tokens_BT).last_hidden_state[:, :-1]
    wanted_BT = labels_BT[:, 1:]
    mask_BT = wanted_BT >= 0
    logits = model.lm_head(hidden_BTH[mask_BT])
    return torch.nn.functional.cross_entropy(logits.float(), wanted_BT[mask_BT])


def _rate(done: float, step: int, training: Training) -> float:
    warm = min(1.0, (step + 1) / max(1, training.warmup_steps))
    span = training.learning_rate - training.final_learning_rate
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    return warm * (training.final_learning_rate + span * cosine)


def _batches(
    tokenizer: PreTrainedTokenizerFast, corpus: Corpus, batch_tokens: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Padded batches of at most `batch_tokens`; labels are -100 on prompts and padding."""
    import torch

    shuffle = torch.Generator().manual_seed(0)
    while True:
        examples = sorted(_encode(tokenizer, corpus, _POOL), key=lambda example: len(example[0]))
        batches = _split(examples, batch_tokens)
        for i in torch.randperm(len(batches), generator=shuffle).tolist():
            yield _pad(batches[i], pad=tokenizer.pad_token_id)


def _encode(tokenizer: PreTrainedTokenizerFast, corpus: Corpus, count: int) -> Iterator[Example]:
    documents = [corpus.document() for _ in range(count)]
    prompts = tokenizer([f"<|user|>{prompt}{END}<|assistant|>" for prompt, _ in documents])[
        "input_ids"
    ]
    completions = tokenizer([completion + END for _, completion in documents])["input_ids"]
    for prompt, completion in zip(prompts, completions, strict=True):
        yield prompt + completion, len(prompt)


def _split(examples: list[Example], batch_tokens: int) -> list[list[Example]]:
    batches: list[list[Example]] = [[]]
    for example in examples:  # ascending, so the newest is the longest of its batch
        if batches[-1] and (len(batches[-1]) + 1) * len(example[0]) > batch_tokens:
            batches.append([])
        batches[-1].append(example)
    return batches


def _pad(batch: list[Example], *, pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    length = max(len(ids) for ids, _ in batch)
    tokens_BT = torch.full((len(batch), length), pad)
    labels_BT = torch.full((len(batch), length), -100)
    for row, (ids, prompt_length) in enumerate(batch):
        tokens_BT[row, : len(ids)] = torch.tensor(ids)
        labels_BT[row, prompt_length : len(ids)] = torch.tensor(ids[prompt_length:])
    return tokens_BT, labels_BT


def _texts(recipe: StudentRecipe) -> Iterator[str]:
    corpus = recipe.corpus.make(seed=recipe.training.seed)
    for _ in range(_TOKENIZER_DOCUMENTS):
        yield "\n".join(corpus.document())


def _corpus_hash(recipe: StudentRecipe) -> str:
    """blake2b over the first 1,000 documents: says whether two students were raised on the same
    corpus.
    """
    corpus = recipe.corpus.make(seed=recipe.training.seed)
    digest = hashlib.blake2b(digest_size=16)
    for _ in range(1000):
        digest.update("\0".join(corpus.document()).encode())
    return digest.hexdigest()
