"""One data set of reasoning-gym at one difficulty: its items by place, and its scorer.

The boundary to the library: whatever it may do (draw from the global random state, hold numpy
strings, refuse a setting with an assertion) ends here.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

from rapidfuzz import process

from tailor_rl.tasks.gym.guards import evaluates_unguarded, may_be_scored

# Found by making the same items under two values of PYTHONHASHSEED (reasoning-gym 0.1.25): these go
# through sets of strings, so every process would hold other problems under the same name.
_UNSTABLE = {
    *("codeio", "isomorphic_strings", "knight_swap", "polynomial_multiplication"),
    *("ransom_note", "word_ladder"),
}
_OURS = ("seed", "size")


@dataclass(frozen=True, slots=True)
class Item:
    """A question and what scoring it needs; `metadata` is plain JSON."""

    dataset: str
    question: str
    answer: str
    metadata: Mapping[str, Any]


class Library:
    """`items` distinct places at most in one seed; config is what the library's config class takes.

    ValueError where there is no such data set, or it refuses the config, or cannot be used here.
    """

    def __init__(self, dataset: str, config: Mapping[str, Any], *, items: int) -> None:
        self._kind, self._config_kind = _registered(dataset)
        self.config = dict(config)
        self._dataset, self._items = dataset, items
        self._made: tuple[int, Any] = (0, self._make(0))
        for part in getattr(self._made[1], "datasets", {dataset: self._made[1]}).items():
            _check_part(*part)

    def item(self, seed: int, place: int) -> Item:
        """The item at a place. Raises whatever the generator raises: some fail now and then."""
        if self._made[0] != seed:
            self._made = (seed, self._make(seed))
        # "list_functions" draws from the module's own state in one place: give it a known one.
        state = random.getstate()
        random.seed(seed + place)
        try:
            entry = self._made[1][place]
        finally:
            random.setstate(state)
        if not isinstance(entry["answer"], str):
            raise ValueError("the library gives no answer to its question")
        metadata = plain(entry["metadata"])
        name = metadata.get("source_dataset", self._dataset)
        return Item(name, str(entry["question"]), str(entry["answer"]), metadata)

    def score(self, item: Item, answer: str) -> float:
        """The library's own score, 0 to 1; 0 for an answer that its scorer must not see."""
        if not may_be_scored(item.dataset, answer):
            return 0.0
        entry = {"question": item.question, "answer": item.answer, "metadata": item.metadata}
        return float(self._made[1].score_answer(answer, entry))

    def _make(self, seed: int) -> Any:
        config = self.config
        if self._dataset == "composite":
            config = {**config, "datasets": _specs(config.get("datasets"))}
        known = [f.name for f in fields(self._config_kind) if f.name not in _OURS]
        for key in config:
            if key in _OURS:
                raise ValueError(f"task.options.config.{key}: the task sets {key}; leave it out")
            if key not in known:
                raise ValueError(
                    f"task.options.config: {self._dataset} has no setting {key!r}"
                    f"{_nearest(key, known)}; it has {', '.join(known) or 'none'}"
                )
        try:
            settings = self._config_kind(**config, seed=seed, size=self._items)
            return self._kind(settings)
        except (AssertionError, ValueError, TypeError, AttributeError) as error:
            raise ValueError(
                f"task.options.config: {self._dataset} refuses {config}: {error}"
            ) from error


def curriculum_config(dataset: str, level: int, *, only_top: bool) -> dict[str, Any]:
    """What the library's curriculum sets at a level: everything up to it, or its top alone.

    An attribute with fewer levels stays at its highest. Example: countdown at level 1 has 3 to 9
    numbers, at level 3 (top alone) 12 to 15.
    """
    _registered(dataset)
    from reasoning_gym.coaching.base_curriculum import (
        DefaultCurriculumContext,
        RangeAttributeMode,
    )
    from reasoning_gym.factory import create_curriculum, has_curriculum

    if not has_curriculum(dataset):
        raise ValueError(
            f"task.options.level: {dataset} has no curriculum; leave the levels out and set "
            "task.options.config and ood_config"
        )
    curriculum = create_curriculum(dataset)
    top = max(len(attribute.levels) for attribute in curriculum.attributes.values()) - 1
    if not isinstance(level, int) or not 0 <= level <= top:
        raise ValueError(f"task.options.level of {dataset} must be 0 to {top}, not {level!r}")
    curriculum.set_global_level(level)
    mode = RangeAttributeMode.UPPER_BOUND if only_top else RangeAttributeMode.INCLUSIVE
    made = curriculum.generate_configuration(context=DefaultCurriculumContext(mode=mode))
    set_by_it: dict[str, Any] = {}
    for attribute in curriculum.attributes.values():
        for kind in ("field_name", "lower_field_name", "upper_field_name"):
            if name := getattr(attribute, kind, None):
                set_by_it[name] = getattr(made, name)
    return set_by_it


def plain(value: Any) -> Any:
    """The same in dicts, lists, strings and numbers: what JSON holds, and nothing else."""
    match value:
        case Enum():
            return plain(value.value)
        case None | bool():
            return value
        case str():
            return str(value)
        case int():
            return int(value)
        case float():
            return float(value)
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case set() | frozenset():
            return sorted((plain(item) for item in value), key=repr)
    listed = getattr(value, "tolist", None)  # numpy's arrays and scalars
    return plain(listed()) if listed else str(value)


def _registered(dataset: str) -> tuple[Any, Any]:
    """The library's classes for a data set and for its config."""
    try:
        with warnings.catch_warnings():  # a dependency of the library is full of "\d" in plain text
            warnings.simplefilter("ignore")
            from reasoning_gym.factory import DATASETS
    except ImportError as error:
        raise ValueError(
            "task reasoning_gym needs the package reasoning-gym: install tailor-rl[tasks]"
        ) from error
    if dataset not in DATASETS:
        raise ValueError(
            f"task.options.dataset: reasoning-gym has no data set {dataset!r}"
            f"{_nearest(dataset, list(DATASETS))}"
        )
    kinds: tuple[Any, Any] = DATASETS[dataset]
    return kinds


def _specs(datasets: Any) -> list[Any]:
    from reasoning_gym.composite import DatasetSpec

    if not isinstance(datasets, list) or not all(isinstance(d, Mapping) for d in datasets):
        raise ValueError(
            "task.options.config.datasets must be a list such as "
            '[{name = "countdown", weight = 1.0}] where dataset = "composite"'
        )
    for part in datasets:
        _registered(part.get("name", ""))
    return [DatasetSpec(**{"weight": 1.0, "config": {}, **part}) for part in datasets]


def _check_part(name: str, dataset: Any) -> None:
    if name in _UNSTABLE:
        raise ValueError(
            f"task.options.dataset: {name} makes other problems in every process (it goes through "
            "sets of strings), so no split of it would be the same twice; choose another"
        )
    if evaluates_unguarded(name, type(dataset).score_answer):
        raise ValueError(
            f"task.options.dataset: {name} scores by running the answer as Python, and no safe "
            "alphabet is known for it; choose another"
        )


def _nearest(word: str, known: list[str]) -> str:
    found = process.extractOne(word, known)
    return f"; did you mean {found[0]!r}?" if found else ""
