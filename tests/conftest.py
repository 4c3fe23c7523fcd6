"""Marks tests by their folder, so that nobody has to remember to."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
MARKED_FOLDERS = ("integration", "chaos", "gpu")
REAL_PARTS_TIMEOUT_S = 300  # importing vLLM alone takes 10 to 25 s on a busy core


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0]
        if folder in MARKED_FOLDERS:
            item.add_marker(folder)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(REAL_PARTS_TIMEOUT_S))
