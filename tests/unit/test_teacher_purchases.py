"""Laws of the purchase book and the service: no answer is paid for twice, not even after a kill."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import stamina

from actors.teacher_service import TeacherService
from tailor_rl.errors import RunFolderError, TeacherError
from tailor_rl.protocols import TeacherReply, TeacherSpent
from tailor_rl.teachers.faults import UnusableAnswer
from tailor_rl.teachers.purchases import PurchaseBook, Total, purchase_key
from tests.teacher_server import TeacherServer, answer, chat
from tests.teacher_service_fakes import REQUEST, endpoint
from tests.teacher_service_fakes import service as new_service

ROOT = Path(__file__).parents[2]
REPLY = TeacherReply("text", "served", "stop", 7, 5, True, retries=2, seconds=1.5, cost=0.25)
Open = Callable[[str], TeacherService]


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Open]:
    opened: list[TeacherService] = []

    def open_service(base_url: str) -> TeacherService:
        opened.append(new_service(tmp_path / "teacher.sqlite", endpoint(base_url)))
        return opened[-1]

    with stamina.set_testing(True, attempts=2, cap=True):
        yield open_service
        for one in opened:
            await one.aclose()


def test_equal_questions_are_one_purchase_and_others_are_not() -> None:
    key = purchase_key("m", REQUEST)
    assert purchase_key("m", replace(REQUEST, purpose="demonstrate")) == key
    others = [
        purchase_key("other", REQUEST),
        *(
            purchase_key("m", replace(REQUEST, **changed))
            for changed in (
                {"system": "S"}, {"prompt": "P"}, {"temperature": 0.6},
                {"max_tokens": 8}, {"sample": 1}, {"system": "sp", "prompt": ""},
                {"schema": "{}"},
            )
        ),
    ]  # fmt: skip
    assert len({key, *others}) == 9


def test_only_a_received_answer_is_found_and_it_is_not_paid_again(tmp_path: Path) -> None:
    book = PurchaseBook(tmp_path / "book")
    assert book.find("k") is None
    book.sent("k", model="m", request=REQUEST)
    assert book.find("k") is None
    book.received("k", REPLY)
    assert PurchaseBook(tmp_path / "book").find("k") == replace(REPLY, paid=False)


def test_the_book_adds_up_what_was_spent(tmp_path: Path) -> None:
    book = PurchaseBook(tmp_path / "book")
    assert book.spent() == {}
    for key, request, reply in (
        ("a", REQUEST, REPLY),
        ("b", REQUEST, replace(REPLY, text=" ")),
        ("c", replace(REQUEST, purpose="demonstrate"), REPLY),
    ):
        book.sent(key, model="m", request=request)
        book.received(key, reply)
    book.sent("d", model="m", request=REQUEST)
    book.sent("d", model="m", request=REQUEST)
    assert book.spent() == {
        "demonstrate": TeacherSpent(
            1, 7, 5, unusable=0, sent_again=0, retries=2, seconds=1.5, cost=0.25
        ),
        "discover": TeacherSpent(
            2, 14, 10, unusable=1, sent_again=1, retries=4, seconds=3.0, cost=0.5
        ),
    }
    assert book.total() == Total(36, 0.75)


# What the first version of this program wrote, with one answer and one request on its way.
FIRST_BOOK = """
CREATE TABLE purchases (
    key TEXT PRIMARY KEY, purpose TEXT NOT NULL, request TEXT NOT NULL,
    times_sent INTEGER NOT NULL, state TEXT NOT NULL CHECK (state IN ('sent', 'received')),
    text TEXT, model TEXT, finish_reason TEXT,
    prompt_tokens INTEGER NOT NULL DEFAULT 0, completion_tokens INTEGER NOT NULL DEFAULT 0
);
INSERT INTO purchases VALUES
    ('k', 'discover', '{}', 1, 'received', 'text', 'served', 'stop', 7, 5),
    ('l', 'discover', '{}', 1, 'sent', NULL, NULL, NULL, 0, 0);
