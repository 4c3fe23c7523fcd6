"""Traces of planted styles, and run folders that hold them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tailor_rl.measures.styles import Text

OWN = ("lemon", "river", "candle", "saddle", "willow", "marble", "pepper", "violin")
COMMON = ("so", "we", "look", "at", "the", "next", "one", "and", "go", "on", "if", "it", "fits")
PROMPT = "Who is who?"


def sentence(style: int, rng: np.random.Generator) -> str:
    """Half of its words are any style's, the others this style's own."""
    said = rng.permutation([*rng.choice(COMMON, size=4), *_own(style, rng, 4)])
    return " ".join(said) + "."


def _own(style: int, rng: np.random.Generator, num: int) -> list[str]:
    return [f"{OWN[style]}{ending}" for ending in rng.choice(("", "ish", "ful", "less"), size=num)]


def planted(style: int, rng: np.random.Generator, num_sentences: int = 6) -> str:
    return " ".join(sentence(style, rng) for _ in range(num_sentences))


def spliced(first: int, second: int, rng: np.random.Generator) -> str:
    return f"{planted(first, rng, 3)} {planted(second, rng, 3)}"


def planted_texts(
    styles: Sequence[int], *, each: int, seed: int
) -> tuple[list[Text], list[int], np.random.Generator]:
    """`each` texts of every class; class k follows styles[k]. A problem a text."""
    rng = np.random.default_rng(seed)
    labels = [k for _ in range(each) for k in range(len(styles))]
    texts = [Text(planted(styles[k], rng), PROMPT, f"p{i}") for i, k in enumerate(labels)]
    return texts, labels, rng


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_demonstrations(
    run: Path, styles: Mapping[str | None, int], *, each: int = 20, seed: int = 0
) -> None:
    """`styles`: the planted style of each primitive; None is a trace that follows no primitive."""
    rng = np.random.default_rng(seed)
    rows = [
        {
            "id": f"d{i}-{name}",
            "problem_id": f"train:{i}-{name}",
            "prompt": PROMPT,
            "trace": planted(style, rng),
            "reward": 1.0,
            "origin": "teacher" if name else "rule",
            "primitive_id": name,
            "prompt_tokens": 1,
            "completion_tokens": 1,
        }
        for i in range(each)
        for name, style in styles.items()
    ]
    write_rows(run / "demonstrations.jsonl", rows)


def write_answers(path: Path, texts: Sequence[str], *, step: int, right: float = 1.0) -> None:
    """`right`: the share of them, the first ones."""
    rows = [
        {
            "stage": "rl",
            "step": step,
            "split": "validation",
            "problem_id": f"validation:{i}",
            "prompt": PROMPT,
            "answer": "",
            "text": text,
            "reward": float(i < right * len(texts)),
            "correct": float(i < right * len(texts)),
        }
        for i, text in enumerate(texts)
    ]
    write_rows(path, rows)
