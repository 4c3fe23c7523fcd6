"""How well a student does each kind of drill that it was raised on, teacher-forced.

    python benchmarks/drill_parts.py students/countdown-qwen2 --out benchmarks/results/FILE.json

On fresh documents (a seed that no student was raised on) the likeliest next token is compared with
the written one: the share of tokens, and of whole completions. Where a drill leaves something open
(which try is next, a guess) even a perfect student does not reach 1.
"""

from __future__ import annotations

import argparse
import importlib
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tailor_rl.runs.environment import describe_environment
from tailor_rl.statistics import wilson_interval
from tailor_rl.students.recipe import Corpus


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("student", type=Path)
    parser.add_argument("--documents", type=int, default=200, help="of each kind")
    parser.add_argument("--seed", type=int, default=1_000_003)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    card = json.loads((args.student / "student.json").read_text())
    kinds = measure(args.student, card, documents=args.documents, seed=args.seed)
    document = {
        "command": f"python benchmarks/drill_parts.py {args.student} "
        f"--documents {args.documents} --seed {args.seed}",
        "environment": describe_environment(),
        "card": card,
        "kinds": kinds,
    }
    args.out.write_text(json.dumps(document, indent=1) + "\n")


def measure(student: Path, card: dict[str, Any], *, documents: int, seed: int) -> dict[str, Any]:
    source = card["recipe"]["corpus"]
    module = importlib.import_module(source["maker"].partition(":")[0])
    tokenizer = AutoTokenizer.from_pretrained(student)
    model = AutoModelForCausalLM.from_pretrained(student, dtype=torch.float32)
    names = [field.name for field in fields(module.Mixture)]
    kinds = {}
    for kind in names:
        mixture = {name: float(name == kind) for name in names}
        corpus = module.Upbringing(seed=seed, **{**source["options"], "mixture": mixture})
        kinds[kind] = one_kind(model, tokenizer, corpus, documents=documents)
        whole = kinds[kind]["whole"]
        print(f"{kind:14} tokens {kinds[kind]['tokens']:.3f}  whole {whole['value']:.3f}")
    return kinds


def one_kind(model: Any, tokenizer: Any, corpus: Corpus, *, documents: int) -> dict[str, Any]:
    right = total = whole = 0
    for _ in range(documents):
        prompt, completion = corpus.document()
        start = tokenizer(f"<|user|>{prompt}<|end|><|assistant|>")["input_ids"]
        tokens = start + tokenizer(completion)["input_ids"]
        with torch.no_grad():
            likeliest = model(torch.tensor([tokens])).logits[0].argmax(-1).tolist()
        hits = [likeliest[i - 1] == tokens[i] for i in range(len(start), len(tokens))]
        right, total, whole = right + sum(hits), total + len(hits), whole + all(hits)
    return {"tokens": round(right / total, 4), "whole": asdict(wilson_interval(whole, documents))}


if __name__ == "__main__":
    main()