"""


def test_a_book_of_the_first_version_is_read_and_written_on(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "book")) as db:
        db.executescript(FIRST_BOOK)
    for _ in range(2):  # the first opening brings it up to date
        book = PurchaseBook(tmp_path / "book")
        old = replace(REPLY, paid=False, retries=0, seconds=0.0, cost=0.0)
        assert book.find("k") == old and book.find("l") is None
        assert book.total() == Total(12, 0.0)
        book.close()
    book = PurchaseBook(tmp_path / "book")
    book.received("l", REPLY)
    assert book.total() == Total(24, 0.25)
    assert book.spent()["discover"] == TeacherSpent(
        2, 14, 10, 0, 0, retries=2, seconds=1.5, cost=0.25
    )


def test_a_book_of_a_later_version_is_refused(tmp_path: Path) -> None:
    PurchaseBook(tmp_path / "book").close()
    with contextlib.closing(sqlite3.connect(tmp_path / "book")) as db:
        db.execute("PRAGMA user_version = 7")
    with pytest.raises(RunFolderError, match="later version"):
        PurchaseBook(tmp_path / "book")


OPENER = """
import sys
from pathlib import Path
from typing import Any
from tailor_rl.protocols import TeacherReply, TeacherRequest
from tailor_rl.teachers.purchases import PurchaseBook
book = PurchaseBook(Path(sys.argv[1]))
for i in range(20):
    book.sent(f"{sys.argv[2]} {i}", model="m", request=TeacherRequest("d", "s", "p", 0.5, 9))
    book.received(f"{sys.argv[2]} {i}", TeacherReply("t", "m", "stop", 7, 5, True))
"""


def test_several_processes_may_open_an_old_book_at_once(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "book")) as db:
        db.executescript(FIRST_BOOK)
    command = [sys.executable, "-c", OPENER, str(tmp_path / "book")]
    writers = [subprocess.Popen([*command, str(i)], cwd=ROOT) for i in range(4)]
    assert [writer.wait(30) for writer in writers] == [0] * 4
    assert PurchaseBook(tmp_path / "book").total().tokens == 12 * 81


def test_a_file_that_is_no_book_is_named(tmp_path: Path) -> None:
    (tmp_path / "book").write_text("not a database at all, but long enough to be read as one" * 20)
    with pytest.raises(RunFolderError, match="book"):
        PurchaseBook(tmp_path / "book")


async def test_the_second_time_costs_nothing(service: Open) -> None:
    async with TeacherServer() as server:
        first = await service(server.base_url).complete(REQUEST)
    # A later run: another process, and the endpoint at another address.
    again = await service("http://127.0.0.1:9/v1").complete(REQUEST)
    assert (first.paid, again) == (True, replace(first, paid=False))


async def test_equal_requests_on_their_way_are_one(service: Open) -> None:
    async with TeacherServer(delay_s=0.05) as server:
        teacher = service(server.base_url)
        replies = await asyncio.gather(*(teacher.complete(REQUEST) for _ in range(5)))
    assert len(server.requests) == 1
    assert sorted(reply.paid for reply in replies) == [False] * 4 + [True]


async def test_equal_requests_on_their_way_are_one_also_where_no_text_comes(service: Open) -> None:
    async with TeacherServer(answer(200, chat("")), delay_s=0.05) as server:
        teacher = service(server.base_url)
        asked = (teacher.complete(REQUEST) for _ in range(5))
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert len(server.requests) == 1
    answers = [outcome for outcome in outcomes if isinstance(outcome, UnusableAnswer)]
    assert sorted(answer.reply.paid for answer in answers) == [False] * 4 + [True]
    assert {answer.reply.completion_tokens for answer in answers} == {5}


async def test_who_gives_up_waiting_does_not_lose_what_was_paid(service: Open) -> None:
    async with TeacherServer(delay_s=0.2) as server:
        teacher = service(server.base_url)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(teacher.complete(REQUEST), 0.1)
        reply = await teacher.complete(REQUEST)
    assert (len(server.requests), reply.text, reply.paid) == (1, "answer to p", False)


async def test_closing_buys_nothing_that_was_not_sent_and_keeps_what_was(service: Open) -> None:
    async with TeacherServer(delay_s=0.2) as server:
        teacher = service(server.base_url)
        many = [replace(REQUEST, sample=i) for i in range(30)]
        waiting = [asyncio.create_task(teacher.complete(request)) for request in many]
        await asyncio.sleep(0.1)
        await teacher.aclose()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        again = service(server.base_url)
        assert again.spent()["discover"].requests == len(server.requests) == 8
        assert [isinstance(reply, TeacherReply) for reply in done] == [True] * 8 + [False] * 22
        assert not (await again.complete(many[0])).paid


async def test_an_unusable_answer_is_remembered_as_such(service: Open) -> None:
    async with TeacherServer(answer(200, chat("", finish_reason="length"))) as server:
        teacher = service(server.base_url)
        for _ in range(2):
            with pytest.raises(UnusableAnswer, match="length") as caught:
                await teacher.complete(REQUEST)
            assert caught.value.reply.completion_tokens == 5
    assert len(server.requests) == 1
    spent = replace(teacher.spent()["discover"], seconds=0.0)
    assert spent == TeacherSpent(1, 7, 5, unusable=1, sent_again=0)


async def test_a_failed_purchase_is_tried_again_and_counted(service: Open) -> None:
    async with TeacherServer(answer(400, b"too long")) as server:
        teacher = service(server.base_url)
        with pytest.raises(TeacherError, match="too long"):
            await teacher.complete(REQUEST)
        assert (await teacher.complete(REQUEST)).paid
    spent = replace(teacher.spent()["discover"], seconds=0.0)
    assert spent == TeacherSpent(1, 7, 5, unusable=0, sent_again=1)


def test_only_a_model_that_gave_a_text_has_answered(tmp_path: Path) -> None:
    book = PurchaseBook(tmp_path / "book")
    empty = replace(REQUEST, sample=1)
    for key, model, request in (("a", "m", REQUEST), ("b", "n", empty), ("c", "o", REQUEST)):
        book.sent(key, model=model, request=request)
    book.received("a", REPLY)
    book.received("b", replace(REPLY, text=" "))
    assert [book.has_answer_of(model) for model in ("m", "n", "o", "p")] == [True] + [False] * 3
    book.close()


def test_only_what_was_no_answer_can_be_reopened(tmp_path: Path) -> None:
    book = PurchaseBook(tmp_path / "book")
    free: dict[str, Any] = {"prompt_tokens": 0, "completion_tokens": 0}
    replies = {
        "text": REPLY,
        "uncounted text": replace(REPLY, **free),
        "empty": replace(REPLY, text=""),
        "none": replace(REPLY, text="", **free),
        "none, kept": replace(REPLY, text="", **free),
    }
    for key, reply in replies.items():
        book.sent(key, model="m", request=REQUEST)
        book.received(key, reply)
    book.reopen(["text", "uncounted text", "empty", "none", "no such key"])
    assert [key for key in replies if book.find(key) is None] == ["none"]
    book.close()


# Buys 12 answers one after another; dies like a killed process inside `DIES_AT` of answer number 7.
BUYER = """
import asyncio, os, sys
from pathlib import Path
from typing import Any
from actors.teacher_service import Endpoint, TeacherService
from tailor_rl.protocols import TeacherRequest
from tailor_rl.teachers.purchases import PurchaseBook

