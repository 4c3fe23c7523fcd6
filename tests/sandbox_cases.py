"""What the tests of the sandbox share: limits, one attempt, and the walls it is made behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tailor_rl.graders import sandbox
from tailor_rl.graders.sandbox import Call, CaseResult, Limits, run_tests, sandbox_problem

ROOT = Path(__file__).resolve().parents[1]
LIMITS = Limits(cpu_s=3, wall_s=8, total_s=20, memory_mib=256)
ESCAPED = "escaped"

needs_sandbox = pytest.mark.skipif(
    sandbox_problem() is not None, reason=f"no sandbox here: {sandbox_problem()}"
)

# Whether an attempt fails must not hang on the filter alone: the same without it.
NO_FILTER = "from tailor_rl.graders import sandbox_filter; sandbox_filter.install = lambda: None; "


@pytest.fixture(params=["filter", "no filter"])
def walls(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The test is run twice: as the sandbox is, and without its filter of system calls."""
    if request.param == "no filter":
        monkeypatch.setattr(sandbox, "BOOT", boot_after(NO_FILTER))
    return str(request.param)


def boot_after(before: str) -> str:
    """The program a sandbox starts with, preceded by the statements `before`."""
    return sandbox.BOOT.replace("from tailor_rl", before + "from tailor_rl", 1)


def run(code: str, *args: Any, expected: Any = ESCAPED, limits: Limits = LIMITS) -> CaseResult:
    """What becomes of `attempt(*args)`."""
    return run_tests(code, [Call("attempt", args, expected)], limits, tolerance=0).cases[0]
