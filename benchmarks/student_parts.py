"""How well a Knights & Knaves student does each part of a solution, token by token.

    python benchmarks/student_parts.py students/knights-qwen2 --out benchmarks/results/parts.json

Teacher-forced: on fresh drill documents (a seed that no student was raised on) the likeliest next
token is compared with the written one at the places where the part is decided.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tailor_rl.runs.environment import describe_environment
from tailor_rl.statistics import wilson_interval
from tailor_rl.tasks.knights.drills import Upbringing

Decision = tuple[int, str]  # index of the decided token, name of the part


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("student", type=Path)
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1_000_003)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    right, seen = measure(args.student, documents=args.documents, seed=args.seed)
    parts = {}
    for part in sorted(seen):
        share = wilson_interval(right[part], seen[part])
        parts[part] = {"of": seen[part], **asdict(share)}
        print(f"{part:20} {share.value:.4f} [{share.low:.4f}, {share.high:.4f}] of {seen[part]}")
    document = {
        "command": f"python benchmarks/student_parts.py {args.student} "
        f"--documents {args.documents} --seed {args.seed}",
        "environment": describe_environment(),
        "card": json.loads((args.student / "student.json").read_text()),
        "parts": parts,
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(document, indent=1) + "\n")


def measure(student: Path, *, documents: int, seed: int) -> tuple[Counter[str], Counter[str]]:
    """How often each part was right, and how often it was asked for."""
    tokenizer = AutoTokenizer.from_pretrained(student)
    model = AutoModelForCausalLM.from_pretrained(student, dtype=torch.float32)
    card = json.loads((student / "student.json").read_text())
    options = card["recipe"]["corpus"]["options"] | {"trusting_documents": 0}
    corpus = Upbringing(seed=seed, **options)
    right, seen = Counter[str](), Counter[str]()
    for _ in range(documents):
        prompt, completion = corpus.document()
        start = tokenizer(f"<|user|>{prompt}<|end|><|assistant|>")["input_ids"]
        tokens = start + tokenizer(completion)["input_ids"]
        with torch.no_grad():
            likeliest = model(torch.tensor([tokens])).logits[0].argmax(-1).tolist()
        words = tokenizer.convert_ids_to_tokens(tokens)
        for i, part in decisions(words, first=len(start), prompt=prompt):
            seen[part] += 1
            right[part] += likeliest[i - 1] == tokens[i]
    return right, seen


def decisions(tokens: Sequence[str], *, first: int, prompt: str) -> Iterator[Decision]:
    """Where a part is decided, from token `first` on; tokens as the byte-level tokenizer has them
    ("Ġ" for a space).
    """
    words = [token.lstrip("Ġ") for token in tokens]
    for i in range(first + 2, len(words)):
        before, last, here = words[i - 2 : i + 1]
        if here in ("honest", "lying") and "Go on:" in prompt:
            yield i, "next case"
        elif here in ("honest", "lying") and "What comes after" in prompt:
            yield i, "next role"
        elif here in ("honest", "lying") and before == "vs":
            yield i, "look up a role"
        elif here in ("honest", "lying") and before == ";":
            yield i, "look up the speaker"
        elif here in ("true", "false"):
            yield i, "truth of a joint" if last == ":" else "truth of an atom"
        elif here in ("fits", "conflict"):
            yield i, "fits or conflict"
        elif here in ("knight", "knave") and "answer" not in words[first:i]:
            yield i, "repeat a claim"


if __name__ == "__main__":
    main()
