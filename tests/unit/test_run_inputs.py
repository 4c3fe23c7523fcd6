"""Hashes of what a run is made from: the same for a copy, others for other content."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tailor_rl.config.schema import RunConfig
from tailor_rl.runs import inputs
from tailor_rl.runs.inputs import hash_inputs, named_inputs
from tests.lives import make_config


def made_from(student: Path) -> RunConfig:
    return make_config().model_copy(update={"student": str(student)})


def test_a_copy_has_the_hash_of_the_original_and_the_same_name(tmp_path: Path) -> None:
    found = []
    for place in ("here", "there"):
        student = tmp_path / place / "student"
        student.mkdir(parents=True)
        (student / "model.safetensors").write_bytes(b"weights")
        cfg = made_from(student)
        found.append(named_inputs(cfg, hash_inputs(cfg)))
    assert found[0] == found[1]
    assert list(found[0]) == ["student student"]


def test_of_a_large_file_content_counts_and_not_its_age(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "LARGE_BYTES", 1000)
    monkeypatch.setattr(inputs, "PIECE_BYTES", 20)
    first = tmp_path / "first.bin"
    first.write_bytes(bytes(range(200)) * 50)
    copy = tmp_path / "copy.bin"
    shutil.copy(first, copy)
    os.utime(copy, (1, 1))
    changed = tmp_path / "changed.bin"
    changed.write_bytes(first.read_bytes()[:-1] + b"x")
    longer = tmp_path / "longer.bin"
    longer.write_bytes(first.read_bytes() + b"x")

    def hash_of(path: Path) -> str:
        shutil.copy(path, tmp_path / "student.bin")
        (value,) = hash_inputs(made_from(tmp_path / "student.bin")).values()
        return value

    assert hash_of(first) == hash_of(copy)
    assert len({hash_of(path) for path in (first, changed, longer)}) == 3
