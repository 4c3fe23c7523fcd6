"""Code that tries to see, write or call what is outside: each test says what it tries, and the
attempt itself reports (by its return value) whether it worked.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tailor_rl.errors import ConfigError
from tailor_rl.graders import sandbox, sandbox_filter
from tailor_rl.graders.sandbox import Call, SandboxError, SandboxUnavailable, run_tests
from tests import sandbox_cases
from tests.sandbox_cases import LIMITS, ROOT, boot_after, needs_sandbox, run

walls = sandbox_cases.walls  # a fixture is found by its name in the module


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


# --- The machine and the walls themselves --------------------------------------------------------


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
    monkeypatch.setattr(sandbox, "BOOT", boot_after(fault))
    with pytest.raises(SandboxError):
        run("def attempt():\n    return 'escaped'")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_jump_of_the_filter_skips_one_instruction_at_most(machine: str) -> None:
    code = sandbox_filter.program(machine)
    assert len(code) % 8 == 0 and len(code) // 8 < 4096
    assert all(code[i + 2] <= 1 and code[i + 3] <= 1 for i in range(0, len(code), 8))
    with pytest.raises(OSError, match="riscv64"):
        sandbox_filter.program("riscv64")
