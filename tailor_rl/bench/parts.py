"""The parts of a run that others can begin with, and what each depends on.

    base        the student's evaluation
    attempts    what the student tries
    candidates  what the teacher writes on that, screened
    first_run   re-distillation's: the whole run of another initialisation
    set         demonstrations
    sft         the fine-tuned policy and its evaluation
    whole       everything, from another study

A part may be shared where everything that it depends on is equal: its key is a hash of the recipe
without what cannot matter to it, so a key that is added to recipes later keeps parts apart until it
is named here. Knows nothing about folders but what stages.json says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailor_rl.config.load import fingerprint
from tailor_rl.config.needs import (
    is_own,
    made_from,
    needs_attempts,
    needs_primitives,
    trains_student,
)
from tailor_rl.config.schema import RunConfig
from tailor_rl.initialisations.re_distill import first_recipe

# Where a run takes place and how long it waits: nothing that it makes depends on that.
_NO_MATTER = (
    "cluster", "learner.threads", "rollout.sync_timeout_s", "rollout.threads", "teacher.deadline_s",
    "teacher.hosted.threads", "teacher.more.*.hosted.threads",
)  # fmt: skip

# Sections that the making of a set does not read, unless it trains the student on the way.
_MAKING = (
    "initialisation", "teacher", "prompts", "primitives", "demonstrations", "four_star",
    "re_distill", "control", "measures",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """`needed` and `depends_on` are of a recipe, `made` of the folder of a run."""

    name: str
    needed: Callable[[RunConfig], bool]
    depends_on: Callable[[RunConfig], Mapping[str, Any]]
    made: Callable[[Mapping[str, Any]], bool]  # from stages.json


def _key(part: Part, cfg: RunConfig) -> str:
    return fingerprint({"part": part.name, **part.depends_on(cfg)})


def _without(cfg: RunConfig, *keys: str) -> dict[str, Any]:
    """The recipe as JSON without these sections or keys, nor those that change no result."""
    table = cfg.model_dump(mode="json")
    for key in (*keys, *_NO_MATTER):
        _take_out(table, key.split("."))
    return table


def _take_out(table: dict[str, Any], path: Sequence[str]) -> None:
    """The value at these keys, if there; "*" is every key."""
    first, *rest = path
    if not rest:
        table.pop(first, None)
        return
    for key in tuple(table) if first == "*" else (first,):
        if isinstance(inner := table.get(key), dict):
            _take_out(inner, rest)


def _base(cfg: RunConfig) -> Mapping[str, Any]:
    return _without(
        cfg, *_MAKING, "attempts", "sft", "rl",
        "evaluation.every", "evaluation.num_validation_problems",
    )  # fmt: skip


def _attempts(cfg: RunConfig) -> Mapping[str, Any]:
    table = _without(cfg, *_MAKING, "sft", "rl", "evaluation")
    return {**table, "max_tokens": cfg.rl.max_tokens}


def _candidates(cfg: RunConfig) -> Mapping[str, Any]:
    """How many are selected does not matter where it is said how many are asked for."""
    unread = ("initialisation", "demonstrations", "four_star", "re_distill", "control")
    table = _without(cfg, *unread, "sft", "rl", "evaluation")
    if cfg.primitives.num_candidates is not None:
        del table["primitives"]["num_primitives"]
    trial = [cfg.demonstrations.temperature]
    if cfg.primitives.trial_problems:  # which begin after those that are taken otherwise
        trial.append(max(cfg.attempts.num_problems, cfg.demonstrations.num_problems))
    return {**table, "max_tokens": cfg.rl.max_tokens, "trial": trial}


def _first_run(cfg: RunConfig) -> Mapping[str, Any]:
    """Of the run itself, or of the first run of a re-distillation."""
    first = first_recipe(cfg) if cfg.initialisation == "re_distill" else cfg
    return _without(first, "re_distill")


def _set(cfg: RunConfig) -> Mapping[str, Any]:
    if _reads_everything(cfg):
        return _without(cfg)
    return {**_without(cfg, "sft", "rl", "evaluation"), "max_tokens": cfg.rl.max_tokens}


def _sft(cfg: RunConfig) -> Mapping[str, Any]:
    if _reads_everything(cfg):
        return _without(cfg)
    return {**_without(cfg, "rl"), "max_tokens": cfg.rl.max_tokens}


def _reads_everything(cfg: RunConfig) -> bool:
    """Whether the set may depend on how SFT and RL are done."""
    return trains_student(cfg) or is_own(made_from(cfg)[-1])


def _has_budget(cfg: RunConfig) -> bool:
    """Then what is left for demonstrations depends on what candidates cost, and on the book."""
    return cfg.teacher.budget_tokens is not None or cfg.teacher.budget_money is not None


def _makes_primitives(cfg: RunConfig) -> bool:
    """In the run's own folder: those of a first run are in another one."""
    return needs_primitives(cfg) and "re_distill" not in made_from(cfg)


