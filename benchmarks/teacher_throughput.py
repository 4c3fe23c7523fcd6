"""Answers a second that one teacher service buys from an endpoint with a fixed latency.

    python -m benchmarks.teacher_throughput --out benchmarks/results/teacher-throughput.json

64 requests in flight at 200 ms cannot give more than 64 / 0.2 = 320 answers a second. Three times:
bare sockets (what the server gives), the service in this process, and the service in a Ray actor of
its own, asked through the handle that a run uses, for 512 answers at once: as many as a recipe has
problems by default. The server has a process of its own; every answer is written to a purchase
book. On a machine that does other work too, `chrt -r 1` in front keeps that out of the figures; the
bare sockets tell how far.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from actors.teacher_service import Endpoint, TeacherService
from benchmarks.loopback_teacher import ANSWER
from tailor_rl.protocols import TeacherReply, TeacherRequest
from tailor_rl.runs.environment import describe_environment

AT_ONCE = 512
Complete = Callable[[TeacherRequest], Awaitable[TeacherReply]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--latency-s", type=float, default=0.2)
    parser.add_argument("--requests", type=int, default=6400)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    document = {
        "command": " ".join(_command(args)),
        "environment": describe_environment(),
        **measure(args.in_flight, latency_s=args.latency_s, num=args.requests),
    }
    text = json.dumps(document, indent=1)
    print(text)
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text + "\n")


def _command(args: argparse.Namespace) -> list[str]:
    priority = os.sched_getparam(0).sched_priority
    return [
        *(["chrt", "-r", str(priority)] if priority else []),
        "python -m benchmarks.teacher_throughput",
        f"--in-flight {args.in_flight}",
        f"--latency-s {args.latency_s:g}",
        f"--requests {args.requests}",
    ]


def measure(in_flight: int, *, latency_s: float, num: int) -> dict[str, Any]:
    """Rates and their shares of the ideal one."""
    ideal = in_flight / latency_s
    load_before = os.getloadavg()
    rows: dict[str, Any] = {}
    with running_server(latency_s) as port, tempfile.TemporaryDirectory() as folder:
        settings = service_settings(port, in_flight=in_flight, book=Path(folder) / "plain.sqlite")
        rows["bare sockets"] = asyncio.run(bare_sockets(port, in_flight=in_flight, num=num))
        rows["service in this process"] = asyncio.run(plain_service(settings, num=num))
        settings["book"] = Path(folder) / "actor.sqlite"
        rows["service in a Ray actor"] = service_in_actor(settings, num=num)
    for row in rows.values():
        row["answers_per_s"] = round(num / row["seconds"], 1)
        row["share_of_ideal"] = round(num / row["seconds"] / ideal, 4)
        row["seconds"] = round(row["seconds"], 3)
    return {
        "requests_in_flight": in_flight,
        "latency_s": latency_s,
        "requests": num,
        "ideal_answers_per_s": ideal,
        "load_average_before": [round(load, 2) for load in load_before],
        "measured": rows,
    }


@contextlib.contextmanager
def running_server(latency_s: float) -> Iterator[int]:
    command = [sys.executable, "-m", "benchmarks.loopback_teacher", "--latency-s", str(latency_s)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        yield int(server.stdout.readline())
        server.terminate()


def service_settings(port: int, *, in_flight: int, book: Path) -> dict[str, Any]:
    url = f"http://127.0.0.1:{port}/v1"
    return {
        "endpoints": [Endpoint("teacher", url, "m", "NO_SUCH_KEY")],
        "requests_in_flight": in_flight,
        "timeout_s": 60.0,
        "deadline_s": 600.0,
        "budget_tokens": 10**12,  # a budget is asked about before every purchase
        "budget_money": None,
        "book": book,
    }


def requests(num: int) -> list[TeacherRequest]:
    """As long as a real one: about 500 tokens."""
    return [TeacherRequest("demonstrate", "s" * 200, "p" * 1800, 0.4, 512, i) for i in range(num)]


async def ask_all(complete: Complete, num: int) -> float:
    """Seconds from the first request to the last answer."""
    waiting = iter(requests(num))

    async def one_after_another() -> None:
        for request in waiting:
            reply = await complete(request)
            assert reply.paid and reply.text

    began = time.perf_counter()
    await asyncio.gather(*(one_after_another() for _ in range(AT_ONCE)))
    return time.perf_counter() - began


async def plain_service(settings: dict[str, Any], *, num: int) -> dict[str, Any]:
    service = TeacherService(**settings)
    cpu_began = time.process_time()
    seconds = await ask_all(service.complete, num)
    cpu_s = time.process_time() - cpu_began
    await service.aclose()
    return {"seconds": seconds, "cpu_ms_per_answer": round(1000 * cpu_s / num, 3)}


def service_in_actor(settings: dict[str, Any], *, num: int) -> dict[str, Any]:
    import ray

    from cluster.handles import Actor, Seat, TeacherHandle
    from cluster.placement import Share
    from tailor_rl.errors import TeacherError

    async def work() -> float:
        seat = Seat(Share(cpus=1, gpus=0), threads=1)
        actor = Actor.start("teacher service", seat, failure=TeacherError, concurrent=True)
        await actor.build("actors.teacher_service:TeacherService", settings)
        seconds = await ask_all(TeacherHandle("m", [actor]).complete, num)
        await actor.call("aclose")
        actor.kill()
        return seconds

    ray.init(address="local", num_cpus=1, include_dashboard=False, object_store_memory=256 << 20)
    try:
        return {"seconds": asyncio.run(work())}
    finally:
        ray.shutdown()


async def bare_sockets(port: int, *, in_flight: int, num: int) -> dict[str, Any]:
    body = b"{}"
    head = b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body)

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(num // in_flight):
            writer.write(head + body)
            await reader.readexactly(len(ANSWER))
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(in_flight)))
    return {"seconds": time.perf_counter() - began}


if __name__ == "__main__":
    main()
