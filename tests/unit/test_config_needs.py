"""What each initialisation needs, and which teachers a run asks."""

from __future__ import annotations

from typing import Any

import pytest

from tailor_rl.config.needs import (
    made_from,
    needed_teachers,
    needs_attempts,
    needs_primitives,
    needs_task_traces,
    needs_teacher,
    needs_varied_traces,
    trains_student,
)
from tailor_rl.config.schema import RunConfig
from tailor_rl.errors import ConfigError

FROM_PRIMITIVES = (
    "tailor",
    "one_primitive",
    "paired_primitives",
    "shuffled_primitives",
    "wrong_only",
)
OWN = "/home/me/mine.py:demonstrations"
TEACHERS = {"share": 1, "more": {"big": {"share": 2}, "guard": {"share": 0}}}


def recipe(initialisation: str = "tailor", **sections: Any) -> RunConfig:
    base = {"student": "s", "task": {"name": "knights"}, "initialisation": initialisation}
    return RunConfig.model_validate({**base, **sections})


@pytest.mark.parametrize("name", [*FROM_PRIMITIVES, "standard_cot", "four_star", OWN])
def test_what_a_teacher_writes_needs_a_teacher(name: str) -> None:
    assert needs_teacher(recipe(name))
    assert needs_primitives(recipe(name)) == (name in FROM_PRIMITIVES)


@pytest.mark.parametrize("name", ["none", "rule_based", "rule_based_diverse"])
def test_what_no_teacher_writes_needs_none(name: str) -> None:
    assert not needs_teacher(recipe(name))
    assert not needs_primitives(recipe(name))
    assert needs_task_traces(recipe(name)) == (name == "rule_based")
    assert needs_varied_traces(recipe(name)) == (name == "rule_based_diverse")


def test_rounds_of_star_train_the_student_instead_of_asking_a_teacher() -> None:
    rounds = recipe("four_star", four_star={"reading": "rounds"})
    assert (needs_teacher(rounds), trains_student(rounds)) == (False, True)
    assert not trains_student(recipe("four_star"))


def test_a_library_replaces_attempts_and_no_teacher() -> None:
    assert needs_attempts(recipe())
    from_library = recipe(primitives={"library": "primitives.jsonl"})
    assert (needs_attempts(from_library), needs_teacher(from_library)) == (False, True)


@pytest.mark.parametrize("control", ["empty", "dots"])
@pytest.mark.parametrize("of", ["tailor", "rule_based", "standard_cot"])
def test_a_control_needs_what_it_is_made_from_needs(control: str, of: str) -> None:
    made = recipe(control, control={"of": of})
    assert needs_teacher(made) == needs_teacher(recipe(of))
    assert needs_attempts(made) == needs_attempts(recipe(of))
    assert needs_task_traces(made) == needs_task_traces(recipe(of))


def test_the_origin_is_found_through_several_initialisations() -> None:
    chain = recipe(
        "dots", control={"of": "re_distill"}, re_distill={"initialisation": "standard_cot"}
    )
    assert made_from(chain) == ("dots", "re_distill", "standard_cot")
    assert needs_teacher(chain) and trains_student(chain)
    by_rules = recipe("re_distill")
    assert made_from(by_rules) == ("re_distill", "rule_based")
    assert not needs_teacher(by_rules) and needs_task_traces(by_rules)


@pytest.mark.parametrize(
    ("name", "sections", "key"),
    [
        ("dots", {"control": {"of": "dots"}}, "control.of"),
        ("re_distill", {"re_distill": {"initialisation": "re_distill"}}, "re_distill.init"),
        (
            "empty",
            {"control": {"of": "re_distill"}, "re_distill": {"initialisation": "empty"}},
            "empty <- re_distill <- empty",
        ),
    ],
)
def test_a_set_that_is_made_from_itself_is_refused(
    name: str, sections: dict[str, Any], key: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        needs_teacher(recipe(name, **sections))
    assert key in str(refusal.value) and "\n" not in str(refusal.value)


def test_the_teachers_with_a_share_are_asked_and_those_that_a_key_names() -> None:
    def asked(name: str, **sections: Any) -> list[str]:
        return list(needed_teachers(recipe(name, teacher=TEACHERS, **sections)))

    guarded = {"primitives": {"guard": "guard"}}
    judged = {"measures": {"judge": "big"}}
    assert asked("tailor") == ["teacher", "big"]
    assert asked("tailor", **guarded) == ["teacher", "big", "guard"]
    assert asked("standard_cot", **guarded) == ["teacher", "big"]  # nothing to guard
    assert asked("rule_based", **judged) == []  # who counts habits is not asked by a run
    assert asked("rule_based", **guarded) == []
    assert asked(OWN) == ["teacher", "big", "guard"]


def test_a_trial_asks_the_first_teacher_whatever_its_share() -> None:
    def asked(name: str, **sections: Any) -> list[str]:
        shares = {"share": 0, "more": {"big": {"share": 1}}}
        return list(needed_teachers(recipe(name, teacher=shares, **sections)))

    tried = {"primitives": {"trial_problems": 4}}
    assert asked("tailor") == ["big"]
    assert asked("tailor", **tried) == ["teacher", "big"]
    assert asked("standard_cot", **tried) == ["big"]


def test_a_control_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match=r'control\.of = "none" .* no traces'):
        made_from(recipe("dots", control={"of": "none"}))
    assert made_from(recipe("re_distill", re_distill={"initialisation": "none"}))[-1] == "none"
