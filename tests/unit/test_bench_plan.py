"""plan.json: written before the first run, and what came later can be told from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tailor_rl.bench.comparing import Promises
from tailor_rl.bench.plan import (
    Entry,
    extend_plan,
    foreseen,
    known_promises,
    known_then,
    read_plan,
    unforeseen,
    write_plan,
)
from tailor_rl.bench.study import Study
from tailor_rl.errors import RunFolderError

RECIPES = {"a": "1", "b": "2", "c": "3"}


def study(**more: object) -> Study:
    arms: dict[str, dict[str, object]] = {"a": {}, "b": {}, "c": {}}
    return Study.model_validate({"recipe": "r.toml", "seeds": (1, 2), "arms": arms, **more})


def extend(
    folder: Path, asked: Study, recipes: Mapping[str, str], *, finished: int, begun: int = 0
) -> Sequence[Entry]:
    entries = extend_plan(
        folder, read_plan(folder), asked, recipes, begun=max(begun, finished), finished=finished
    )
    write_plan(folder, entries)
    return entries


def test_the_plan_is_written_first_and_what_is_added_says_when(tmp_path: Path) -> None:
    compared = {"arm": "a", "against": "b"}
    first = extend(tmp_path, study(comparisons=[compared]), RECIPES, finished=0)
    assert [entry["finished"] for entry in first] == [0]
    assert extend(tmp_path, study(comparisons=[compared]), RECIPES, finished=4) == first
    more = study(comparisons=[compared, {"arm": "a", "against": "c"}], seeds=(1, 2, 3))
    entries = extend(tmp_path, more, RECIPES, finished=6)
    assert entries[0] == first[0]
    assert entries[1]["seeds"] == [3]
    assert [each["against"] for each in entries[1]["comparisons"]] == ["c"]
    assert entries[1]["finished"] == 6
    assert read_plan(tmp_path) == entries
    assert known_promises(entries)["seeds"] == [1, 2, 3]


@pytest.mark.parametrize(
    ("gone", "said"),
    [({"seeds": (1,)}, "seeds 2"), ({"comparisons": ()}, "arm a, against b")],
)
def test_what_was_planned_cannot_be_left_out(
    tmp_path: Path, gone: dict[str, object], said: str
) -> None:
    planned = {"comparisons": [{"arm": "a", "against": "b"}]}
    extend(tmp_path, study(**planned), RECIPES, finished=0)
    with pytest.raises(RunFolderError, match=said):
        extend(tmp_path, study(**{**planned, **gone}), RECIPES, finished=0)


def test_cells_that_were_planned_cannot_be_skipped_later(tmp_path: Path) -> None:
    extend(tmp_path, study(), RECIPES, finished=0)
    fewer = {name: key for name, key in RECIPES.items() if name != "b"}
    with pytest.raises(RunFolderError, match="planned with the cells b, which the study no longer"):
        extend(tmp_path, study(), fewer, finished=0)


def test_a_recipe_that_is_changed_when_others_are_known_can_be_seen(tmp_path: Path) -> None:
    extend(tmp_path, study(), RECIPES, finished=0)
    extend(tmp_path, study(), {**RECIPES, "b": "4"}, finished=0)
    entries = extend(tmp_path, study(), {**RECIPES, "b": "4", "c": "5", "d": "6"}, finished=3)
    assert [entry["recipes"] for entry in entries] == [RECIPES, {"b": "4"}, {"c": "5", "d": "6"}]
    assert Promises(entries).late_recipes() == {"c": "3 cells begun, 3 finished"}


def test_what_an_added_place_had_not_planned_is_no_plan_here(tmp_path: Path) -> None:
    old, new = ({"arm": "a", "against": each} for each in "bc")
    known = {"begun": 2, "finished": 2}
    theirs = extend_plan(tmp_path, [], study(comparisons=[old]), RECIPES, begun=0, finished=0)
    asked = study(comparisons=[old, new])
    ours = extend_plan(tmp_path, [], asked, RECIPES, begun=0, finished=0)  # before any run here
    missing = unforeseen(asked, [theirs])
    assert [each["against"] for each in missing["comparisons"]] == ["c"]
    plan = extend_plan(tmp_path, ours, asked, RECIPES, **known, elsewhere=missing)
    assert plan[1]["unforeseen"] == missing
    promised = Promises(plan)
    states = [
        promised.status("comparisons", each.model_dump(mode="json")) for each in asked.comparisons
    ]
    assert states == ["planned", "added"]
    assert extend_plan(tmp_path, plan, asked, RECIPES, **known, elsewhere=missing) == plan


def test_what_is_asked_when_a_cell_has_begun_is_not_planned(tmp_path: Path) -> None:
    old, new = ({"arm": "a", "against": each} for each in "bc")
    extend(tmp_path, study(comparisons=[old]), RECIPES, finished=0)
    asked = study(comparisons=[old, new])
    entries = extend(tmp_path, asked, RECIPES, finished=0, begun=1)
    assert [entry["begun"] for entry in entries] == [0, 1]
    statuses = [
        Promises(entries).status("comparisons", each.model_dump(mode="json"))
        for each in asked.comparisons
    ]
    assert statuses == ["planned", "added"]


def test_entries_of_older_versions_go_by_cells_that_had_finished() -> None:
    entries: list[Entry] = [
        {"time": "first", "arms": ["a"], "seeds": [1]},
        {"time": "later", "finished": 0, "seeds": [2]},
        {"time": "last", "finished": 1, "seeds": [3]},
        {"time": "unknown", "seeds": [4]},
    ]
    assert foreseen(entries)["seeds"] == [1, 2]
    assert list(map(known_then, entries)) == ["", "0 cells finished", "1 cell finished", ""]


def test_a_setting_that_an_added_place_had_not_planned_is_no_plan_here(tmp_path: Path) -> None:
    one, two = (study(tasks={name: {} for name in names}) for names in (("x",), ("x", "y")))
    theirs = extend_plan(tmp_path, [], one, RECIPES, begun=0, finished=0)
    ours = extend_plan(tmp_path, [], two, RECIPES, begun=0, finished=0)
    missing = unforeseen(two, [theirs])
    plan = extend_plan(tmp_path, ours, two, RECIPES, begun=1, finished=1, elsewhere=missing)
    assert foreseen(plan)["tasks"] == ["x"]


@pytest.mark.parametrize(
    "entries",
    [
        '{"a": 1}',
        "[1]",
        '[{"seeds": [1]}]',
        '[{"seeds": [1], "arms": 3}]',
        '[{"seeds": [1], "arms": ["a"]}, {"comparisons": 3}]',
        '[{"seeds": [1], "arms": ["a"]}, {"trends": [{"arms": 3}]}]',
        '[{"seeds": [1], "arms": ["a"]}, {"recipes": []}]',
    ],
)
def test_a_plan_that_is_none_is_one_sentence(tmp_path: Path, entries: str) -> None:
    (tmp_path / "plan.json").write_text(f'{{"entries": {entries}}}')
    with pytest.raises(RunFolderError, match=r"plan\.json is damaged"):
        read_plan(tmp_path)
