r"""The inside of the sandbox: a program of the standard library, started by sandbox.py.

    reaper        outside the new process namespace; ends the coordinator on SIGTERM, waits for it
    `-- coordinator   process 1 of the sandbox; knows code and inputs, never an expected output
        `-- worker        one for each case, process 1 of a namespace of its own: runs the code

In (stdin): one JSON object {"code", "cases": [{"call", "args"} or {"stdin"}], "limits"}.
Out (stdout): lines of JSON. {"problem": why} where the walls do not stand; otherwise {"ready": 1},
one {"end", "status", "cpu_s", "result", "stdout", "stderr"} for each case, {"done": 1}. "end" is
"exit", "signal", "timeout" or "flood". {"broken": why} is a failure of the coordinator.

The code under test can write what it likes to "result" and "stdout": that is its answer. It cannot
reach the coordinator's pipe, which is closed in the worker and has no name there.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import random
import select
import signal
import sys
import time
from types import ModuleType
from typing import Any, NoReturn

from tailor_rl.graders import sandbox_filter, sandbox_walls

# What most answers import: read once here instead of once for each case.
_PRELOADED = (
    "bisect", "collections", "copy", "functools", "heapq", "itertools", "operator", "re", "string",
    "typing",
)  # fmt: skip
_PIPES = ("stdout", "stderr", "result")  # descriptors 1, 2 and 3 of a worker
_RESULT_FD = 3
_STANDING = b"R"  # the first byte of every result: a worker without it never came to the code
_KEPT_STDERR_BYTES = 2000
_CHUNK = 1 << 16
_START_S = 10.0  # for a worker to come to the code


def main() -> None:
    control = os.dup(1)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})
    sandbox_walls.die_with_parent()
    sys.path.pop(0)  # where this file was found: nothing of it is shown inside
    sys.dont_write_bytecode = True
    os.environ.clear()
    with open(0, "rb", closefd=False) as stdin:
        job = json.loads(stdin.read())
    for name in _PRELOADED:
        importlib.import_module(name)
    try:
        sandbox_walls.leave_the_machine()
        coordinator = os.fork()
    except OSError as error:
        _say(control, {"problem": str(error)})
        return
    if coordinator:
        _reap(coordinator)
    _coordinate(job, control)


def _reap(coordinator: int) -> NoReturn:
    """Wait until the coordinator ends, by itself or because SIGTERM asks for it. The kernel reports
    its end after that of every process in its namespace.
    """
    while signal.sigwait({signal.SIGTERM, signal.SIGCHLD}) == signal.SIGCHLD:
        if os.waitpid(coordinator, os.WNOHANG)[0]:  # else it was the helper that ended before
            os._exit(0)
    os.kill(coordinator, signal.SIGKILL)
    os.waitpid(coordinator, 0)
    os._exit(0)


def _coordinate(job: dict[str, Any], control: int) -> None:
    """A worker leaves by SystemExit through this frame and `main`: nothing here may catch it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # process 1 ignores what it has no handler for
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGCHLD})
    try:
        sandbox_walls.build_root()
        sandbox_walls.die_with_parent()
        namespaces = sandbox_walls.ProcessNamespaces()
    except OSError as error:
        _say(control, {"problem": str(error)})
        return
    _say(control, {"ready": 1})
    limits = job["limits"]
    end_s = time.monotonic() + limits["total_s"]
    for case in job["cases"]:
        left_s = min(limits["wall_s"], end_s - time.monotonic())
        if left_s <= 0:
            words = b"no time was left for this case"
            _say(control, _ended("timeout", stderr=words, result=_STANDING))
            continue
        try:
            pipes = [os.pipe() for _ in _PIPES]
            worker = namespaces.fork()
        except OSError as error:
            _say(control, {"broken": str(error)})
            return
        if worker == 0:
            _work(job, case, [write for _, write in pipes])
            return
        ended = _watch(worker, pipes, limits, left_s)
        if not ended["result"].startswith(_STANDING.decode()):
            last = ended["stderr"].strip().rpartition("\n")[2]
            _say(control, {"broken": last or "a worker did not come to the code"})
            return
        _say(control, ended)
    _say(control, {"done": 1})


