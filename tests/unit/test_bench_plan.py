"""plan.json: written before the first run, and what came later can be told from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tailor_rl.bench.comparing import Promises
from tailor_rl.bench.plan import extend_plan, known_promises, read_plan
from tailor_rl.bench.study import Study
from tailor_rl.errors import RunFolderError

RECIPES = {"a": "1", "b": "2", "c": "3"}


def study(**more: object) -> Study:
    arms: dict[str, dict[str, object]] = {"a": {}, "b": {}, "c": {}}
    return Study.model_validate({"recipe": "r.toml", "seeds": (1, 2), "arms": arms, **more})


def test_the_plan_is_written_first_and_what_is_added_says_when(tmp_path: Path) -> None:
    compared = {"arm": "a", "against": "b"}
    first = extend_plan(tmp_path, study(comparisons=[compared]), RECIPES, finished=0)
    assert [entry["finished"] for entry in first] == [0]
    assert extend_plan(tmp_path, study(comparisons=[compared]), RECIPES, finished=4) == first
    more = study(comparisons=[compared, {"arm": "a", "against": "c"}], seeds=(1, 2, 3))
    entries = extend_plan(tmp_path, more, RECIPES, finished=6)
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
    extend_plan(tmp_path, study(**planned), RECIPES, finished=0)
    with pytest.raises(RunFolderError, match=said):
        extend_plan(tmp_path, study(**{**planned, **gone}), RECIPES, finished=0)


def test_a_recipe_that_is_changed_when_others_are_known_can_be_seen(tmp_path: Path) -> None:
    extend_plan(tmp_path, study(), RECIPES, finished=0)
    extend_plan(tmp_path, study(), {**RECIPES, "b": "4"}, finished=0)
    entries = extend_plan(tmp_path, study(), {**RECIPES, "b": "4", "c": "5", "d": "6"}, finished=3)
    assert [entry["recipes"] for entry in entries] == [RECIPES, {"b": "4"}, {"c": "5", "d": "6"}]
    assert Promises(entries).late_recipes() == {"c": 3}
