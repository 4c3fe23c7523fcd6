"""The teachers as a service: a client for each endpoint and one purchase book behind `complete`.

A plain class; the cluster wraps it in an actor. Several may share one book file on one host, each
asked for other purchases.

    complete --+-- in the book -------------------------> reply (not paid)
               +-- on its way -- wait with the first ---> reply (not paid)
               +-- else: sent -> its backend -> received -> reply (paid)
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tailor_rl.concurrency import together
from tailor_rl.errors import TeacherError
from tailor_rl.protocols import TeacherReply, TeacherRequest, TeacherSpent
from tailor_rl.teachers.backend import Backend
from tailor_rl.teachers.budget import Budget
from tailor_rl.teachers.client import ChatClient
from tailor_rl.teachers.endpoints import Endpoint, Router
from tailor_rl.teachers.faults import RefusedQuestion, UnusableAnswer
from tailor_rl.teachers.patience import Patience
from tailor_rl.teachers.purchases import PurchaseBook, purchase_key
from tailor_rl.teachers.refusals import Flood
from tailor_rl.teachers.wire import unusable


class TeacherService:
    """Buys each completion at most once in the life of the book at `book`.

    `requests_in_flight` bounds each endpoint by itself, so that a slow one holds up no other.
    `budget_tokens` and `budget_money` bound everything in the book; None is no limit.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        *,
        requests_in_flight: int,
        timeout_s: float,
        deadline_s: float,
        budget_tokens: int | None,
        budget_money: float | None,
        book: Path,
        patience: Patience | None = None,
    ) -> None:
        self._route = Router(endpoints)
        self._budget = Budget(budget_tokens, budget_money)
        self._budget.check_prices(endpoints)
        self._timeout_s = timeout_s
        self._book = PurchaseBook(book)
        self._backends: dict[str, Backend] = {
            each.name: each.backend
            or ChatClient(
                each.base_url,
                each.model,
                api_key_env=each.api_key_env,
                timeout_s=timeout_s,
                requests_in_flight=requests_in_flight,
                deadline_s=deadline_s,
                section="teacher" if each.name == "teacher" else f"teacher.more.{each.name}",
                patience=patience,
                proven=self._book.has_answer_of(each.model),
            )
            for each in endpoints
        }
        self._floods = {each.name: Flood(in_flight=requests_in_flight) for each in endpoints}
        self._refused: dict[str, list[str]] = {each.name: [] for each in endpoints}  # keys
        self._on_their_way: dict[str, asyncio.Task[TeacherReply]] = {}
        self._sent: set[str] = set()  # those of them that may cost already

    @property
    def name(self) -> str:
        """The models, in the order of the recipe."""
        return " + ".join(backend.name for backend in self._backends.values())

    async def check(self) -> None:
        """Raises TeacherError (exit code 2) where URL, key or model of a teacher are wrong."""
        await together([backend.check() for backend in self._backends.values()])

    async def complete(self, request: TeacherRequest) -> TeacherReply:
        """A finished answer from the book, or a new one.

        Raises UnusableAnswer where no text came, BudgetSpent where the budget forbids to buy it,
        ConfigError for an unknown teacher, else TeacherError.
        """
        endpoint = self._route(request)
        if not endpoint.structured_output:
            request = replace(request, schema="")  # not sent, so no part of the purchase
        key = purchase_key(self._backends[endpoint.name].name, request)
        if (reply := self._book.find(key)) is not None:
            if not reply.text.strip():
                raise unusable(reply, url=endpoint.base_url, seen="the answer in the purchase book")
            return reply
        task = self._on_their_way.get(key)
        if task is not None:
            return await _not_paid(task)
        task = asyncio.create_task(self._buy(key, request, endpoint))
        self._on_their_way[key] = task
        task.add_done_callback(lambda done: self._arrived(key, done))
        return await asyncio.shield(task)

    def spent(self) -> dict[str, TeacherSpent]:
        """Cost by purpose over the whole life of the book, whichever process paid."""
        return self._book.spent()

    async def aclose(self) -> None:
        """Drop what waits for its turn, let what was sent arrive in the book, then close.

        Takes at most about `timeout_s`: what has not arrived by then waits for another try.
        """
        tasks = dict(self._on_their_way)
        for key, task in tasks.items():
            if key not in self._sent:
                task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks.values(), timeout=self._timeout_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for backend in self._backends.values():
            await backend.aclose()
        self._book.close()

    async def _buy(self, key: str, request: TeacherRequest, endpoint: Endpoint) -> TeacherReply:
        backend = self._backends[endpoint.name]
        began = time.monotonic()

        def sending() -> None:
            nonlocal began
            self._budget.check(self._book.total())
            self._book.sent(key, model=backend.name, request=request)
            self._sent.add(key)
            began = time.monotonic()

        def received(reply: TeacherReply) -> TeacherReply:
            seconds = time.monotonic() - began
            reply = replace(reply, seconds=seconds, cost=endpoint.cost(reply))
            self._book.received(key, reply)
            return reply

        flood = self._floods[endpoint.name]
        try:
            reply = received(await backend.complete(request, before_sending=sending))
        except UnusableAnswer as answer:
            refused = isinstance(answer, RefusedQuestion)
            flood.saw(refused=refused)
            if refused:
                self._check_flood(answer, endpoint)
                self._refused[endpoint.name].append(key)
            raise type(answer)(str(answer), received(answer.reply)) from None
        flood.saw(refused=False)
        self._check_counted(reply, endpoint)
        return reply

    def _check_flood(self, answer: UnusableAnswer, endpoint: Endpoint) -> None:
        flood, refused = self._floods[endpoint.name], self._refused[endpoint.name]
        if not flood.is_here:
            return
        self._book.reopen(refused)  # not the questions were at fault
        refused.clear()
        raise TeacherError(
            f"The teacher {endpoint.name!r} refused {flood}, the last so: {answer}; check its"
            " account, its filter, its context length and whether it takes this temperature and"
            " max_tokens, then resume the run, which asks them again."
        ) from None

    def _check_counted(self, reply: TeacherReply, endpoint: Endpoint) -> None:
        if self._budget.limited and reply.prompt_tokens + reply.completion_tokens == 0:
            raise TeacherError(
                f"The teacher {endpoint.name!r} at {endpoint.base_url} does not say how many tokens"
                " an answer took (its answers have no usage), so a budget cannot be kept; remove"
                " teacher.budget_tokens and teacher.budget_money or use another teacher."
            )

    def _arrived(self, key: str, task: asyncio.Task[TeacherReply]) -> None:
        del self._on_their_way[key]
        self._sent.discard(key)
        if not task.cancelled():
            task.exception()  # seen, so that asyncio does not report it when the caller is gone


async def _not_paid(task: asyncio.Task[TeacherReply]) -> TeacherReply:
    """For who waits with the first that asked, and pays nothing."""
    try:
        # Shielded: a caller that gives up must not cancel what is being paid for.
        return replace(await asyncio.shield(task), paid=False)
    except UnusableAnswer as answer:
        raise type(answer)(str(answer), replace(answer.reply, paid=False)) from None
