"""What tests of real parts share: a student without skills, and processes for learner ranks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.learner_processes import RankProcesses
from tests.tiny import make_student


@pytest.fixture(scope="module")
def processes() -> Iterator[dict[int, RankProcesses]]:
    """By how many ranks they are."""
    started = {num: RankProcesses(num) for num in (1, 2)}
    yield started
    for some in started.values():
        some.close()


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_student(tmp_path_factory.mktemp("student"))
