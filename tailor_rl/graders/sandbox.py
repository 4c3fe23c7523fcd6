"""Runs code that a model wrote against tests: inputs go into a sandbox, outputs come out, and the
comparison happens here.

    report = run_tests(code, [Call("add", (1, 2), 3)], limits, tolerance=1e-9)
    report.passed, report.share, report.cases[0].outcome

The code runs as nobody in namespaces of its own (user, process, mount, network, ipc, uts, cgroup):
an empty read-only root with Python's standard library, no network, no environment, no process but
itself. It may start threads, and no process or program. Limits: memory, CPU, wall clock, output,
open files, threads; files cannot be written at all. Ending a case ends all of it.

The code cannot give itself a verdict: expected outputs never enter the sandbox, so whatever it
prints, patches or exits with is an answer, right or wrong. What goes wrong once its first line may
run is its own failure; what goes wrong before, or in the sandbox itself, raises and is no 0.

Linux 5.14 or newer, x86_64 or aarch64, root or any user who may make user namespaces.
Elsewhere it refuses: there is no weaker mode.
"""

from __future__ import annotations

import functools
import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tailor_rl.errors import ConfigError, TailorError
from tailor_rl.graders.sandbox_outputs import same_text, same_value

Outcome = Literal["passed", "failed", "error", "timeout"]

_ROOT = str(Path(__file__).resolve().parents[2])
BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from tailor_rl.graders.sandbox_child import main; main()"
)
_START_S = 30.0  # for an interpreter to start on a machine with much else to do
_END_S = 10.0  # for the kernel to end every process of a sandbox


class SandboxUnavailable(ConfigError):
    """This machine does not let the sandbox stand; code is not run without it."""


class SandboxError(TailorError):
    """The sandbox failed, not the code in it."""


@dataclass(frozen=True, slots=True)
class Call:
    """`function(*args)` must return `expected`. JSON values: a tuple counts as a list and the key
    of a dict as its text; NaN and infinity are no JSON.
    """

    function: str
    args: Sequence[Any]
    expected: Any


@dataclass(frozen=True, slots=True)
class Program:
    """The whole program, given `stdin`, must print `stdout` and exit with 0."""

    stdin: str
    stdout: str


Case = Call | Program


@dataclass(frozen=True, slots=True)
class Limits:
    """`cpu_s` and `wall_s` hold for each case, `total_s` for all of them on the wall clock; cases
    that have no time left are timeouts. `memory_mib` is address space, the interpreter's included.
    """

    cpu_s: float
    wall_s: float
    total_s: float
    memory_mib: int
    output_bytes: int = 1 << 20
    threads: int = 16
    open_files: int = 32

    def __post_init__(self) -> None:
        for name in ("cpu_s", "wall_s", "total_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be more than 0, not {value!r}")
        least = {"memory_mib": 64, "output_bytes": 1, "threads": 1, "open_files": 8}
        for name, minimum in least.items():
            value = getattr(self, name)
            if not (isinstance(value, int) and value >= minimum):
                raise ValueError(f"{name} must be a whole number from {minimum}, not {value!r}")


@dataclass(frozen=True, slots=True)
class CaseResult:
    """`detail` says in the code's own words what went wrong: untrusted text."""

    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    cases: tuple[CaseResult, ...]

    @property
    def passed(self) -> bool:
        return all(case.outcome == "passed" for case in self.cases)

    @property
    def share(self) -> float:
        """Cases passed of all cases."""
        return sum(case.outcome == "passed" for case in self.cases) / len(self.cases)


def run_tests(code: str, cases: Sequence[Case], limits: Limits, *, tolerance: float) -> Report:
    """Run `code` once for each case, each time in a fresh process. Safe to call from many threads.

    `tolerance` is for expected floats only: |got - expected| <= tolerance * max(1, |expected|).
    Raises ValueError without a case or where an expected value is no JSON, SandboxUnavailable where
    the machine does not permit a sandbox, SandboxError where it fails.
    """
    if not cases:
        raise ValueError("run_tests needs at least one case: without tests every code is right")
    for case in cases:
        _check(case)
    job = {
        "code": code,
        "cases": [
            {"call": case.function, "args": list(case.args)}
            if isinstance(case, Call)
            else {"stdin": case.stdin}
            for case in cases
        ],
        "limits": _limits(limits),
    }
    seconds = _START_S + limits.total_s
    said, words = _enter(json.dumps(job).encode(), seconds)
    ends = _read(said, words, len(cases))
    return Report(
        tuple(_judge(case, end, tolerance) for case, end in zip(cases, ends, strict=True))
    )