def _finished(*stages: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda known: all("finished" in known.get(stage, {}) for stage in stages)


def _warm(cfg: RunConfig) -> bool:
    return cfg.initialisation != "none"


# In the order of a run; "set" makes "attempts" and "candidates" unnecessary.
_PARTS = (
    Part("base", lambda cfg: True, _base, _finished("evaluate_base")),
    Part(
        "attempts",
        lambda cfg: needs_attempts(cfg) and _makes_primitives(cfg),
        _attempts,
        _finished("attempt"),
    ),
    Part(
        "candidates",
        lambda cfg: _makes_primitives(cfg) and not _has_budget(cfg),
        _candidates,
        _finished("discover", "screen"),
    ),
    Part("set", _warm, _set, _finished("curate")),
    # RL has begun: only then is it written down what everything before it had cost.
    Part(
        "sft",
        _warm,
        _sft,
        lambda known: _finished("sft", "evaluate_sft")(known) and "rl" in known,
    ),
    Part("whole", lambda cfg: True, _without, _finished("evaluate_rl")),
)
_FIRST_RUN = Part("first_run", lambda cfg: True, _first_run, _finished("rl"))


def keys_of(cfg: RunConfig) -> dict[str, str]:
    """Part -> key, of the parts that a run of this recipe makes."""
    return {part.name: _key(part, cfg) for part in _PARTS if part.needed(cfg)}


def recipe_key(cfg: RunConfig) -> str:
    """Of all seeds of a recipe: what changes a result, as in `keys_of`, without the seed, and
    wherever its files lie on a machine.
    """
    return fingerprint(_by_name(_without(cfg, "seed")))


def _by_name(value: Any) -> Any:
    """Absolute paths by their last name."""
    if isinstance(value, dict):
        return {key: _by_name(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_by_name(item) for item in value]
    is_path = isinstance(value, str) and Path(value).is_absolute()
    return Path(value).name if is_path else value


def wants(cfg: RunConfig) -> dict[str, str]:
    """Part -> key, of the parts that a run of this recipe could begin with."""
    keys = keys_of(cfg)
    if cfg.initialisation == "re_distill":
        keys["first_run"] = _key(_FIRST_RUN, cfg)
    return keys


def makes(cfg: RunConfig) -> dict[str, str]:
    """Part -> key, of the parts that others may take from a run of this recipe."""
    keys = keys_of(cfg)
    if cfg.initialisation != "re_distill":  # which is no first run of another
        keys["first_run"] = _key(_FIRST_RUN, cfg)
    return keys


def makes_by(cfgs: Sequence[RunConfig]) -> dict[str, str]:
    """As `makes`, of a run that went by each of these in turn: parts that are the same by all. Of
    the others nobody wrote down by which they were made.
    """
    first, *others = map(makes, cfgs)
    return {name: key for name, key in first.items() if all(o.get(name) == key for o in others)}


def is_finished_part(name: str, stages: Mapping[str, Any]) -> bool:
    """By what stages.json says of a run."""
    return next(part for part in (*_PARTS, _FIRST_RUN) if part.name == name).made(stages)
