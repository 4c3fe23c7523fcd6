"""Every named algorithm in real DeepSpeed ranks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from tailor_rl.algorithms.algorithm import NAMES
from tests.learner_algorithms import step_of
from tests.learner_processes import RankProcesses
from tests.learner_reference import VARIED_CUTS, relative_difference


@pytest.mark.parametrize("algorithm", NAMES)
async def test_no_cut_changes_the_gradient_of_a_named_algorithm(
    processes: dict[int, RankProcesses], student: Path, algorithm: str
) -> None:
    """What the gradient should be, tests/unit/test_named_algorithms.py says."""

    async def moments(cut_index: int) -> Mapping[str, np.ndarray]:
        cut = VARIED_CUTS[cut_index]
        return await step_of(algorithm, cut, processes[cut.ranks], student)

    whole = await moments(0)
    assert any(name.startswith("critic") for name in whole) == (algorithm == "ppo")
    for i in range(1, len(VARIED_CUTS)):
        assert relative_difference(await moments(i), whole) < 1e-5
