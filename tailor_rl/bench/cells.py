"""From a study to its cells: one recipe each, checked before anything runs.

A cell's recipe is the study's, with the shared part, the matching and then its task's, student's,
algorithm's and arm's parts laid over it, and its seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from tailor_rl.bench.parts import keys_of
from tailor_rl.bench.study import Matching, Skipped, Study, setting_name
from tailor_rl.config.load import compose_config
from tailor_rl.config.schema import RunConfig
from tailor_rl.errors import ConfigError

_SETTING_AXES = ("task", "student", "algorithm")
_AXES = (*_SETTING_AXES, "arm")


@dataclass(frozen=True, slots=True)
class Place:
    """A cell as the study alone names it. `levels` are the names on the axes; "" where the grid has
    no such axis. `name` is that of its folder: "knights-dapo-tailor-seed-1".
    """

    name: str
    setting: str
    levels: Mapping[str, str]
    seed: int

    @property
    def arm(self) -> str:
        return self.levels["arm"]

    @property
    def family(self) -> str:
        """Cells that differ in nothing but the seed."""
        return family_of(self.name, self.seed)


@dataclass(frozen=True, slots=True)
class Cell(Place):
    """One run of the grid, with its recipe."""

    config: RunConfig


def family_of(cell: str, seed: int) -> str:
    """Example: family_of("knights-tailor-seed-1", 1) == "knights-tailor"."""
    return cell.removesuffix(f"-seed-{seed}")


def places_of(study: Study) -> list[Place]:
    """Seed by seed, so that an unfinished grid has every arm; within a seed as the study has it."""
    combinations = [levels for levels in _levels(study) if not _skipped(study.skip, levels)]
    return [_place(levels, seed) for seed in study.seeds for levels in combinations]


def make_cells(study: Study, file: Path, overrides: Sequence[str]) -> list[Cell]:
    """In the order of `places_of`.

    Raises ConfigError naming the cell where a recipe is wrong, and where two cells are one run or
    would have one name.
    """
    places = places_of(study)
    if not places:
        raise ConfigError(f"{file}: skip leaves no cell: leave one of its entries out")
    _check_named_apart(places[: len(places) // len(study.seeds)], file)
    cells = [_cell(study, file, overrides, place) for place in places]
    _check_distinct(cells[: len(cells) // len(study.seeds)], file)
    return cells


def _levels(study: Study) -> Iterator[Mapping[str, str]]:
    axes = [tuple(getattr(study, f"{axis}s")) or ("",) for axis in _AXES]
    for names in product(*axes):
        yield dict(zip(_AXES, names, strict=True))


def _skipped(skip: Sequence[Skipped], levels: Mapping[str, str]) -> bool:
    given = [each.model_dump(exclude_none=True) for each in skip]
    return any(
        each and all(levels[axis] == level for axis, level in each.items()) for each in given
    )


def _place(levels: Mapping[str, str], seed: int) -> Place:
    setting = setting_name(*(levels[axis] for axis in _SETTING_AXES))
    named = [levels[axis] for axis in _AXES if levels[axis]]
    return Place("-".join([*named, f"seed-{seed}"]), setting, levels, seed)


def _cell(study: Study, file: Path, overrides: Sequence[str], place: Place) -> Cell:
    name, levels, seed = place.name, place.levels, place.seed
    parts = {axis: dict(getattr(study, f"{axis}s").get(levels[axis], {})) for axis in _AXES}
    recipe = _recipe(study, parts, name=name, file=file)
    layers = [study.shared, _matching(study.matched), *parts.values(), {"seed": seed}]
    try:
        config = compose_config(_found(recipe, file), layers, overrides, source=file)
    except ConfigError as error:
        raise ConfigError(f"{file}, cell {name}: {error}") from error
    if config.seed != seed:
        raise ConfigError(
            f"the override seed={config.seed} would make every seed the same: name seeds in {file}"
        )
    return Cell(name, place.setting, levels, seed, config)


def _recipe(study: Study, parts: Mapping[str, dict[str, Any]], *, name: str, file: Path) -> str:
    """That of the cell's task or student, if one names its own; taken out of that part."""
    named = {
        axis: parts[axis].pop("recipe") for axis in ("task", "student") if "recipe" in parts[axis]
    }
    for axis, recipe in named.items():
        if not (isinstance(recipe, str) and recipe):
            raise ConfigError(
                f"{file}, cell {name}: its {axis} has recipe = {recipe!r}: it must be the path of "
                "a recipe"
            )
    own = list(named.values())
    if len(own) > 1:
        raise ConfigError(
            f"{file}, cell {name}: its task names the recipe {own[0]} and its student {own[1]}: "
            "let one of them name it, and the other say what it changes"
        )
    return own[0] if own else study.recipe


def _found(recipe: str, file: Path) -> Path:
    """A recipe beside the study file, else as it is."""
    beside = file.parent / recipe
    return beside if beside.is_file() else Path(recipe)


def _matching(matched: Matching | None) -> dict[str, Any]:
    """What every arm's SFT gets, as a part of a recipe."""
    if matched is None:
        return {}
    if matched.by == "steps":
        return {"sft": {"num_steps": matched.to}}
    return {"demonstrations": {"match": matched.by, "match_to": matched.to}}


def _check_named_apart(places: Sequence[Place], file: Path) -> None:
    """Names of levels may contain the dash that joins them: x-hard and tailor, x and hard-tailor.
    Two such cells would be one folder, and two such settings would be pooled.
    """
    for what, axes in (("family", _AXES), ("setting", _SETTING_AXES)):
        seen: dict[str, tuple[str, ...]] = {}
        for place in places:
            name: str = getattr(place, what)
            levels = tuple(place.levels[axis] for axis in axes)
            other = seen.setdefault(name, levels)
            if other != levels:
                raise ConfigError(
                    f"{file}: {_listed(other)} and {_listed(levels)} would both be called "
                    f"{name}: name one of their levels otherwise"
                )


def _listed(levels: Sequence[str]) -> str:
    """Example: "(x, hard-tailor)"."""
    return f"({', '.join(filter(None, levels))})"


def _check_distinct(cells: Sequence[Cell], file: Path) -> None:
    seen: dict[str, Cell] = {}
    for cell in cells:
        other = seen.setdefault(keys_of(cell.config)["whole"], cell)
        if other is not cell:
            raise ConfigError(
                f"{file}: the cells {other.family} and {cell.family} are one and the same run: "
                "leave one out, or let them differ"
            )
