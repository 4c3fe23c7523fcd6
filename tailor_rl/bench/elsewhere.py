"""Cells of a study that were run in another place: of these only the figures are here.

elsewhere/NAME.json is the gathered.json of that place, and its cells count as finished. So machines
share out the seeds of a study, and one whose runs are lost goes on from what was published of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tailor_rl.bench.cells import Place, places_of
from tailor_rl.bench.folder import ELSEWHERE, GATHERED, runs_of
from tailor_rl.bench.gathered import Gathered, read_gathered
from tailor_rl.bench.plan import PLAN, known_recipes, read_plan
from tailor_rl.bench.study import Study
from tailor_rl.bench.version import Version
from tailor_rl.errors import RunFolderError
from tailor_rl.runs.files import explaining_disk_errors, write_atomic

_MADE_OF = ("recipe", "shared", "matched")  # every cell
_AXES = ("task", "student", "algorithm", "arm")


def read_elsewhere(study: Path) -> dict[str, Gathered]:
    """By file; {} where all cells are here. RunFolderError for a damaged file."""
    files = sorted((study / ELSEWHERE).glob("*.json"))
    return {file.name: read_gathered(file) for file in files}


def cells_elsewhere(study: Path) -> dict[str, float]:
    """Cell -> pass@1 on test after RL, of what was run elsewhere."""
    parts = read_elsewhere(study).values()
    return {cell.cell: cell.figures["rl test pass@1"] for part in parts for cell in part.figures}


def versions_elsewhere(parts: Iterable[Gathered]) -> dict[str, Version]:
    """Cell -> what it was made with."""
    return {cell.cell: cell.versions for part in parts for cell in part.figures}


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What a study has and will have in elsewhere/. `versions`: cell -> what it was made with."""

    study: Path
    versions: Mapping[str, Version]
    places: tuple[Path, ...]

    def keep(self) -> None:
        """Copy what was found good. A study without a plan takes that of the first place: it was
        written before those cells had begun.
        """
        for place in self.places:
            folder, name = self.study / ELSEWHERE, _file_name(place)
            with explaining_disk_errors(self.study, name):
                folder.mkdir(exist_ok=True)
                write_atomic(folder / name, (place / GATHERED).read_text())
                if (place / PLAN).is_file() and not (self.study / PLAN).is_file():
                    write_atomic(self.study / PLAN, (place / PLAN).read_text())


def find_elsewhere(
    study_path: Path, study: Study, recipes: Mapping[str, str], places: Sequence[Path]
) -> Elsewhere:
    """With the finished cells of these places added; writes nothing.

    A study's folder that holds its figures and no runs is such a place itself.

    Args:
        recipes: a hash for every cell of `study` without its seed.
        places: folders of the study, of which gathered.json and plan.json are enough.

    Raises RunFolderError where a cell is none of this study, was made by another recipe, or is here
    already.
    """
    known = read_elsewhere(study_path)
    here = {run.name for run in runs_of(study_path)}
    if not here and not known and (study_path / GATHERED).is_file():
        places = [study_path, *places]
    for place in places:
        known.pop(_file_name(place), None)  # as it was when it was added before
    for place in places:
        part = read_gathered(place / GATHERED)
        taken = here | {cell.cell for each in known.values() for cell in each.figures}
        _check(place, part, study, recipes, here=taken)
        known[_file_name(place)] = part
    return Elsewhere(study_path, versions_elsewhere(known.values()), tuple(places))


def _file_name(place: Path) -> str:
    return "-".join(place.resolve().parts[1:]) + ".json"


def _check(
    place: Path, part: Gathered, study: Study, recipes: Mapping[str, str], *, here: Collection[str]
) -> None:
    known = known_recipes(read_plan(place))
    ours, theirs = ({each.name: each for each in places_of(s)} for s in (study, part.study))
    for cell in part.figures:
        name = cell.cell
        if name not in ours or name not in theirs:
            raise RunFolderError(f"{place} has {name}, which is no cell of this study")
        changed = [*_differing(ours[name], study, part.study)]
        family = ours[name].family
        if family in known and recipes[family] != known[family]:
            changed.append("what its recipe file says (plan.json)")
        if changed:
            raise RunFolderError(
                f"{place} made {name} by another recipe: it differs in {changed[0]}, so its "
                "figures do not belong to this study"
            )
        if name in here:
            raise RunFolderError(
                f"{name} is in {place} and in this study already: a cell counts once, so leave "
                "one of the two out"
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
