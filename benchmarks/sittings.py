"""A command as a user starts it, to its end or until SIGKILL ends every process of it at once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from tailor_rl.summary import read_rows

ROOT = Path(__file__).resolve().parents[1]
POLL_S = 0.1  # not less: a look reads every process of the machine


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGKILL as soon as this row of metrics.jsonl is there."""

    stage: str
    step: int


def sit_until(
    words: list[str], *, log: Path, until: Callable[[], bool] | None, at_most_s: float
) -> bool:
    """Run `tailor WORDS` until `until` says so (None: to its end). Whether it was killed for that.

    What it prints is added to `log`. AssertionError where it fails or takes too long.
    """
    with log.open("a", encoding="utf-8") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tailor_rl", *words],
            cwd=ROOT,
            env={**os.environ, "RAY_worker_niceness": "0", "OMP_NUM_THREADS": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
            # Ctrl-C is for us alone. Not a session of its own: Linux gives each session an equal
            # share of the processors and, under load, has been seen to give a new one almost none.
            process_group=0,
        )
    family, deadline = Family(process.pid), time.monotonic() + at_most_s
    killed = late = False
    try:
        while process.poll() is None and not killed and not late:
            family.look()
            killed = until is not None and until()
            late = time.monotonic() > deadline
            time.sleep(POLL_S)
        killed = killed and process.poll() is None  # else it ended by itself just then
    finally:
        family.kill()
        process.wait()
    if late or (not killed and process.returncode != 0):
        why = f"took more than {at_most_s:g} s" if late else f"ended with {process.returncode}"
        raise AssertionError(f"{words} {why}:\n{log.read_text(encoding='utf-8')[-4000:]}")
    return killed


class Family:
    """A process and all that it ever started, which a kill leaves orphaned and unknown."""

    def __init__(self, pid: int) -> None:
        self._known = {pid: psutil.Process(pid)}
        self._first = self._known[pid]

    def look(self) -> None:
        try:
            for child in self._first.children(recursive=True):
                self._known.setdefault(child.pid, child)
        except psutil.NoSuchProcess:
            return

    def kill(self) -> None:
        """The driver first: it must not see its actors die and write that down."""
        self.look()
        for process in self._known.values():
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(list(self._known.values()), timeout=10)


def reached(run: Path, kill: Kill) -> bool:
    rows = read_rows(run / "metrics.jsonl")
    return any((row["stage"], row["step"]) == (kill.stage, kill.step) for row in rows)
