"""Code that tries to get out, to cheat or to stay: each test says what it tries, and the attempt
itself reports (by its return value) whether it worked.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailor_rl.errors import ConfigError
from tailor_rl.graders import sandbox, sandbox_filter
from tailor_rl.graders.sandbox import (
    Call,
    CaseResult,
    Limits,
    Program,
    Report,
    SandboxError,
    SandboxUnavailable,
    run_tests,
    sandbox_problem,
)
from tailor_rl.graders.sandbox_outputs import same_text, same_value

ROOT = Path(__file__).resolve().parents[2]
LIMITS = Limits(cpu_s=3, wall_s=8, total_s=20, memory_mib=256)
ESCAPED = "escaped"

needs_sandbox = pytest.mark.skipif(
    sandbox_problem() is not None, reason=f"no sandbox here: {sandbox_problem()}"
)

# Whether an attempt fails must not hang on the filter alone: the same without it.
NO_FILTER = "from tailor_rl.graders import sandbox_filter; sandbox_filter.install = lambda: None; "


@pytest.fixture(params=["filter", "no filter"])
def walls(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "no filter":
        monkeypatch.setattr(sandbox, "BOOT", _boot(NO_FILTER))
    return str(request.param)


def _boot(before: str) -> str:
    return sandbox.BOOT.replace("from tailor_rl", before + "from tailor_rl", 1)


def run(code: str, *args: Any, expected: Any = ESCAPED, limits: Limits = LIMITS) -> CaseResult:
    """What becomes of `attempt(*args)`."""
    return run_tests(code, [Call("attempt", args, expected)], limits, tolerance=0).cases[0]


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


# --- Seeing, writing, calling --------------------------------------------------------------------


@needs_sandbox
def test_files_of_the_machine_and_of_the_user_are_not_there(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s")
    paths = [
        "/etc/passwd", "/etc/hostname", str(Path.home() / ".bashrc"), str(secret), __file__,
        sandbox.__file__, pytest.__file__, "/proc/self/environ", "/proc/1/environ",
        f"/proc/{os.getpid()}/environ", f"/proc/{os.getppid()}/cmdline", "/sys/kernel", "/tmp",
        "/dev/shm", "/run", "/var", "/bin/sh", "/usr/bin/env",
    ]  # fmt: skip
    assert sum(Path(path).exists() for path in paths) > 12  # else nothing is shown
    code = "import os\ndef attempt(paths):\n    return [p for p in paths if os.path.exists(p)]"
    assert run(code, paths, expected=[]).outcome == "passed"


@needs_sandbox
def test_only_library_folders_of_the_home_are_visible() -> None:
    code = (
        "import os\ndef attempt(allowed):\n    found = []\n"
        "    for folder, inner, files in os.walk('/'):\n"
        "        inner[:] = [i for i in inner if os.path.join(folder, i) not in allowed]\n"
        "        found += [os.path.join(folder, f) for f in files]\n    return sorted(found)"
    )
    allowed = ["/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64"]
    allowed += ["/usr/local/lib", f"{sys.base_prefix}/lib", f"{sys.base_prefix}/lib64"]
    expected = ["/dev/null", "/dev/urandom"]
    assert run(code, allowed, expected=expected).outcome == "passed"


@needs_sandbox
def test_the_environment_of_the_caller_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks in os.environ, in the C library's environment, and in memory behind the arguments,
    where the kernel puts the environment of a program and leaves it.
    """
    monkeypatch.setenv("TEACHER_API_KEY", "sk-needle")
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    code = (
        "import ctypes, os\nlibc = ctypes.CDLL(None)\nlibc.getenv.restype = ctypes.c_char_p\n"
        "at = ctypes.c_void_p.in_dll(libc, 'program_invocation_name').value\n"
        "def attempt(name):\n    global at\n    seen, first = [], ctypes.string_at(at)\n"
        "    while seen[1:].count(first) == 0:\n"
        "        seen.append(ctypes.string_at(at))\n        at += len(seen[-1]) + 1\n"
        "    memory = [word.decode() for word in seen if b'=' in word]\n"
        "    return memory, libc.getenv(name.encode()), dict(os.environ)"
    )
    expected: Any = [["PYTHONHASHSEED=0"], None, {}]
    assert run(code, "TEACHER_API_KEY", expected=expected).outcome == "passed"


