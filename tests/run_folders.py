"""What the tests of run folders share: a screen, a learner, a small recipe, a second process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

from tailor_rl.config.load import ResolvedConfig, resolve_config
from tailor_rl.protocols import Screen
from tailor_rl.runs.folder import RunFolder
from tailor_rl.runs.journal import RunJournal
from tailor_rl.types import Evaluation

ROOT = Path(__file__).resolve().parents[1]
RECIPE = 'student = "organisation/student"\n[task]\nname = "knights"\n'


class Page:
    """A screen that remembers."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def stage(self, name: str) -> None:
        self.seen.append(("stage", name))

    def progress(self, done: int, total: int, note: str) -> None:
        self.seen.append(("progress", done, total, note))

    def metrics(self, stage: str, step: int, metrics: Any) -> None:
        self.seen.append(("metrics", stage, step, dict(metrics)))

    def evaluation(self, row: Evaluation) -> None:
        self.seen.append(("evaluation", row))

    def log(self, line: str) -> None:
        self.seen.append(("log", line))


class FileLearner:
    """Saves one file of a size; or fails as a full disk does."""

    def __init__(self, content: bytes = b"weights", error: Exception | None = None) -> None:
        self._content, self._error = content, error

    async def save(self, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(self._content)
        (folder / "optimizer").mkdir()
        (folder / "optimizer" / "rank-0.bin").write_bytes(self._content[::-1])
        if self._error is not None:
            raise self._error


def resolved(folder: Path, *overrides: str) -> ResolvedConfig:
    path = folder / "recipe.toml"
    path.write_text(RECIPE)
    return resolve_config(path, overrides, command=["tailor"])


def journal(folder: RunFolder, screen: Screen | None = None) -> RunJournal:
    return RunJournal(folder, screen or Page())


def save(book: RunJournal, name: str, learner: FileLearner, **keywords: Any) -> Path:
    return asyncio.run(book.checkpoint(name, learner=learner, **keywords))  # type: ignore[arg-type]


def python(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
