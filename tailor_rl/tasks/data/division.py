"""Examples to splits: no question stands in two of them, nor twice in one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tailor_rl.tasks.data.examples import Example
from tailor_rl.tasks.splits import BINS, fingerprint

Splits = dict[str, list[Example]]


def divide(given: Mapping[str, Sequence[Example]], family: Callable[[str], str]) -> Splits:
    """The splits, in the order of `given`, rows in the order of their files.

    A split without a file of its own is cut out of "train": the examples whose family's fingerprint
    falls into its bins (validation and test a tenth each). ValueError where a split stays empty.
    """
    splits: Splits = {split: [] for split in BINS}
    for split, examples in given.items():
        splits[split] = []
        for example in examples:
            place = fingerprint(family(example.key)) % 100
            cut = [s for s in BINS if s not in given and place in BINS[s]]
            splits[cut[0] if split == "train" and cut else split].append(example)
    return splits


def without_repeats(splits: Splits, family: Callable[[str], str]) -> tuple[Splits, list[str]]:
    """Each question once, and what was dropped, in words.

    Examinations keep theirs: test before validation before the ood splits before train. Within a
    split the first of equal questions stays; across splits a whole family is dropped.
    """
    kept: Splits = {}
    notes: list[str] = []
    taken: dict[str, str] = {}  # family -> the split that has it
    ood = [split for split in splits if split not in BINS]
    for split in ("test", "validation", *ood, "train"):
        seen: dict[str, Example] = {}
        leaked = repeated = contradicted = 0
        for example in splits[split]:
            if taken.get(family(example.key), split) != split:
                leaked += 1
            elif first := seen.get(example.key):
                repeated += 1
                contradicted += first.answer != example.answer
            else:
                seen[example.key] = example
        taken.update((family(key), split) for key in seen)
        kept[split] = list(seen.values())
        if repeated:
            notes.append(
                f"{split}: {repeated} of {len(splits[split])} questions are repeats and left out "
                f"({contradicted} of them had another answer than the first)"
            )
        if leaked:
            notes.append(
                f"{split}: {leaked} of {len(splits[split])} questions stand in another split too "
                "and are left out here"
            )
    return {split: kept[split] for split in splits}, notes
