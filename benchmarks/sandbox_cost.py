"""What grading code costs: answers a second on one core, and where the time goes.

    python benchmarks/sandbox_cost.py [--answers 100] [--out benchmarks/results/sandbox_cost.json]

Right answers of the task "code" with its 8 tests each, one after the other, from one process that
is bound to one core together with everything it starts. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tailor_rl.graders.sandbox import Call, Limits, run_tests
from tailor_rl.runs.environment import describe_environment
from tailor_rl.tasks.code.task import PythonCode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=100)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    document = {
        "command": f"python benchmarks/sandbox_cost.py --answers {args.answers}",
        "environment": describe_environment(),
        **measure(args.answers),
    }
    text = json.dumps(document, indent=1)
    print(text)
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text + "\n")


def measure(answers: int) -> dict[str, Any]:
    """Milliseconds are medians; `interpreter_ms` is what a bare Python needs to start and end."""
    task = PythonCode()
    problems = [task.problem("train", i) for i in range(answers)]
    texts = [task.answer_text(problem) for problem in problems]
    pairs = iter(zip(problems, texts, strict=True))
    started, cpu_started = time.perf_counter(), _cpu_s()
    grades = [task.grade(problem, text) for problem, text in pairs]
    seconds, cpu_s = time.perf_counter() - started, _cpu_s() - cpu_started
    assert grades == [1.0] * answers, "a right answer was graded wrong"
    one = _milliseconds(lambda: _run(1), answers)
    many = _milliseconds(lambda: _run(21), answers)
    bare = [sys.executable, "-I", "-S", "-c", "pass"]
    return {
        "answers": answers,
        "tests_per_answer": len(problems[0].metadata["tests"]),
        "answers_per_s": round(answers / seconds, 2),
        "answers_per_cpu_s": round(answers / cpu_s, 2),
        "one_test_ms": round(one, 2),
        "each_further_test_ms": round((many - one) / 20, 2),
        "interpreter_ms": round(_milliseconds(lambda: subprocess.run(bare), answers), 2),
    }


def _cpu_s() -> float:
    """Of this process and all that it waited for: what other work on the machine changes least."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _run(num_tests: int) -> None:
    limits = Limits(cpu_s=5, wall_s=10, total_s=60, memory_mib=256)
    cases = [Call("f", (i,), i + 1) for i in range(num_tests)]
    assert run_tests("def f(x):\n    return x + 1", cases, limits, tolerance=0).passed


def _milliseconds(act: Callable[[], object], times: int) -> float:
    def once() -> float:
        started = time.perf_counter()
        act()
        return 1000 * (time.perf_counter() - started)

    return statistics.median(once() for _ in range(times))


if __name__ == "__main__":
    main()
