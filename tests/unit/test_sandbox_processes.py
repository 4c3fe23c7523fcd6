"""Code that multiplies, kills or stays: no process of a case reaches another or outlives it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tailor_rl.graders import sandbox
from tailor_rl.graders.sandbox import Call, Limits, SandboxError, run_tests
from tests import sandbox_cases
from tests.sandbox_cases import LIMITS, NO_FILTER, ROOT, boot_after, needs_sandbox, run

walls = sandbox_cases.walls  # a fixture is found by its name in the module


@needs_sandbox
def test_processes_cannot_be_made_and_a_fork_bomb_ends(
    walls: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the filter the limit on processes and the end of the namespace hold."""
    marker = _marked(monkeypatch)
    code = (
        "import os, time\ndef attempt():\n    n = 0\n"
        "    for _ in range(1000):\n"
        "        try: pid = os.fork()\n"
        "        except OSError: break\n"
        "        if pid == 0: time.sleep(60)\n"
        "        n += 1\n    return n < 20 and (n if n < 1 else 1)"
    )
    assert run(code, expected=0 if walls == "filter" else 1).outcome == "passed"
    bomb = "import os\ndef attempt():\n    while True:\n        try: os.fork()\n"
    limits = Limits(cpu_s=1, wall_s=0.4, total_s=1, memory_mib=256)
    assert run(f"{bomb}        except OSError: pass", limits=limits).outcome == "timeout"
    assert _living(marker) == []


@needs_sandbox
def test_a_daemon_that_forks_twice_and_leaves_its_session_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It waits for the case to end and says nothing. Without the filter, which forbids forks."""
    monkeypatch.setattr(sandbox, "BOOT", boot_after(NO_FILTER))
    marker = _marked(monkeypatch)
    code = (
        "import os, time\ndef attempt():\n    read, write = os.pipe()\n"
        "    if os.fork() == 0:\n        os.setsid()\n        if os.fork() == 0:\n"
        "            for fd in range(3): os.close(fd)\n"
        "            os.write(write, b'1')\n            time.sleep(60)\n        os._exit(0)\n"
        "    os.wait()\n    os.read(read, 1)\n    return 'daemon is running'"
    )
    assert run(code, expected="daemon is running").outcome == "passed"
    assert _living(marker) == []


@needs_sandbox
def test_signals_and_tracing_reach_nobody_else(walls: str) -> None:
    """Kills and traces every process it can name; the next case is run by the same coordinator."""
    code = (
        "import ctypes, os, signal\ndef attempt(pids):\n    hit = []\n"
        "    libc = ctypes.CDLL(None, use_errno=True)\n"
        "    for pid in [*pids, -1, *range(2, 300)]:\n"
        "        try: os.kill(pid, signal.SIGTERM); hit.append(pid)\n"
        "        except OSError: pass\n"
        "        if pid > 0 and libc.ptrace(16, pid, 0, 0) == 0: hit.append(pid)\n"
        "    return hit, os.getpid(), os.getppid()"
    )
    cases = [Call("attempt", ([os.getpid(), os.getppid()],), [[], 1, 0])] * 2
    assert run_tests(code, cases, LIMITS, tolerance=0).passed


@needs_sandbox
def test_a_sandbox_dies_with_its_caller(tmp_path: Path) -> None:
    """The caller is killed while code sleeps: nobody is left to end the sandbox but the kernel."""
    marker = f"orphan-{os.getpid()}"
    program = (
        "from tailor_rl.graders import sandbox\n"
        f"sandbox.BOOT += '#{marker}'\n"
        "limits = sandbox.Limits(cpu_s=9, wall_s=60, total_s=60, memory_mib=256)\n"
        "code = 'import time; time.sleep(60)'\n"
        "sandbox.run_tests(code, [sandbox.Program('', '')], limits, tolerance=0)"
    )
    caller = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    assert _becomes(lambda: len(_living(f"#{marker}")) >= 3)
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    assert _becomes(lambda: not _living(f"#{marker}"))


@needs_sandbox
def test_a_sandbox_that_hangs_raises_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    hang = "import time; from tailor_rl.graders import sandbox_child as c; c._watch = "
    monkeypatch.setattr(sandbox, "BOOT", boot_after(f"{hang}lambda *a: time.sleep(60); "))
    monkeypatch.setattr(sandbox, "_START_S", 0.5)
    marker = _marked(monkeypatch)
    with pytest.raises(SandboxError, match="did not end"):
        run("def attempt(): pass", limits=Limits(cpu_s=1, wall_s=0.1, total_s=0.1, memory_mib=256))
    assert _living(marker) == []


def _marked(monkeypatch: pytest.MonkeyPatch) -> str:
    """A word in the command line of every sandbox process of this test."""
    marker = f"#test-{os.getpid()}-{time.monotonic_ns()}"
    monkeypatch.setattr(sandbox, "BOOT", sandbox.BOOT + marker)
    return marker


def _living(marker: str) -> list[int]:
    """Processes, seen from outside, with the marker at the end of their program text."""
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            command = (folder / "cmdline").read_bytes() if folder.name.isdigit() else b""
            if f"main(){marker}\0".encode() in command:
                found.append(int(folder.name))
    return found


def _becomes(condition: Any, within_s: float = 5.0) -> bool:
    end = time.monotonic() + within_s
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return bool(condition())
