"""What a study's report is made from: figures and excerpts of its finished runs, in one file.

gathered.json is enough to make results and report again where the runs themselves are not at hand,
and to go on with a study in another place (elsewhere.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tailor_rl.bench.figures import CellFigures
from tailor_rl.bench.report import Extras
from tailor_rl.bench.results import Key
from tailor_rl.bench.study import Study
from tailor_rl.bench.usage import Usage
from tailor_rl.bench.usage_pooled import PooledUsage, pool_usage
from tailor_rl.errors import RunFolderError
from tailor_rl.runs.files import explaining_disk_errors, write_atomic

Pooled = Mapping[str, Mapping[str, PooledUsage]]  # setting -> arm


@dataclass(frozen=True, slots=True)
class Gathered:
    """`planned` are all cells of the grid, `failed` those of which a reason is known; `differs` is
    what lies between these runs and a publication's, `mixed` between the runs themselves; `at_once`
    of them ran side by side, in `num_places` places (folders, of one machine or several).

    `usages` are those that `extras.usage` is pooled from, by cell; files of older versions hold the
    pooled ones alone.
    """

    study: Study
    planned: tuple[Key, ...]
    failed: tuple[tuple[Key, str], ...]
    figures: tuple[CellFigures, ...]
    differs: tuple[str, ...]
    mixed: tuple[str, ...]
    at_once: int
    extras: Extras
    usages: tuple[tuple[Key, Usage], ...] = ()
    num_places: int = 1


_ADAPTER = TypeAdapter(Gathered)


def read_gathered(path: Path) -> Gathered:
    """RunFolderError where the file is missing or damaged."""
    try:
        return _ADAPTER.validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunFolderError(f"{path.parent} is no study: `tailor bench` makes one") from error
    except ValidationError as error:
        raise RunFolderError(
            f"{path} is damaged or of another version of tailor_rl: make it again from the runs"
        ) from error


def write_gathered(path: Path, gathered: Gathered) -> None:
    """Whole or not at all."""
    with explaining_disk_errors(path.parent, path.name):
        write_atomic(path, _ADAPTER.dump_json(gathered).decode() + "\n")


def merge(own: Gathered, others: Sequence[Gathered]) -> Gathered:
    """One study of which some cells were run elsewhere. Where two have a cell, the first counts;
    traces and environment are those of the first that has most of them.
    """
    failed = {key: why for each in reversed((own, *others)) for key, why in each.failed}
    own = replace(own, failed=tuple((key, failed[key]) for key in own.planned if key in failed))
    every = [each for each in (own, *others) if each.figures]
    if every in ([], [own]):
        return own
    figures = {_key(cell): cell for each in reversed(every) for cell in each.figures}
    usages = {key: usage for each in reversed(every) for key, usage in each.usages}
    usages = {key: usages[key] for key in own.planned if key in usages}
    usage = _with_most_runs([pool_by_arm(usages), *(each.extras.usage for each in every)])
    shown = max((each.extras for each in every), key=_num_answers)
    return replace(
        own,
        failed=tuple((key, why) for key, why in own.failed if key not in figures),
        figures=tuple(figures[key] for key in own.planned if key in figures),
        differs=tuple(dict.fromkeys(each for some in every for each in some.differs)),
        mixed=tuple(dict.fromkeys(each for some in (own, *every) for each in some.mixed)),
        at_once=max(each.at_once for each in every),
        extras=Extras(
            usage=usage,
            traces=shown.traces,
            traces_of=shown.traces_of,
            lineage={name: facts for each in reversed(every) for name, facts in _lineage(each)},
            environment=_environments([each.extras.environment for each in every]),
            command="; ".join(dict.fromkeys(each.extras.command for each in every)),
        ),
        usages=tuple(usages.items()),
        num_places=sum(each.num_places for each in every),
    )


def pool_by_arm(usages: Mapping[Key, Usage]) -> Pooled:
    """Over seeds."""
    found: dict[str, dict[str, list[Usage]]] = {}
    for (setting, arm, _), usage in usages.items():
        found.setdefault(setting, {}).setdefault(arm, []).append(usage)
    return {
        setting: {arm: pool_usage(some) for arm, some in arms.items()}
        for setting, arms in found.items()
    }


def _key(cell: CellFigures) -> Key:
    return cell.setting, cell.arm, cell.seed


def _with_most_runs(several: Sequence[Pooled]) -> Pooled:
    """Of each setting and arm: what is pooled already cannot be pooled with other runs."""
    found: dict[str, dict[str, PooledUsage]] = {}
    for pooled in several:
        for setting, arms in pooled.items():
            best = found.setdefault(setting, {})
            for arm, usage in arms.items():
                if arm not in best or usage.num_runs > best[arm].num_runs:
                    best[arm] = usage
    return found


def _num_answers(extras: Extras) -> int:
    return sum(len(asked.replies) for asked in extras.traces)


def _lineage(gathered: Gathered) -> list[tuple[str, Sequence[tuple[str, str]]]]:
    return list(gathered.extras.lineage.items())


def _environments(several: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The first, and in what the others differ."""
    first, *others = several
    differing = [
        {name: value for name, value in each.items() if value != first.get(name)} for each in others
    ]
    known = [each for each in differing if each]
    return {**first, "elsewhere": known} if known else first
