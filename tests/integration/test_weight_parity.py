"""Log-probabilities of the engine and of transformers agree, before and after a weight sync."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.engine import RolloutEngine
from actors.handles import RawRollout, ReceiveReport
from tailor_rl.weights import WeightBundle
from tests.integration.engine_process import (
    EngineProcess,
    bundle_of,
    load_model,
    moved,
    worst_difference,
)
from tests.tiny import make_student

PROMPT = tuple(range(40, 70))
TEMPERATURES = (1.0, 0.7)
TOLERANCE = 1e-4  # 1e-6 is seen


async def sample(engine: RolloutEngine, temperature: float) -> list[RawRollout]:
    return await engine.generate(
        PROMPT, num=4, temperature=temperature, top_p=1.0, max_tokens=40, seed=1, deadline_s=60
    )


async def sync(engine: RolloutEngine, bundle: WeightBundle) -> ReceiveReport:
    return await engine.receive(bundle, deadline_s=60)


@pytest.mark.parametrize(("family", "tied"), [("qwen2", True), ("qwen2", False), ("llama", True)])
def test_engine_and_transformers_agree_before_and_after_every_sync(
    tmp_path: Path, family: str, tied: bool
) -> None:
    make_student(tmp_path, family=family, tied=tied)  # type: ignore[arg-type]
    model = load_model(tmp_path)
    engine = EngineProcess(tmp_path)
    try:
        for step in range(3):
            stale = None
            if step:
                before = engine.run(sample, 1.0)
                report = engine.run(sync, bundle_of(moved(model, seed=step), step))
                assert report.canary_difference < TOLERANCE
                stale = worst_difference(model, PROMPT, before, temperature=1.0)
            for temperature in TEMPERATURES:
                rollouts = engine.run(sample, temperature)
                assert {(r.first_version, r.last_version) for r in rollouts} == {(step, step)}
                difference = worst_difference(model, PROMPT, rollouts, temperature=temperature)
                assert difference < TOLERANCE
            # The law means something only if the weights that were sent are far from the old ones.
            assert stale is None or stale > 100 * TOLERANCE
    finally:
        engine.close()
