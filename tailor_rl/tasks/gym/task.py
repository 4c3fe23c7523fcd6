"""Problems, splits and the grader of a reasoning-gym data set."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from tailor_rl.tasks.answers import CLOSE, OPEN, tagged_answer
from tailor_rl.tasks.gym.guards import overlooked
from tailor_rl.tasks.gym.library import Item, Library, curriculum_config
from tailor_rl.tasks.splits import BINS, belongs, fingerprint
from tailor_rl.types import Problem

_CHUNK = 64  # problems that share one seed of the library: making a data set can take a while
_TRIES = 256  # one in ten items is of "test": none among so many is a chance of 2 in 10^12
_FAILURES = 16  # without one item between: then the settings are at fault
_REMEMBERED = 4096
_INSTRUCTION = (
    "Work it out first. Then write the final answer, and nothing else, once between "
    f"{OPEN} and {CLOSE}."
)
# What makes two questions the same although their wording differs; numbers in any order.
_CONTENT = {
    "countdown": ("numbers", "target"),
    "simple_geometry": ("known_angles",),
    "advanced_geometry": ("task_type", "A", "B", "C"),
    "color_cube_rotation": ("initial_state", "rotations", "target_side"),
}
_DIFFICULTY = {
    "countdown": "numbers",
    "sudoku": "num_empty",
    "arc_1d": "size",
    "simple_geometry": "n_sides",
    "color_cube_rotation": "num_rotations",
}


class ReasoningGym:
    """Any data set of the reasoning-gym library, with its own scorer.

    Args:
        dataset: the library's name for it: "countdown", "sudoku", "zebra_puzzles", ...; "composite"
            takes `config = {datasets = [{name = "...", weight = 1.0, config = {}}]}`.
        config: the library's settings for every split.
        level: the library's curriculum up to this level; `config` goes on top of it.
        ood_level: the top of a higher level alone is the split "ood/level-N".
        ood_config: {axis: settings on top of the others}: each is a split "ood/<axis>".
        solved_at: the library's score from which an answer is right. Below 1.0 many data sets give
            credit for parts, for the question pasted back, or for any well-formed guess.

    A question's fingerprint decides its split, so no two splits share one. The reward "score" is
    the library's own score.

    Example (countdown): "Calculate 27 using all of these numbers: 3, 10, 3. ..." has the answer
    "<answer>3*10 - 3</answer>", or any other expression that is right.
    """

    name = "reasoning_gym"

    def __init__(
        self,
        *,
        seed: int = 0,
        dataset: str = "countdown",
        config: Mapping[str, Any] | None = None,
        level: int | None = None,
        ood_level: int | None = None,
        ood_config: Mapping[str, Mapping[str, Any]] | None = None,
        solved_at: float = 1.0,
    ) -> None:
        if not 0 < solved_at <= 1:
            raise ValueError(
                f"task.options.solved_at must be above 0 and at most 1, not {solved_at}"
            )
        self._seed, self._solved_at = seed, solved_at
        self._dataset = dataset
        settings = _settings(dataset, config or {}, level, ood_level, ood_config or {})
        items = _CHUNK * _TRIES
        self._libraries = {
            split: Library(dataset, values, items=items) for split, values in settings.items()
        }
        self._level = {split: level or 0 for split in settings}
        if ood_level is not None:
            self._level[f"ood/level-{ood_level}"] = ood_level
        self._remembered: dict[tuple[str, int], Problem] = {}

    @property
    def splits(self) -> tuple[str, ...]:
        return (*BINS, *(split for split in self._libraries if split != "train"))

    @property
    def rewards(self) -> Mapping[str, Callable[[Problem, str], float]]:
        return {"score": self.score}

    def problem(self, split: str, index: int) -> Problem:
        """ValueError where the data set has too few different questions for the split."""
        if split not in self.splits:
            raise ValueError(f"{self.name} has no split {split!r}; it has {', '.join(self.splits)}")
        # Some generators take a second for ten items, and evaluations come back to the same ones.
        if (split, index) not in self._remembered:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            self._remembered[split, index] = self._problem(split, index)
        return self._remembered[split, index]

    def grade(self, problem: Problem, text: str) -> float:
        """1.0 where the library's score of the one `<answer>` is `solved_at` or more, else 0.0.

        At 1.0 an answer must be right by our own count too, where the library overlooks something.
        """
        answer = tagged_answer(text)
        if answer is None:
            return 0.0
        return float(self._right(_item(problem), answer, problem.split))

    def score(self, problem: Problem, text: str) -> float:
        """The library's own score, with its credit for parts."""
        answer = tagged_answer(text)
        return 0.0 if answer is None else self._library(problem.split).score(_item(problem), answer)

    def answer_text(self, problem: Problem) -> str:
        return _tagged(problem.answer)

    def _library(self, split: str) -> Library:
        return self._libraries["train" if split in BINS else split]

    def _right(self, item: Item, answer: str, split: str) -> bool:
        if self._library(split).score(item, answer) < self._solved_at:
            return False
        return self._solved_at < 1 or not overlooked(item.dataset, item.metadata, answer)

    def _problem(self, split: str, index: int) -> Problem:
        """The first item of the index's own places in the library that belongs to the split."""
        chunk, place = divmod(index, _CHUNK)
        name = f"{self.name}/{self._dataset}/{self._seed}/{split}/{chunk}"
        seed = Random(name).getrandbits(31)  # numpy takes no longer ones
        library, made, reason = self._library(split), 0, ""
        for attempt in range(_TRIES):
            if not made and attempt == _FAILURES:
                break
            try:
                item = library.item(seed, place + attempt * _CHUNK)
            except Exception as error:  # a generator that gives up: the next place will do
                reason = f"{type(error).__name__}: {error}"
                continue
            if not self._right(item, tagged_answer(_tagged(item.answer)) or "", split):
                reason = "its own answer is not graded as right"
                continue
            made += 1
            content = _content(item)
            if belongs(split, fingerprint(content)):
                return self._as_problem(item, content, split, index)
        raise ValueError(self._why_not(split, made, reason))

    def _as_problem(self, item: Item, content: str, split: str, index: int) -> Problem:
        return Problem(
            id=f"{self.name}:{split}:{index}",
            prompt=f"{item.question.strip()}\n\n{_INSTRUCTION}",
            answer=item.answer,
            split=split,
            difficulty=_difficulty(item, default=self._level["train" if split in BINS else split]),
            metadata={
                "dataset": item.dataset,
                "question": item.question,
                "metadata": item.metadata,
            },
            family=f"{fingerprint(content):016x}",
        )

    def _why_not(self, split: str, made: int, reason: str) -> str:
        settings = self._library(split).config
        what = f"task.options.dataset: {self._dataset} with {settings or 'its own settings'}"
        if not made:
            return f"{what} makes no problem ({reason}); change task.options.config"
        return (
            f"{what} is a split that cannot be made disjoint: none of {made} questions belongs to "
            f"{split!r}, so there are too few different ones; allow more in task.options.config"
        )


