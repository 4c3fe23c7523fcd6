"""The students in the repository are what their recipes say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tailor_rl.students.build import _corpus_hash
from tailor_rl.students.recipe import read_recipe

STUDENTS = Path(__file__).resolve().parents[2] / "students"


@pytest.mark.parametrize(
    "name", ["knights-qwen2", "knights-llama", "countdown-qwen2", "igsm-qwen2"]
)
def test_a_shipped_student_was_raised_on_what_its_recipe_writes_now(name: str) -> None:
    """A changed corpus must come with a new student: its figures are of the old one."""
    card = json.loads((STUDENTS / name / "student.json").read_text())
    recipe = read_recipe(STUDENTS / "recipes" / f"{name}.toml")
    own, now = card["recipe"], recipe.model_dump()
    assert own["training"].pop("threads") >= 1 <= now["training"].pop("threads")
    assert own == now
    assert card["corpus_hash"] == _corpus_hash(recipe)