def _watch(
    worker: int, pipes: list[tuple[int, int]], limits: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """What a worker wrote, and how it ended or why it was ended."""
    read = {}
    for name, (read_fd, write_fd) in zip(_PIPES, pipes, strict=True):
        os.close(write_fd)
        os.set_blocking(read_fd, False)
        read[read_fd] = (name, bytearray())
    end = _follow(worker, read, limits["output_bytes"], seconds)
    if end != "over":
        os.kill(worker, signal.SIGKILL)
    _, status, usage = os.wait4(worker, 0)
    for fd, (name, data) in read.items():
        while _drain(fd, name, data, limits["output_bytes"]) > 0:
            pass
        os.close(fd)
    cpu_s = usage.ru_utime + usage.ru_stime
    if end == "over":
        end = "signal" if os.WIFSIGNALED(status) else "exit"
        slack = 0.9 if end == "signal" else 1.0  # the kernel does not count to the millisecond
        end = "timeout" if cpu_s > slack * limits["cpu_s"] else end
    code = os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    return _ended(end, code=code, cpu_s=cpu_s, **{n: bytes(data) for n, data in read.values()})


def _follow(worker: int, read: dict[int, tuple[str, bytearray]], limit: int, seconds: float) -> str:
    """Read until the worker is "over", or its time ("timeout") or its output ("flood"). The code's
    time begins when the walls stand: a slow machine's start is not its fault.
    """
    alive = os.pidfd_open(worker)
    poll = select.poll()
    for fd in (*read, alive):
        poll.register(fd, select.POLLIN)
    result = next(data for name, data in read.values() if name == "result")
    end, started, deadline_s = "", False, time.monotonic() + _START_S
    while not end:
        if result and not started:
            started, deadline_s = True, time.monotonic() + seconds
        left_s = deadline_s - time.monotonic()
        ready = {fd for fd, _ in poll.poll(math.ceil(max(left_s, 0) * 1000))}
        for fd in ready & read.keys():
            if not _drain(fd, *read[fd], limit):
                poll.unregister(fd)
        if any(len(data) > limit for _, data in read.values()):
            end = "flood"
        elif alive in ready:
            end = "over"
        elif left_s <= 0:
            end = "timeout"
    os.close(alive)
    return end


def _drain(fd: int, name: str, data: bytearray, limit: int) -> int:
    """Take one piece off a pipe; 0 at its end. Of stderr the last words are kept, of the rest no
    more than `limit` and one piece.
    """
    try:
        piece = os.read(fd, _CHUNK)
    except BlockingIOError:
        return -1
    if len(data) <= limit:
        data += piece
    if name == "stderr":
        del data[:-_KEPT_STDERR_BYTES]
    return len(piece)


def _ended(
    end: str,
    *,
    code: int = 0,
    cpu_s: float = 0.0,
    stdout: bytes = b"",
    stderr: bytes = b"",
    result: bytes = b"",
) -> dict[str, Any]:
    texts = {"stdout": stdout, "stderr": stderr, "result": result}
    words = {name: data.decode("utf-8", "replace") for name, data in texts.items()}
    return {"end": end, "status": code, "cpu_s": cpu_s, **words}


def _say(control: int, message: dict[str, Any]) -> None:
    left = memoryview(json.dumps(message).encode() + b"\n")
    while left:
        left = left[os.write(control, left) :]


def _work(job: dict[str, Any], case: dict[str, Any], writes: list[int]) -> None:
    """Run the code on one case. Nothing that happens in this process after `_STANDING` was written
    is to be trusted.
    """
    stdin = os.memfd_create("stdin")
    os.write(stdin, case.get("stdin", "").encode("utf-8", "surrogatepass"))
    os.lseek(stdin, 0, os.SEEK_SET)
    for target, fd in enumerate((stdin, *writes)):
        os.dup2(fd, target)
    os.closerange(_RESULT_FD + 1, 1 << 20)
    sandbox_walls.give_up_power(job["limits"]["rlimits"])
    sandbox_filter.install()
    random.seed(0)
    os.write(_RESULT_FD, _STANDING)
    name = "answer" if "call" in case else "__main__"
    module = ModuleType(name)
    sys.modules[name], sys.argv = module, ["answer.py"]
    if "call" in case:
        _call(job["code"], module, case)
    try:
        exec(compile(job["code"], "answer.py", "exec"), module.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        sys.stderr.write(_words(error))
        raise SystemExit(1) from None
    raise SystemExit(0)  # joins threads and flushes, as the end of a program does


def _call(code: str, module: ModuleType, case: dict[str, Any]) -> NoReturn:
    """Write "V" and the value as JSON, or "E" and the error's words, to the result pipe."""
    try:
        exec(compile(code, "answer.py", "exec"), module.__dict__)
        value = module.__dict__[case["call"]](*case["args"])
        text = "V" + json.dumps(value)
    except BaseException as error:
        text = "E" + _words(error)
    left = text.encode("utf-8", "replace")
    while left:
        left = left[os.write(_RESULT_FD, left) :]
    os._exit(0)


def _words(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:300]
    except BaseException:
        return "an error that cannot be shown"
