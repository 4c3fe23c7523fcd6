"""Fixtures that several files of unit tests use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tailor_rl.runs.folder import RunFolder
from tests.run_folders import resolved


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    with RunFolder.create(tmp_path / "runs", resolved(tmp_path), name="a") as created:
        yield created
