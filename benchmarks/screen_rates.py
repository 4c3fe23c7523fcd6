"""How often the pattern screen refuses what it should, and how often what it should not.

    python benchmarks/screen_rates.py [--out benchmarks/results/screen-rates.json]

Texts: tests/data/red_team.jsonl. Its development half was seen while the patterns were written; its
held-out half was written after they were finished, in other words on purpose, and no pattern was
changed for it. Harmless texts besides: what the built-in teacher writes as primitives, which nobody
looked at. Prints tables in Markdown; intervals are Wilson's at 95 %.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any

from tailor_rl.primitives.safety import refusal
from tailor_rl.runs.environment import describe_environment
from tailor_rl.seeds import derive_seed
from tailor_rl.statistics import wilson_interval
from tailor_rl.teachers.builtin.brain import SUBJECTS
from tailor_rl.teachers.builtin.subject import describe

ROOT = Path(__file__).resolve().parents[1]
RED_TEAM = ROOT / "tests" / "data" / "red_team.jsonl"
SPLITS = ("dev", "held-out")
BAD = ("injecting", "unsafe")
# What is seen by its form alone, whatever the text says.
FORM = frozenset({"control-token", "url", "markup", "template", "code"})
REPEATS = 20

Row = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    document = {
        "command": "python benchmarks/screen_rates.py",
        "environment": describe_environment(),
        **measure(),
    }
    print(markdown(document))
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(document, indent=1) + "\n")


def measure() -> dict[str, Any]:
    """Rates by split, and the cost of one text."""
    rows: list[Row] = [json.loads(line) for line in RED_TEAM.read_text().splitlines()]
    refusal("the patterns are compiled by the first text")
    return {
        "texts_sha256": hashlib.sha256(RED_TEAM.read_bytes()).hexdigest(),
        "splits": {split: rates([r for r in rows if r["split"] == split]) for split in SPLITS},
        "built_in_teacher": share(refusal(text) is not None for text in built_in_texts()),
        "speed": speed([row["text"] for row in rows]),
    }


def built_in_texts() -> list[str]:
    """Names, instructions and patterns of the built-in teacher's primitives, each once."""
    texts: dict[str, None] = {}
    for subject in SUBJECTS:
        texts.update(dict.fromkeys(pattern.sentence for pattern in subject.patterns.values()))
        for size in (1, 2, 3):
            for habits in combinations(subject.habits, size):
                for draw in range(2):
                    seed = derive_seed(draw, *(habit.label for habit in habits))
                    texts.update(dict.fromkeys(describe(list(habits), Random(seed))))
    return list(texts)


def rates(rows: Sequence[Row]) -> dict[str, Any]:
    found = [(row, refusal(row["text"])) for row in rows]
    refused = [(row, f is not None) for row, f in found]
    bad = [(row, hit) for row, hit in refused if row["label"] in BAD]
    return {
        "recall": share(hit for _, hit in bad),
        "recall_by_label": {
            label: share(h for r, h in bad if r["label"] == label) for label in BAD
        },
        "recall_of_form": share(hit for row, hit in bad if row["category"] in FORM),
        "recall_of_meaning": share(hit for row, hit in bad if row["category"] not in FORM),
        "recall_by_category": _by("category", bad),
        "recall_by_obfuscation": _by("obfuscation", bad),
        "false_positives": share(hit for row, hit in refused if row["label"] == "harmless"),
        "reasons": dict(Counter(f.reason for row, f in found if f and row["label"] in BAD)),
        "harmless_refused": [
            row["text"] for row, hit in refused if row["label"] == "harmless" and hit
        ],
        "passed": [row["text"] for row, hit in bad if not hit],
    }


def _by(field: str, refused: Sequence[tuple[Row, bool]]) -> dict[str, Any]:
    names = dict.fromkeys(row[field] for row, _ in refused)
    return {name: share(hit for row, hit in refused if row[field] == name) for name in names}


def share(hits: Iterable[bool]) -> dict[str, Any]:
    values = list(hits)
    interval = wilson_interval(sum(values), len(values))
    return {
        "refused": sum(values),
        "of": len(values),
        "share": round(interval.value, 4),
        "low": round(interval.low, 4),
        "high": round(interval.high, 4),
    }


def speed(texts: Sequence[str]) -> dict[str, float]:
    """CPU time of one text; the longest that is allowed; and 1 MB, which only a caller who raises
    the limit can ask for.
    """
    started = time.process_time()
    for _ in range(REPEATS):
        for text in texts:
            refusal(text)
    each = (time.process_time() - started) / (REPEATS * len(texts))
    sentence = "Solve the smaller case first, then check each step against the claim. "
    return {
        "ms_per_text": round(1000 * each, 3),
        "mean_chars": round(sum(map(len, texts)) / len(texts), 1),
        "ms_per_800_chars": round(1000 * _seconds(sentence, 800, times=REPEATS), 2),
        "s_per_megabyte": round(_seconds(sentence, 2**20, times=1), 2),
    }


def _seconds(sentence: str, num_chars: int, *, times: int) -> float:
    text = (sentence * (num_chars // len(sentence) + 1))[:num_chars]
    started = time.process_time()
    for _ in range(times):
        assert refusal(text, max_chars=num_chars) is None
    return (time.process_time() - started) / times


def markdown(document: dict[str, Any]) -> str:
    splits = document["splits"]
    lines = ["| refused | " + " | ".join(SPLITS) + " |", "|---|" + "---|" * len(SPLITS)]

    def add(title: str, cells: Iterable[dict[str, Any] | None]) -> None:
        lines.append(f"| {title} | " + " | ".join(map(_cell, cells)) + " |")

    add("harmful, all", [splits[split]["recall"] for split in SPLITS])
    add("by its form (tokens, links, code)", [splits[s]["recall_of_form"] for s in SPLITS])
    add("by what it says", [splits[s]["recall_of_meaning"] for s in SPLITS])
    for group in ("label", "category", "obfuscation"):
        names = dict.fromkeys(n for s in SPLITS for n in splits[s][f"recall_by_{group}"])
        for name in names:
            add(f"{group} {name}", [splits[s][f"recall_by_{group}"].get(name) for s in SPLITS])
    add("**harmless look-alikes**", [splits[split]["false_positives"] for split in SPLITS])
    lines.append(
        f"| **built-in teacher's primitives** | - | {_cell(document['built_in_teacher'])} |"
    )
    cost = document["speed"]
    lines += [
        "",
        f"{cost['ms_per_text']} ms of CPU for a text of {cost['mean_chars']} characters,"
        f" {cost['ms_per_800_chars']} ms for 800, {cost['s_per_megabyte']} s for 1 MB.",
    ]
    return "\n".join(lines)


def _cell(rate: dict[str, Any] | None) -> str:
    if rate is None:
        return "-"
    percent = f"{100 * rate['share']:.0f} % ({100 * rate['low']:.0f} to {100 * rate['high']:.0f})"
    return f"{rate['refused']} of {rate['of']}: {percent}"


if __name__ == "__main__":
    main()
