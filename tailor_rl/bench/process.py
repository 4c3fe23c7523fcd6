"""A cell's run as a process: `tailor run --resume FOLDER`, which dies with whoever started it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

from tailor_rl.runs.environment import PROJECT_ROOT

_PR_SET_PDEATHSIG = 1


class RunProcess:
    """`queue.Process` of a real run."""

    def __init__(self, run: Path, log: Path, recipe: Path | None) -> None:
        asked = [] if recipe is None else [str(recipe)]
        command = [
            sys.executable, "-m", "tailor_rl", "run", *asked, "--resume", str(run), "--plain",
        ]  # fmt: skip
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                command,
                cwd=PROJECT_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                # Ctrl-C at the terminal is for the study, which then asks its runs to stop.
                process_group=0,
                preexec_fn=_die_with_parent,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    def poll(self) -> int | None:
        return self._process.poll()

    def stop(self, *, hard: bool) -> None:
        if hard:
            os.killpg(self._process.pid, signal.SIGKILL)
        else:
            self._process.send_signal(signal.SIGINT)


def _die_with_parent() -> None:
    """SIGTERM when the study is killed: a run that nobody waits for would hold its folder."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
