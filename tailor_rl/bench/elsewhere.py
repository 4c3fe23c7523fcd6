"""Cells of a study that were run in another place: of these only the figures are here.

elsewhere/NAME/ holds gathered.json and plan.json of such a place, and its cells count as finished.
So machines share out the cells of a study, and one whose runs are lost goes on from what was
published of it. A study's folder that has figures and no runs is such a place itself.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tailor_rl.bench.cells import Place, family_of, places_of
from tailor_rl.bench.figures import CellFigures
from tailor_rl.bench.folder import ELSEWHERE, GATHERED, runs_of
from tailor_rl.bench.gathered import Gathered, read_gathered
from tailor_rl.bench.plan import PLAN, Entry, known_recipes, read_plan
from tailor_rl.bench.study import Study
from tailor_rl.bench.version import Version, with_inputs
from tailor_rl.errors import RunFolderError
from tailor_rl.runs.files import explaining_disk_errors, write_atomic

_MADE_OF = ("recipe", "shared", "matched")  # every cell
_AXES = ("task", "student", "algorithm", "arm")


@dataclass(frozen=True, slots=True)
class Part:
    """The cells that were run in one place. `path` is a folder with gathered.json and plan.json."""

    path: Path
    gathered: Gathered

    @property
    def cells(self) -> dict[str, CellFigures]:
        return {cell.cell: cell for cell in self.gathered.figures}


def read_elsewhere(study: Path) -> list[Part]:
    """[] where all cells are here. RunFolderError for a damaged file."""
    folders = sorted(file.parent for file in study.glob(f"{ELSEWHERE}/*/{GATHERED}"))
    if not runs_of(study) and (study / GATHERED).is_file():
        folders.append(study)
    return _without_copies([_read_part(folder) for folder in folders])


def cells_elsewhere(study: Path) -> dict[str, float | None]:
    """Cell -> pass@1 on test after RL, of what was run elsewhere."""
    cells = (cell for part in read_elsewhere(study) for cell in part.gathered.figures)
    return {cell.cell: cell.figures.get("rl test pass@1") for cell in cells}


def versions_elsewhere(parts: Iterable[Part]) -> dict[str, Version]:
    """Cell -> what it was made with and from."""
    cells = (cell for part in parts for cell in part.gathered.figures)
    return {
        cell.cell: with_inputs(cell.versions, cell.inputs, family_of(cell.cell, cell.seed))
        for cell in cells
    }


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What a study has and will have in elsewhere/."""

    study: Path
    parts: tuple[Part, ...]

    @property
    def versions(self) -> dict[str, Version]:
        """Cell -> what it was made with and from."""
        return versions_elsewhere(self.parts)

    @property
    def plan(self) -> list[Entry]:
        """That of the study; where it has none that of its first part, which was written before
        those cells had begun.
        """
        return next(filter(None, [read_plan(self.study), *self.plans]), [])

    @property
    def plans(self) -> list[list[Entry]]:
        """A part's each."""
        return [read_plan(part.path) for part in self.parts]

    def keep(self) -> None:
        """Copy what was found good, and drop copies that hold less."""
        folder = self.study / ELSEWHERE
        kept = {folder / _name(part.path) for part in self.parts}
        for part in self.parts:
            target = folder / _name(part.path)
            with explaining_disk_errors(self.study, f"{ELSEWHERE}/{target.name}"):
                if not (
                    target / GATHERED
                ).is_file():  # written last: without it a kill came between
                    target.mkdir(parents=True, exist_ok=True)
                    write_atomic(target / PLAN, (part.path / PLAN).read_text())
                    write_atomic(target / GATHERED, (part.path / GATHERED).read_text())
        for old in set(folder.glob("*/")) - kept:
            shutil.rmtree(old)


def find_elsewhere(
    study_path: Path, study: Study, recipes: Mapping[str, str], places: Sequence[Path]
) -> Elsewhere:
    """With the finished cells of these places added; writes nothing.

    Args:
        recipes: a hash for every cell of `study` without its seed.
        places: folders of the study, of which gathered.json and plan.json are enough.

    Raises RunFolderError where a cell is none of this study, was made by another recipe or by one
    that cannot be told, is here already, or has other figures in another place.
    """
    here = {run.name for run in runs_of(study_path)}
    parts = _without_copies([*read_elsewhere(study_path), *map(_read_part, places)])
    for i, part in enumerate(parts):
        _check(part, study, recipes, here=here)
        _check_equal(part, parts[:i])
    return Elsewhere(study_path, tuple(parts))


def _read_part(folder: Path) -> Part:
    return Part(folder, read_gathered(folder / GATHERED))


def _without_copies(parts: Sequence[Part]) -> list[Part]:
    """A part of which another one has every cell, figure by figure, says nothing new."""
    kept: list[Part] = []
    for part in sorted(parts, key=lambda part: -len(part.cells)):
        known = [each.cells for each in kept]
        if part.cells and not any(_is_within(part.cells, cells) for cells in known):
            kept.append(part)
    return kept


def _is_within(cells: Mapping[str, CellFigures], others: Mapping[str, CellFigures]) -> bool:
    return all(name in others and others[name] == cell for name, cell in cells.items())


def _name(folder: Path) -> str:
    """By what it holds: a folder may be filled anew, and a copy may lie anywhere."""
    return hashlib.blake2b((folder / GATHERED).read_bytes(), digest_size=6).hexdigest()


def _check(part: Part, study: Study, recipes: Mapping[str, str], *, here: Collection[str]) -> None:
    known = known_recipes(read_plan(part.path))
    ours, theirs = (
        {each.name: each for each in places_of(s)} for s in (study, part.gathered.study)
    )
    for name in part.cells:
        if name not in ours or name not in theirs:
            raise RunFolderError(
                f"{part.path} has {name}, which is no cell of this study: put back what made it "
                "one (a study may only grow), or begin another with --name"
            )
        family = ours[name].family
        if family not in known:
            raise RunFolderError(
                f"{part.path} has no {PLAN} with the recipe of {family} (older versions wrote "
                f"none), so whether {name} belongs to this study cannot be told"
            )
        changed = [*_differing(ours[name], study, part.gathered.study)]
        if recipes[family] != known[family]:
            changed.append(
                f"what its recipe file or the command line says ({PLAN}), or was begun by a "
                "version that hashes recipes otherwise"
            )
        if changed:
            raise RunFolderError(
                f"{part.path} made {name} by another recipe: it differs in {changed[0]}, so its "
                "figures do not belong to this study"
            )
        if name in here:
            raise RunFolderError(
                f"{name} is in {part.path} and in this study already: a cell counts once, so leave "
                "one of the two out"
            )


def _check_equal(part: Part, others: Sequence[Part]) -> None:
    for other in others:
        for name in part.cells.keys() & other.cells.keys():
            if part.cells[name] != other.cells[name]:
                raise RunFolderError(
                    f"{name} has other figures in {part.path} than in {other.path}: a cell counts "
                    "once, so leave one of the two out"
                )


def _differing(place: Place, ours: Study, theirs: Study) -> Iterator[str]:
    """What this cell is made of and the two studies do not agree on."""
    for key in _MADE_OF:
        if getattr(ours, key) != getattr(theirs, key):
            yield key
    for axis in _AXES:
        level = place.levels[axis]
        if getattr(ours, f"{axis}s").get(level) != getattr(theirs, f"{axis}s").get(level):
            yield f"{axis}s.{level}"
