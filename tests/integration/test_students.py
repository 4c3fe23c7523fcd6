"""`tailor student build` on the shipped recipes: transformers and vLLM agree on what comes out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actors.engine import RolloutEngine
from actors.handles import RawRollout
from tailor_rl.chat import ChatTokens
from tailor_rl.students.build import build_student
from tailor_rl.tasks.knights.task import KnightsKnaves
from tests.integration.engine_process import EngineProcess, load_model, worst_difference

RECIPES = Path(__file__).resolve().parents[2] / "students" / "recipes"


async def sample(engine: RolloutEngine, prompt: tuple[int, ...]) -> list[RawRollout]:
    return await engine.generate(
        prompt, num=2, temperature=1.0, top_p=1.0, max_tokens=16, seed=0, stall_s=60
    )


@pytest.mark.parametrize("family", ["qwen2", "llama"])
def test_a_built_student_answers_in_vllm_as_in_transformers(family: str, tmp_path: Path) -> None:
    recipe = RECIPES / f"knights-{family}.toml"
    student = build_student(recipe, tmp_path, tokens=30_000, threads=1, log=lambda _: None)
    card = json.loads((student / "student.json").read_text())
    assert card["training"]["steps"] >= 7
    assert card["recipe"]["shape"]["family"] == family
    assert (student / "model.safetensors").stat().st_size < 8_000_000
    prompt = tuple(
        ChatTokens(str(student)).encode_prompt(KnightsKnaves().problem("test", 0).prompt)
    )
    engine = EngineProcess(student)
    try:
        rollouts = engine.run(sample, prompt)
    finally:
        engine.close()
    model = load_model(student)
    assert worst_difference(model, prompt, rollouts, temperature=1.0) < 1e-4


def test_the_same_recipe_raises_the_same_student(tmp_path: Path) -> None:
    recipe = RECIPES / "knights-qwen2.toml"
    files = [
        build_student(recipe, tmp_path / name, tokens=8_192, threads=1, log=lambda _: None)
        / "model.safetensors"
        for name in ("one", "two")
    ]
    assert files[0].read_bytes() == files[1].read_bytes()