url, book, dies_at = sys.argv[1:]
calls = 0

def dying(method):
    def call(self, *args, **kwargs):
        global calls
        calls += 1
        if calls == 7 and dies_at.startswith("before"):
            os._exit(9)
        method(self, *args, **kwargs)
        if calls == 7:
            os._exit(9)
    return call

name = dies_at.split()[-1]
if dies_at != "never":
    setattr(PurchaseBook, name, dying(getattr(PurchaseBook, name)))

async def main():
    teacher = TeacherService([Endpoint("teacher", url, "m", "NO_SUCH_KEY")], requests_in_flight=4,
                             timeout_s=5.0, deadline_s=30.0, budget_tokens=None,
                             budget_money=None, book=Path(book))
    for sample in range(12):
        await teacher.complete(TeacherRequest("discover", "s", "p", 0.5, 9, sample))

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("dies_at", "most_bought"),
    [("before sent", 12), ("after sent", 12), ("before received", 13), ("after received", 12)],
)
async def test_a_killed_buyer_goes_on_without_buying_twice(
    tmp_path: Path, dies_at: str, most_bought: int
) -> None:
    """Only a kill between an answer and its commit, which nobody can see, costs it again."""
    book = tmp_path / "teacher.sqlite"
    async with TeacherServer() as server:
        for moment, code in ((dies_at, 9), ("never", 0)):
            buyer = await asyncio.create_subprocess_exec(
                sys.executable, "-c", BUYER, server.base_url, str(book), moment,
                cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
            assert await asyncio.wait_for(buyer.wait(), 60) == code
    assert len(server.requests) == most_bought
    spent = PurchaseBook(book).spent()["discover"]
    assert (spent.requests, spent.prompt_tokens) == (12, 84)
    assert spent.sent_again == (0 if dies_at in ("before sent", "after received") else 1)