def _settings(
    dataset: str,
    config: Mapping[str, Any],
    level: int | None,
    ood_level: int | None,
    ood_config: Mapping[str, Mapping[str, Any]],
) -> dict[str, dict[str, Any]]:
    """The library's settings of "train" (and validation, test) and of every "ood/..." split."""
    for option, value in (("config", config), ("ood_config", ood_config)):
        if not isinstance(value, Mapping):
            raise ValueError(f"task.options.{option} must be a table of settings, not {value!r}")
    base = {} if level is None else curriculum_config(dataset, level, only_top=False)
    settings = {"train": {**base, **config}}
    if ood_level is not None:
        harder = curriculum_config(dataset, ood_level, only_top=True)
        if level is None or ood_level <= level:
            raise ValueError(
                f"task.options.ood_level = {ood_level} must be above task.options.level, "
                f"which is {'not set' if level is None else level}"
            )
        settings[f"ood/level-{ood_level}"] = {**harder, **config}
    for axis, values in ood_config.items():
        if not isinstance(values, Mapping):
            raise ValueError(f"task.options.ood_config.{axis} must be settings, not {values!r}")
        if f"ood/{axis}" in settings:
            raise ValueError(f"task.options.ood_config.{axis} is the split of ood_level already")
        settings[f"ood/{axis}"] = {**settings["train"], **values}
    for split, values in settings.items():
        if split != "train" and values == settings["train"]:
            raise ValueError(
                f"task.options: {split} has the settings of train, {values}; change them, or it is "
                "not out of distribution"
            )
    return settings


def _tagged(answer: str) -> str:
    return f"{OPEN}{answer}{CLOSE}"


def _item(problem: Problem) -> Item:
    held = problem.metadata
    return Item(held["dataset"], held["question"], problem.answer, held["metadata"])


def _content(item: Item) -> str:
    """A text that two items share when they are the same problem in other words."""
    keys = _CONTENT.get(item.dataset)
    if keys is None:
        return " ".join(item.question.split()).casefold()
    values = [item.metadata[key] for key in keys]
    for i, value in enumerate(values):
        if isinstance(value, list) and all(isinstance(part, int | float) for part in value):
            values[i] = sorted(value)
    return json.dumps([item.dataset, *values], sort_keys=True)


def _difficulty(item: Item, *, default: int) -> int:
    value = item.metadata.get(_DIFFICULTY.get(item.dataset, ""), default)
    return len(value) if isinstance(value, list) else int(value)