@functools.cache
def sandbox_problem() -> str | None:
    """One sentence on why code cannot be run here, or None. Asked once in the life of a process."""
    needed = "import ctypes, datetime, decimal, hashlib, json, math, random, statistics, zlib"
    limits = Limits(cpu_s=10, wall_s=20, total_s=20, memory_mib=256)
    probe = Call("probe", (), "here")
    try:
        report = run_tests(f"{needed}\ndef probe(): return 'here'", [probe], limits, tolerance=0)
    except (SandboxUnavailable, SandboxError) as error:
        return str(error)
    if report.passed:
        return None
    return (
        "the sandbox for code is no use on this machine: Python's standard library does not work "
        f"inside ({report.cases[0].detail}); use a Python whose shared libraries lie beside it"
    )


def _check(case: Case) -> None:
    if isinstance(case, Program):
        return
    try:
        json.dumps([case.args, case.expected], allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"arguments and expected value of {case.function!r} must be finite JSON: {error}"
        ) from error


def _limits(limits: Limits) -> dict[str, Any]:
    """As the child wants them; the names of rlimits are those of getrlimit(2)."""
    return {
        "cpu_s": limits.cpu_s,
        "wall_s": limits.wall_s,
        "total_s": limits.total_s,
        "output_bytes": limits.output_bytes,
        "rlimits": {
            "AS": limits.memory_mib << 20,
            "CPU": math.ceil(limits.cpu_s),
            "NPROC": limits.threads + 2,  # reaper and coordinator are of the same user
            "NOFILE": limits.open_files,
            "FSIZE": 0,
            "CORE": 0,
            "MEMLOCK": 0,
            "MSGQUEUE": 0,
        },
    }


def _enter(job: bytes, seconds: float) -> tuple[bytes, str]:
    """Start a sandbox, give it the job, return all that it says and its last words on stderr; no
    process of it is left after.
    """
    if sys.platform != "linux" or not sys.executable:
        raise _unavailable(f"it needs Linux and a Python program, not {sys.platform}")
    # A fixed hash seed: the order of a set of strings must not decide a grade.
    environment = {"PYTHONHASHSEED": "0"}
    if "LD_LIBRARY_PATH" in os.environ:  # some Pythons do not start without
        environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    process = subprocess.Popen(
        [sys.executable, "-s", "-S", "-P", "-X", "utf8", "-c", BOOT, _ROOT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd="/",
        start_new_session=True,
    )
    try:
        said, words = process.communicate(job, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise SandboxError(f"the sandbox did not end within {seconds:.0f} s") from None
    finally:
        _end(process)
    last = words.decode(errors="replace").strip().splitlines()[-1:]
    return said, "".join(last) or f"exit status {process.returncode}"


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()  # the reaper ends everything, then itself
    try:
        process.communicate(timeout=_END_S)
    except subprocess.TimeoutExpired:
        process.kill()  # ... and with it, by the kernel, all that dies with its parent
        raise SandboxError(f"a sandbox was not gone {_END_S:.0f} s after its end") from None


def _read(said: bytes, words: str, num_cases: int) -> list[dict[str, Any]]:
    """The ends of all cases, from lines that the coordinator alone can write."""
    messages = [json.loads(line) for line in said.splitlines()]
    for message in messages:
        if "problem" in message:
            raise _unavailable(message["problem"])
        if "broken" in message:
            raise SandboxError(f"the sandbox failed while it ran code: {message['broken']}")
    if len(messages) != num_cases + 2 or "done" not in messages[-1]:
        raise SandboxError(
            f"the sandbox ended after {max(len(messages) - 1, 0)} of {num_cases} cases ({words}); "
            "without a better reason there, the machine ran out of memory"
        )
    return messages[1:-1]


def _judge(case: Case, end: dict[str, Any], tolerance: float) -> CaseResult:
    if end["end"] == "timeout":
        return CaseResult("timeout", end["stderr"])
    if end["end"] == "flood":
        return CaseResult("error", "it wrote more than the limit on output")
    if isinstance(case, Program):
        if end["end"] != "exit" or end["status"] != 0:
            return CaseResult("error", end["stderr"] or f"{end['end']} {end['status']}")
        right = same_text(end["stdout"], case.stdout, tolerance)
    else:
        kind, text = end["result"][1:2], end["result"][2:]
        if kind != "V":
            return CaseResult("error", text or f"no value: {end['end']} {end['status']}")
        try:
            right = same_value(json.loads(text), case.expected, tolerance)
        except (ValueError, RecursionError):
            return CaseResult("error", "its value is no JSON, or too deep or long to be read")
    return CaseResult("passed") if right else CaseResult("failed")


def _unavailable(why: str) -> SandboxUnavailable:
    return SandboxUnavailable(
        f"code cannot be run safely on this machine ({why}): use Linux 5.14 or newer with user "
        "namespaces allowed (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone=1, "
        "kernel.apparmor_restrict_unprivileged_userns=0; in a container --security-opt "
        "seccomp=unconfined --security-opt apparmor=unconfined)"
    )
