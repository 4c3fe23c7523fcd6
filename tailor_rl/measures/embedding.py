"""Texts as points on a sphere: by their words, offline, or by an encoder of the user's own.

Knows nothing about what the texts are.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tailor_rl.errors import ConfigError
from tailor_rl.measures.words import content_words

WORDS = "words"
DIMENSION = 4096  # few of the some hundred features of a trace share one of so many places
BATCH = 32  # texts that an encoder reads at once
MAX_LENGTH = 512  # tokens, where an encoder's own files name no limit


class Embedder(Protocol):
    @property
    def name(self) -> str: ...

    def __call__(self, texts: Sequence[str], /) -> np.ndarray:
        """(N, D) float64, rows of norm 1: their products are cosines."""
        ...


def load_embedder(name: str) -> Embedder:
    """`"words"`, or the folder of a Hugging Face encoder. ConfigError for a folder that is none."""
    return WordEmbedder() if name == WORDS else EncoderEmbedder(Path(name).expanduser())


class WordEmbedder:
    """Stemmed content words and pairs of neighbours, hashed into `dimension` places (feature
    hashing: Weinberger et al., arXiv 0902.2206, without signs) with weights 1 + ln(count).

    No weights to download; the same numbers in every process. Cosines are in [0, 1].
    """

    name = WORDS

    def __init__(self, dimension: int = DIMENSION) -> None:
        self._dimension = dimension

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        points_ND = np.zeros((len(texts), self._dimension))
        for row_D, text in zip(points_ND, texts, strict=True):
            for feature, count in Counter(_features(text)).items():
                row_D[_place(feature) % self._dimension] += 1.0 + np.log(count)
        return _normed(points_ND)


def _features(text: str) -> list[str]:
    found = content_words(text)
    pairs = [f"{first} {second}" for first, second in itertools.pairwise(found)]
    # Texts without a word are alike, and unlike every other.
    return found + pairs or [""]


@lru_cache(maxsize=1 << 18)
def _place(feature: str) -> int:
    digest = hashlib.blake2b(feature.encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _normed(points_ND: np.ndarray) -> np.ndarray:
    norms_N1 = np.linalg.norm(points_ND, axis=1, keepdims=True)
    return np.asarray(points_ND / np.maximum(norms_N1, 1e-12), dtype=np.float64)


class EncoderEmbedder:
    """The mean of an encoder's last hidden states over a text's tokens (Reimers & Gurevych,
    arXiv 1908.10084), on the CPU. Longer texts are cut to the encoder's length.
    """

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self._length = _check_encoder(folder)
        self._tokenizer, self._model = _load_encoder(folder)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        width = int(self._model.config.hidden_size)
        points_ND = np.zeros((len(texts), width))
        # Texts of like length go together: less padding to compute.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            points_ND[chosen] = self._means([texts[i] for i in chosen])
        return _normed(points_ND)

    def _means(self, texts: list[str]) -> np.ndarray:
        import torch

        encoded = self._tokenizer(
            # An empty text would have no token to average over.
            [text or " " for text in texts],
            padding=True,
            truncation=True,
            max_length=self._length,
            return_tensors="pt",
        )
        inputs = {key: encoded[key] for key in ("input_ids", "attention_mask")}
        with torch.inference_mode():
            states_BTD = self._model(**inputs).last_hidden_state.double()
        mask_BT1 = inputs["attention_mask"][..., None].double()
        means_BD = (states_BTD * mask_BT1).sum(dim=1) / mask_BT1.sum(dim=1).clamp_min(1.0)
        return np.asarray(means_BD.numpy())


def _check_encoder(folder: Path) -> int:
    """The longest text in tokens. ConfigError for what is no encoder or could run code."""
    what = f"measures.embedder = {str(folder)!r}"
    fix = f'use "{WORDS}", which needs no weights, or a folder with config.json and *.safetensors'
    if not folder.is_dir():
        raise ConfigError(f"{what} is no folder: {fix}")
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{what} has no config.json that can be read: {fix}") from error
    if not isinstance(config, dict) or "auto_map" in config:
        raise ConfigError(f"{what} asks to run code of its own (auto_map), never done: {fix}")
    if not any(folder.glob("*.safetensors")):
        raise ConfigError(f"{what} holds no *.safetensors file: {fix}")
    longest = config.get("max_position_embeddings")
    return min(MAX_LENGTH, longest) if isinstance(longest, int) else MAX_LENGTH


def _load_encoder(folder: Path) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # it would be drawn over the screen
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        model: Any = AutoModel.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise ConfigError(
            f"measures.embedder = {str(folder)!r} cannot be loaded as an encoder ({reason}): use "
            f'"{WORDS}", which needs no weights, or another folder'
        ) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer, model.eval()
