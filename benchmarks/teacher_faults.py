"""Every fault of a teacher's endpoint against a real service: what happened, what was lost.

    python -m benchmarks.teacher_faults --out benchmarks/results/teacher-faults.json

Each row is a service of its own with the waits that a run has, 16 requests in flight, and a server
on loopback that misbehaves on a script. `lost` counts answers that the service received and that
are not in the purchase book afterwards. `paid twice` counts completions that a provider would have
put on the bill again, if it charges for answers that it never got out and does not heed the
Idempotency-Key. A canary key is in the environment; every sentence, log line and file is searched
for it. The last row kills a buyer with SIGKILL again and again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import random
import signal
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from actors.teacher_service import TeacherService
from benchmarks.teacher_fault_list import FAULTS, IN_FLIGHT, KEY, Fault
from tailor_rl.errors import TailorError
from tailor_rl.protocols import TeacherReply
from tailor_rl.runs.environment import describe_environment
from tailor_rl.teachers.patience import Patience
from tailor_rl.teachers.purchases import PurchaseBook
from tests.teacher_server import TeacherServer
from tests.teacher_service_fakes import BUYER, KEY_ENV, REQUEST, endpoint, service

USUAL: dict[str, Any] = {
    "requests_in_flight": IN_FLIGHT,
    "timeout_s": 60.0,
    "deadline_s": 600.0,
    "patience": Patience(),
}


@dataclass(frozen=True)
class Row:
    fault: str
    outcome: str
    sentence: str  # the first that a user would see; empty where every request was answered
    requests: int
    tries: int  # HTTP requests that reached the server
    seconds: float
    lost: int
    paid_twice: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="faults whose name contains this")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    os.environ[KEY_ENV] = KEY
    rows, leaks = asyncio.run(measure(args.only, kills=args.kills))
    document = {
        "command": f"python -m benchmarks.teacher_faults --kills {args.kills}",
        "environment": describe_environment(),
        "key_found_in": leaks,
        "rows": [asdict(row) for row in rows],
    }
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(document, indent=1) + "\n")
    print(table(rows))
    print(f"\nplaces where the key was found: {leaks or 'none'}")


async def measure(only: str, *, kills: int) -> tuple[list[Row], list[str]]:
    """Rows, and the faults after which the key could be read somewhere."""
    rows: list[Row] = []
    leaks: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        logging.basicConfig(filename=log, level=logging.DEBUG, force=True)
        for number, fault in enumerate(each for each in FAULTS if only in each.name):
            place = Path(folder) / str(number)
            place.mkdir()
            print(f"{fault.name} ...", file=sys.stderr, flush=True)
            rows.append(await one_fault(fault, place / "book"))
            shown = b"".join(path.read_bytes() for path in [log, *place.iterdir()])
            if KEY.encode() in shown + str(rows[-1]).encode():
                leaks.append(fault.name)
        if kills and only in "killed":
            rows.append(await killed(Path(folder) / "kills", num=1000, kills=kills))
    return rows, leaks


async def one_fault(fault: Fault, book: Path) -> Row:
    with deaf_port() if fault.deaf else contextlib.nullcontext() as port:
        return await _one_fault(fault, book, url=f"http://127.0.0.1:{port}/v1" if port else "")


async def _one_fault(fault: Fault, book: Path, *, url: str) -> Row:
    rng = random.Random(0)
    script, by_request = fault.prepare(rng)
    server = TeacherServer(*script, fault=by_request, **fault.server)
    async with server:
        if fault.away is not None:
            server.leave()
        teacher = service(
            book,
            endpoint(url or fault.url or server.base_url),
            **{**USUAL, **fault.settings},
        )
        loop = asyncio.get_running_loop()
        began = loop.time()
        asked = asyncio.create_task(ask(teacher, fault.num))
        if fault.away:
            await asyncio.sleep(fault.away)
            await server.come_back()
        outcomes = await asked
        seconds = loop.time() - began
        await teacher.aclose()
    return row_of(fault, outcomes, server, book=book, seconds=seconds)


async def ask(teacher: TeacherService, num: int) -> list[Any]:
    asked = [teacher.complete(replace(REQUEST, sample=i)) for i in range(num)]
    return await asyncio.gather(*asked, return_exceptions=True)


def row_of(
    fault: Fault, outcomes: Sequence[Any], server: TeacherServer, *, book: Path, seconds: float
) -> Row:
    unexpected = [o for o in outcomes if not isinstance(o, TeacherReply | TailorError)]
    assert not unexpected, f"{fault.name}: {unexpected[0]!r}"
    errors = [outcome for outcome in outcomes if isinstance(outcome, TailorError)]
    replies = [outcome for outcome in outcomes if isinstance(outcome, TeacherReply)]
    kept = PurchaseBook(book)
    spent = kept.spent().get("discover")
    unusable = spent.unusable if spent else 0
    in_book = spent.requests if spent else 0
    kept.close()
    words = f"{len(replies)} of {len(outcomes)} answered"
    if unusable:
        words += f", {unusable} recorded as without text"
    if len(errors) > unusable:
        words += f", {len(errors) - unusable} ended"
    return Row(
        fault=fault.name,
        outcome=words,
        sentence=str(errors[0]) if errors else "",
        requests=len(outcomes),
        tries=len(server.requests),
        seconds=round(seconds, 2),
        lost=len(replies) + unusable - in_book,
        paid_twice=sum(Counter(server.charged).values()) - len(set(server.charged)),
    )


async def killed(book: Path, *, num: int, kills: int) -> Row:
    """Kill a buyer of `num` answers at seeded random moments, then let it end."""
    rng = random.Random(0)
    in_flight, lost, kept = 64, 0, 0

    async def start() -> asyncio.subprocess.Process:
        command = [sys.executable, "-c", BUYER, server.base_url, str(book), str(num)]
        return await asyncio.create_subprocess_exec(*command, str(in_flight))

    async with TeacherServer(delay_s=0.05) as server:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for kill_at in sorted(rng.sample(range(10, num - 10), kills)):
            buyer = await start()
            while len(server.charged) < kill_at:
                await asyncio.sleep(0)
            await asyncio.sleep(rng.random() * 0.1)
            buyer.send_signal(signal.SIGKILL)
            await buyer.wait()
            answers = _received(book)
            lost += max(0, kept - answers)
            kept = answers
        buyer = await start()
        assert await buyer.wait() == 0
        seconds = loop.time() - began
        paid = len(server.charged)
    twice = paid - len(set(server.charged))
    assert (_received(book), len(set(server.charged))) == (num, num)
    assert twice <= kills * in_flight, f"{twice} paid twice"
    return Row(
        fault=f"the buyer is killed (SIGKILL) {kills} times, {in_flight} in flight",
        outcome=f"{num} of {num} answered; at most {kills} x {in_flight} could be paid twice",
        sentence="",
        requests=num,
        tries=len(server.requests),
        seconds=round(seconds, 2),
        lost=lost,
        paid_twice=twice,
    )


def _received(book: Path) -> int:
    opened = PurchaseBook(book)
    spent = opened.spent().get("discover")
    opened.close()
    return spent.requests if spent else 0


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    head = ["fault", "what happened", "tries", "seconds", "lost", "paid twice"]
    lines = [head, ["---", "---", "--:", "--:", "--:", "--:"]]
    for row in rows:
        seen = f"{row.outcome}: *{_plain(row.sentence)}*" if row.sentence else row.outcome
        numbers = [row.tries, row.seconds, row.lost, row.paid_twice]
        lines.append([row.fault, seen, *map(str, numbers)])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _plain(sentence: str) -> str:
    for letter in "|*<":
        sentence = sentence.replace(letter, f"\\{letter}")
    return sentence


@contextlib.contextmanager
def deaf_port() -> Iterator[int]:
    """A port whose queue of connections is full and stays so: the handshake never ends."""
    with socket.socket() as listening, contextlib.ExitStack() as queue:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(3):
            waiting = queue.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield int(listening.getsockname()[1])


if __name__ == "__main__":
    main()