@needs_sandbox
def test_only_the_four_descriptors_of_a_case_are_open() -> None:
    """Standard input, output and error, and the pipe for the result: none of the coordinator's."""
    code = (
        "import os\ndef opened(fd):\n    try: os.fstat(fd)\n"
        "    except OSError: return False\n    return True\n"
        "def attempt():\n    return [fd for fd in range(70000) if opened(fd)]"
    )
    assert run(code, expected=[0, 1, 2, 3]).outcome == "passed"


@needs_sandbox
def test_expected_outputs_never_enter_the_sandbox() -> None:
    """Searches every object of the process, harness included, for the expected value; that the
    search can find something is shown with an argument.
    """
    code = (
        "import gc\ndef attempt(start, word):\n    found = set()\n"
        "    def look(o, depth):\n"
        "        if isinstance(o, str) and o.startswith(start): found.add(o)\n"
        "        elif depth and isinstance(o, dict):\n"
        "            for v in list(o.values()): look(v, depth - 1)\n"
        "        elif depth and isinstance(o, (list, tuple)):\n"
        "            for v in o: look(v, depth - 1)\n"
        "    for o in gc.get_objects(): look(o, 3)\n    return sorted(found)"
    )
    cases = [
        Call("attempt", ("nee", "needle in"), ["nee", "needle in"]),
        Call("attempt", ("nee", "needle in"), "needle out"),
    ]
    report = run_tests(code, cases, LIMITS, tolerance=0)
    assert [case.outcome for case in report.cases] == ["passed", "failed"]


@needs_sandbox
def test_nothing_can_be_written_anywhere() -> None:
    code = (
        "import itertools, os\ndef attempt():\n    done = []\n"
        "    for folder, _, _ in itertools.islice(os.walk('/'), 300):\n"
        "        for act in (lambda p: open(p, 'w').write('x'), os.mkdir, os.mkfifo,\n"
        "                    lambda p: os.symlink('/', p)):\n"
        "            try: act(folder + '/new'); done.append(folder)\n"
        "            except OSError: pass\n"
        "    for path in (os.__file__, '/dev', '/'):\n"
        "        for act in (os.remove, os.rmdir, lambda p: os.chmod(p, 0o777),\n"
        "                    lambda p: os.rename(p, p + 'x'), lambda p: os.utime(p)):\n"
        "            try: act(path); done.append(path)\n"
        "            except OSError: pass\n"
        "    return done"
    )
    assert run(code, expected=[]).outcome == "passed"


