"""Verdicts and limits: right code passes, and code that cheats, eats or does not end does not."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from typing import Any

import pytest

from tailor_rl.graders.sandbox import Call, CaseResult, Limits, Program, Report, run_tests
from tests.sandbox_cases import ESCAPED, LIMITS, needs_sandbox, run

# --- Right and wrong answers ---------------------------------------------------------------------


@needs_sandbox
def test_right_code_passes_and_wrong_code_fails_case_by_case() -> None:
    cases = [Call("add", (1, 2), 3), Call("add", (2, 2), 4), Call("add", ("a", 1), "a1")]
    right = run_tests("def add(a, b):\n    return a + b", cases[:2], LIMITS, tolerance=0)
    wrong = run_tests("def add(a, b):\n    return a * b", cases, LIMITS, tolerance=0)
    assert right == Report((CaseResult("passed"), CaseResult("passed"))) and right.passed
    assert [case.outcome for case in wrong.cases] == ["failed", "passed", "failed"]
    assert not wrong.passed and wrong.share == pytest.approx(1 / 3)


@needs_sandbox
def test_a_program_is_judged_by_what_it_prints_and_how_it_ends() -> None:
    code = "n = int(input())\nprint(n * 2)\nassert n != 7"
    cases = [Program("4\n", "8"), Program("4\n", "9"), Program("x\n", "8"), Program("7\n", "14")]
    report = run_tests(code, cases, LIMITS, tolerance=0)
    assert [case.outcome for case in report.cases] == ["passed", "failed", "error", "error"]
    assert "ValueError" in report.cases[2].detail


@needs_sandbox
def test_a_program_may_finish_in_a_thread_with_a_large_stack() -> None:
    code = (
        "import sys, threading\nsys.setrecursionlimit(10**6)\nthreading.stack_size(64 << 20)\n"
        "def depth(n):\n    return 0 if n == 0 else 1 + depth(n - 1)\n"
        "threading.Thread(target=lambda: print(depth(int(input())))).start()"
    )
    assert run_tests(code, [Program("50000\n", "50000")], LIMITS, tolerance=0).passed


@needs_sandbox
def test_cases_share_no_state() -> None:
    code = "seen = []\ndef attempt():\n    seen.append(1)\n    return len(seen)"
    assert run_tests(code, [Call("attempt", (), 1)] * 3, LIMITS, tolerance=0).passed


@needs_sandbox
def test_the_standard_library_works_inside() -> None:
    names = """
        array asyncio bisect bz2 calendar cmath collections copy csv ctypes dataclasses datetime
        decimal difflib enum fractions functools graphlib hashlib heapq inspect io itertools json
        lzma math numbers operator pprint queue random re sqlite3 statistics string struct
        textwrap threading time types typing unicodedata zlib
    """
    there = []
    for name in names.split():
        with contextlib.suppress(ImportError):
            __import__(name)
            there.append(name)
    code = "def attempt(names):\n    return [n for n in names if not __import__(n)]"
    assert run(code, there, expected=[]).outcome == "passed"


@needs_sandbox
def test_the_order_of_sets_and_random_numbers_are_the_same_every_time() -> None:
    body = "(list({'a', 'b', 'c', 'dd', 'eee', 'f'}), random.random())"
    outside = subprocess.run(
        [sys.executable, "-c", f"import random, json; random.seed(0); print(json.dumps({body}))"],
        env=os.environ | {"PYTHONHASHSEED": "0"},
        capture_output=True,
        check=True,
    )
    code = f"import random\ndef attempt():\n    return {body}"
    assert run(code, expected=json.loads(outside.stdout)).outcome == "passed"


@needs_sandbox
@pytest.mark.parametrize(
    "code",
    ["(" * 10**5, "x = " + "-" * 10**6 + "1", "\udcff", "\0", "a" * 10**6, "é" * 1000, "1" * 10**5],
)
def test_code_of_any_kind_is_judged(code: str) -> None:
    assert run(code).outcome in ("error", "timeout")


@needs_sandbox
def test_long_code_is_run() -> None:
    code = "# " + "x" * 4_000_000 + "\ndef attempt():\n    return 'ü'"
    assert run(code, expected="ü").outcome == "passed"


# --- Cheating ------------------------------------------------------------------------------------


@needs_sandbox
@pytest.mark.parametrize(
    "code",
    ["import os\nos._exit(0)", "raise SystemExit(0)", "attempt = 'escaped'", "def attempt(:", ""],
)
def test_code_without_the_function_is_an_error(code: str) -> None:
    assert run(code).outcome == "error"


@needs_sandbox
def test_ending_without_an_answer_is_an_error() -> None:
    code = (
        "import ctypes, os, signal, sys\ndef interrupt(): raise KeyboardInterrupt\nways = [\n"
        "    lambda: os._exit(0), sys.exit, lambda: sys.exit(0), os.abort, interrupt,\n"
        "    lambda: ctypes.string_at(0), lambda: signal.raise_signal(signal.SIGSEGV)]\n"
        "def attempt(way):\n    ways[way]()\n    raise LookupError"
    )
    cases = [Call("attempt", (way,), ESCAPED) for way in range(7)]
    report = run_tests(code, cases, LIMITS, tolerance=0)
    assert {case.outcome for case in report.cases} == {"error"}


@needs_sandbox
def test_a_program_that_exits_at_once_prints_nothing() -> None:
    report = run_tests("import os\nos._exit(0)", [Program("", "8")], LIMITS, tolerance=0)
    assert report.cases[0].outcome == "failed"


@needs_sandbox
def test_a_forged_verdict_is_no_verdict() -> None:
    """Writes every message of the protocol to every descriptor, then exits with success."""
    code = (
        "import os\n"
        'lines = [\'{"ready": 1}\', \'{"end": "exit", "status": 0, "cpu_s": 0, "result":'
        ' "RVtrue", "stdout": "", "stderr": ""}\', \'{"done": 1}\', \'passed\', \'RVtrue\']\n'
        "def attempt():\n    for fd in range(256):\n        for line in lines:\n"
        "            try: os.write(fd, line.encode() + b'\\n')\n"
        "            except OSError: pass\n    os._exit(0)"
    )
    assert run(code).outcome == "error"
    assert run(code.replace("attempt()", "other()") + "\nother()").outcome == "error"


@needs_sandbox
@pytest.mark.parametrize(
    "trick",
    [
        "import json\njson.dumps = lambda *a, **k: 'true'",
        "import builtins\nbuiltins.all = builtins.any = lambda *a: True",
        "import sys\nfor m in list(sys.modules.values()):\n"
        "    for n in list(vars(m)):\n"
        "        if n in ('_judge', 'same_value', '_say', '_call', '_ended', '_words'):\n"
        "            setattr(m, n, lambda *a, **k: True)",
        "class Yes(str):\n    __eq__ = lambda s, o: True\n    __hash__ = str.__hash__\n"
        "attempt = lambda: Yes('no')",
        "import sys\nframe = sys._getframe()\nwhile frame:\n"
        "    frame.f_globals['_words'] = lambda e: 'V1'\n    frame = frame.f_back\n1 / 0",
    ],
)
def test_patching_the_harness_changes_no_verdict(trick: str) -> None:
    code = f"def attempt():\n    return 'no'\n{trick}"
    assert run(code).outcome in ("failed", "error")


@needs_sandbox
def test_a_result_that_is_no_json_never_raises() -> None:
    code = (
        "import json\nresults = ['[' * 10**5, '9' * 10**5, '{}{}', 'NaN', '\\udcff', "
        "'\"\\\\ud800\"', '']\n"
        "def attempt(i):\n    json.dumps = lambda value: results[i]"
    )
    cases = [Call("attempt", (i,), ESCAPED) for i in range(7)]
    report = run_tests(code, cases, LIMITS, tolerance=0)
    assert {case.outcome for case in report.cases} <= {"failed", "error"}


# --- Limits --------------------------------------------------------------------------------------


@needs_sandbox
@pytest.mark.parametrize(
    "body",
    [
        "while True: pass",
        "import time; time.sleep(60)",
        "import signal; signal.pthread_sigmask(1, range(1, 64)); signal.pause()",
        "import re; re.match('(a+)+$', 'a' * 60 + 'b')",
        "[threading.Thread(target=time.sleep, args=(60,)).start() for _ in range(4)]; "
        "threading._shutdown()",
    ],
)
def test_code_that_does_not_end_is_ended_in_time(body: str) -> None:
    limits = Limits(cpu_s=1, wall_s=0.3, total_s=1, memory_mib=256)
    started = time.monotonic()
    code = f"import threading, time\ndef attempt():\n    {body}"
    assert run(code, limits=limits).outcome == "timeout"
    assert time.monotonic() - started < 3


@needs_sandbox
def test_cpu_time_is_limited_apart_from_the_wall_clock() -> None:
    limits = Limits(cpu_s=1, wall_s=20, total_s=20, memory_mib=256)
    started = time.monotonic()
    assert run("def attempt():\n    while True: pass", limits=limits).outcome == "timeout"
    assert time.monotonic() - started < 10


@needs_sandbox
def test_cases_without_time_left_are_timeouts_and_earlier_ones_count() -> None:
    limits = Limits(cpu_s=1, wall_s=0.3, total_s=0.5, memory_mib=256)
    code = "import time\ndef attempt(s):\n    time.sleep(s)\n    return s"
    cases = [Call("attempt", (s,), s) for s in (0, 9, 9, 0)]
    outcomes = [case.outcome for case in run_tests(code, cases, limits, tolerance=0).cases]
    assert outcomes == ["passed", "timeout", "timeout", "timeout"]


@needs_sandbox
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_endless_output_is_bounded(stream: str) -> None:
    limits = Limits(cpu_s=1, wall_s=0.4, total_s=2, memory_mib=256, output_bytes=10_000)
    code = f"import sys\ndef attempt():\n    while True: sys.{stream}.write('x' * 1000)"
    result = run(code, limits=limits)
    assert result.outcome == ("error" if stream == "stdout" else "timeout")
    assert len(result.detail) < 5000
    assert run("def attempt():\n    return 'x' * 10**6", limits=limits).outcome == "error"


@needs_sandbox
def test_memory_is_limited() -> None:
    took = "def attempt(mib):\n    return len(bytearray(mib << 20)) >> 20"
    assert run(took, 100, expected=100).outcome == "passed"
    result = run(took, 300, expected=300)
    assert result.outcome == "error" and "MemoryError" in result.detail
    grows = "def attempt():\n    kept = []\n    while True: kept.append('x' * 10**6)"
    assert run(grows).outcome == "error"


@needs_sandbox
def test_threads_work_up_to_their_limit() -> None:
    code = (
        "import threading, time\nthreading.stack_size(1 << 16)\ndef attempt(n):\n    done = []\n"
        "    threads = [threading.Thread(target=lambda: (time.sleep(.1), done.append(1)))"
        " for _ in range(n)]\n    for t in threads: t.start()\n    for t in threads: t.join()\n"
        "    return len(done)"
    )
    assert run(code, 8, expected=8).outcome == "passed"
    assert "can't start new thread" in run(code, 200, expected=200).detail


@needs_sandbox
def test_files_cannot_be_opened_without_end() -> None:
    code = "def attempt():\n    return len([open('/dev/null') for _ in range(5000)])"
    result = run(code)
    assert result.outcome == "error" and "Too many open files" in result.detail


@needs_sandbox
def test_deep_recursion_is_an_error_of_the_code() -> None:
    code = "import sys\nsys.setrecursionlimit(10**9)\ndef attempt():\n    return attempt()"
    quick = Limits(cpu_s=0.3, wall_s=0.3, total_s=1, memory_mib=256)
    assert run(code, limits=quick).outcome in ("error", "timeout")
    assert "RecursionError" in run("def attempt():\n    return attempt()").detail
    crash = "attempt = lambda: None\nfor _ in range(10**6): attempt = [attempt]\nrepr(attempt)"
    assert run(crash).outcome == "error"


# --- Wrong arguments -----------------------------------------------------------------------------


def test_no_tests_and_values_that_are_no_json_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one case"):
        run_tests("", [], LIMITS, tolerance=0)
    for value in (float("nan"), {1}, object()):
        with pytest.raises(ValueError, match="finite JSON"):
            run_tests("", [Call("f", (), value)], LIMITS, tolerance=0)


@pytest.mark.parametrize(
    "wrong", [{"cpu_s": 0}, {"wall_s": -1}, {"memory_mib": 1}, {"memory_mib": 99.5}, {"threads": 0}]
)
def test_limits_that_limit_nothing_are_refused(wrong: dict[str, Any]) -> None:
    fields = {"cpu_s": 1, "wall_s": 1, "total_s": 1, "memory_mib": 256}
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Limits(**(fields | wrong))