@needs_sandbox
def test_a_server_on_this_machine_cannot_be_reached(walls: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        code = (
            "import socket\ndef attempt(port):\n    for host in ('127.0.0.1', '0.0.0.0', '::1'):\n"
            "        try:\n            socket.create_connection((host, port), timeout=0.2)\n"
            "            return 'escaped'\n        except OSError: pass\n    return 'no way'"
        )
        port = server.getsockname()[1]
        assert run(code, port, expected="no way").outcome == "passed"
        with pytest.raises(BlockingIOError):
            server.accept()
        with socket.create_connection(("127.0.0.1", port)):  # it was there all the time
            server.settimeout(1)
            server.accept()[0].close()


@needs_sandbox
def test_no_family_of_sockets_can_be_opened() -> None:
    """AF_VSOCK is in no network namespace: on a virtual machine it reaches the host."""
    names = ("AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_VSOCK")
    code = (
        "import socket\ndef attempt(family):\n"
        "    try: socket.socket(family)\n"
        "    except PermissionError: return 'refused'\n    return 'escaped'"
    )
    cases = [Call("attempt", (int(getattr(socket, name)),), "refused") for name in names]
    assert run_tests(code, cases, LIMITS, tolerance=0).passed


@needs_sandbox
def test_calls_into_the_kernel_by_ctypes_are_refused() -> None:
    """Shared memory, keys, tracing, namespaces, mounts, programs, io_uring, by number."""
    machine = os.uname().machine
    column = {"x86_64": 0, "aarch64": 1}[machine]
    numbers = [n[column] for n in sandbox_filter._DENIED.values() if n[column] is not None]
    code = (
        "import ctypes\ndef attempt(numbers):\n    libc = ctypes.CDLL(None, use_errno=True)\n"
        "    def refused(n):\n        ctypes.set_errno(0)\n"
        "        return libc.syscall(n, 0, 0, 0, 0, 0) == -1 and ctypes.get_errno() == 1\n"
        "    return [n for n in numbers if not refused(n)]"
    )
    assert run(code, numbers, expected=[]).outcome == "passed"


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


# --- Eating and staying --------------------------------------------------------------------------


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
    monkeypatch.setattr(sandbox, "BOOT", _boot(NO_FILTER))
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


# --- The machine and the sandbox itself ----------------------------------------------------------


def _unprivileged_python() -> str | None:
    """A Python 3.11 or newer that the user nobody can start."""
    for name in ("python3.11", "python3.12", "python3.13"):
        for folder in ("/usr/bin", "/usr/local/bin"):
            found = shutil.which(name, path=folder)
            if found and os.stat(ROOT).st_mode & 0o5 == 0o5:
                return found
    return None


@needs_sandbox
@pytest.mark.skipif(os.geteuid() != 0, reason="the tests run as an ordinary user already")
@pytest.mark.skipif(_unprivileged_python() is None, reason="no Python that nobody can start")
def test_the_sandbox_stands_for_an_ordinary_user_too() -> None:
    program = (
        "import os\nfrom tailor_rl.graders.sandbox import *\nassert os.getuid() == 65534\n"
        "assert sandbox_problem() is None, sandbox_problem()\n"
        "limits = Limits(cpu_s=1, wall_s=2, total_s=4, memory_mib=256)\n"
        "code = 'import os, threading\\ndef f(p):\\n    t = threading.Thread(target=print)\\n'"
        "'    t.start(); t.join()\\n    return [os.path.exists(p), os.getuid(), os.getpid()]'\n"
        "print(run_tests(code, [Call('f', ('/etc/passwd',), [False, 65534, 1])], limits,"
        " tolerance=0).passed)"
    )
    result = subprocess.run(
        [str(_unprivileged_python()), "-B", "-c", program],
        env={"PYTHONPATH": str(ROOT)},
        cwd="/",
        user=65534,
        group=65534,
        extra_groups=[],
        capture_output=True,
        text=True,
    )
    assert result.stdout.strip() == "True", result.stderr


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare program")
@needs_sandbox
def test_a_machine_that_forbids_namespaces_is_named_and_nothing_is_run(tmp_path: Path) -> None:
    program = (
        "from tailor_rl.graders import sandbox as s\n"
        "limits = s.Limits(cpu_s=1, wall_s=2, total_s=4, memory_mib=256)\n"
        "try: s.run_tests('print(1)', [s.Program('', '1')], limits, tolerance=0)\n"
        "except s.SandboxUnavailable as e: print(e)\nprint(s.sandbox_problem())"
    )
    forbid = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" -c "$1"'
    result = subprocess.run(
        ["unshare", "-Ur", "sh", "-c", forbid, sys.executable, program],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if "max_user_namespaces" in result.stderr:
        pytest.skip("namespaces cannot be forbidden here")
    raised, problem = result.stdout.splitlines()
    assert raised == problem and "cannot be run safely on this machine" in problem
    assert "making namespaces" in problem and "user.max_user_namespaces" in problem


def test_an_unavailable_sandbox_is_a_mistake_of_configuration() -> None:
    assert issubclass(SandboxUnavailable, ConfigError)
    assert not issubclass(SandboxError, ConfigError)


@needs_sandbox
@pytest.mark.parametrize(
    "fault",
    [
        "from tailor_rl.graders import sandbox_filter as f; f.install = lambda: 1 / 0; ",
        "from tailor_rl.graders import sandbox_walls as w; w.give_up_power = lambda _: 1 / 0; ",
        "import os; from tailor_rl.graders import sandbox_child as c; c._watch = "
        "lambda *a: os._exit(0); ",
        "1 / 0; ",
    ],
)
def test_a_failure_of_the_sandbox_raises_and_is_no_wrong_answer(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "BOOT", _boot(fault))
    with pytest.raises(SandboxError):
        run("def attempt():\n    return 'escaped'")


@needs_sandbox
def test_a_sandbox_that_hangs_raises_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    hang = "import time; from tailor_rl.graders import sandbox_child as c; c._watch = "
    monkeypatch.setattr(sandbox, "BOOT", _boot(f"{hang}lambda *a: time.sleep(60); "))
    monkeypatch.setattr(sandbox, "_START_S", 0.5)
    marker = _marked(monkeypatch)
    with pytest.raises(SandboxError, match="did not end"):
        run("def attempt(): pass", limits=Limits(cpu_s=1, wall_s=0.1, total_s=0.1, memory_mib=256))
    assert _living(marker) == []


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


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_jump_of_the_filter_skips_one_instruction_at_most(machine: str) -> None:
    code = sandbox_filter.program(machine)
    assert len(code) % 8 == 0 and len(code) // 8 < 4096
    assert all(code[i + 2] <= 1 and code[i + 3] <= 1 for i in range(0, len(code), 8))
    with pytest.raises(OSError, match="riscv64"):
        sandbox_filter.program("riscv64")


# --- Outputs -------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_every_value_is_the_same_as_itself_after_json(value: Any) -> None:
    finite = json.dumps(value)
    if "Infinity" not in finite:
        assert same_value(json.loads(finite), value, 0)


@given(JSON, JSON)
def test_comparing_never_raises_and_knows_different_values(left: Any, right: Any) -> None:
    assert same_value(left, right, 0) <= (left == right)


@pytest.mark.parametrize(
    ("got", "expected", "same"),
    [
        (1, True, False), (True, 1, False), (3.0, 3, True), (3.0000001, 3, False),
        (3, 3.0, True), (3.0000001, 3.0, True), (2_000_001.0, 2e6, True), (2_000_003.0, 2e6, False),
        ([1, 2], (1, 2), True), ([1], [1, 1], False), ("1", 1, False), (None, 0, False),
        (10**400, 1.0, False), (float("nan"), 1.0, False), (float("inf"), 1.0, False),
        ({"a": 1.0}, {"a": 1.0000001}, True), ({"a": 1}, {"b": 1}, False),
    ],
)  # fmt: skip
def test_tolerance_is_for_expected_floats_only(got: Any, expected: Any, same: bool) -> None:
    assert same_value(got, expected, 1e-6) is same


@pytest.mark.parametrize(
    ("got", "expected", "same"),
    [
        ("1 2  \n3\n\n", "1 2\n3", True), ("1 2 3", "1 2\n3", False), ("1  2", "1 2", True),
        ("0.3333333", "0.333333333", True), ("0.34", "0.33", False), ("7.0", "7", False),
        ("nan", "1.5", False), ("x", "1.5", False), ("", "", True), ("e", "ee", False),
    ],
)  # fmt: skip
def test_printed_text_is_compared_line_by_line(got: str, expected: str, same: bool) -> None:
    assert same_text(got, expected, 1e-6) is same


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
