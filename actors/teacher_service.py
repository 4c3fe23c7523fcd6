"""The teacher as a service: one HTTP client and one purchase book behind `complete`.

A plain class; the cluster wraps it in an actor. Several may share one book file on one host, each
asked for other purchases.

    complete --+-- in the book -------------------------> reply (not paid)
               +-- on its way -- wait with the first ---> reply (not paid)
               +-- else: sent -> HTTP -> received ------> reply (paid)
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from tailor_rl.protocols import TeacherReply, TeacherRequest
from tailor_rl.teachers.client import ChatClient
from tailor_rl.teachers.faults import UnusableAnswer
from tailor_rl.teachers.purchases import PurchaseBook, Spent, purchase_key
from tailor_rl.teachers.wire import unusable


class TeacherService:
    """Buys each completion at most once in the life of the book at `book`."""

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key_env: str,
        timeout_s: float,
        requests_in_flight: int,
        book: Path,
    ) -> None:
        self._client = ChatClient(
            base_url,
            model,
            api_key_env=api_key_env,
            timeout_s=timeout_s,
            requests_in_flight=requests_in_flight,
        )
        self._book = PurchaseBook(book)
        self._base_url = base_url
        self._on_their_way: dict[str, asyncio.Task[TeacherReply]] = {}
        self._sent: set[str] = set()  # those of them that may cost already

    @property
    def name(self) -> str:
        return self._client.name

    async def check(self) -> None:
        """Raises TeacherError (exit code 2) where URL, key or model are wrong."""
        await self._client.check()

    async def complete(self, request: TeacherRequest) -> TeacherReply:
        """A finished answer from the book, or a new one. Raises UnusableAnswer or TeacherError."""
        key = purchase_key(self.name, request)
        if (reply := self._book.find(key)) is not None:
            if not reply.text.strip():
                raise unusable(reply, url=self._base_url, seen="the answer in the purchase book")
            return reply
        task = self._on_their_way.get(key)
        if task is not None:
            # Shielded: a caller that gives up must not cancel what is being paid for.
            return replace(await asyncio.shield(task), paid=False)
        task = asyncio.create_task(self._buy(key, request))
        self._on_their_way[key] = task
        task.add_done_callback(lambda done: self._arrived(key, done))
        return await asyncio.shield(task)

    def spent(self) -> dict[str, Spent]:
        """Cost by purpose over the whole life of the book, whichever process paid."""
        return self._book.spent()

    async def aclose(self) -> None:
        """Drop what waits for its turn, let what was sent arrive in the book, then close."""
        for key, task in self._on_their_way.items():
            if key not in self._sent:
                task.cancel()
        await asyncio.gather(*self._on_their_way.values(), return_exceptions=True)
        await self._client.aclose()
        self._book.close()

    async def _buy(self, key: str, request: TeacherRequest) -> TeacherReply:
        def sending() -> None:
            self._book.sent(key, model=self.name, request=request)
            self._sent.add(key)

        try:
            reply = await self._client.complete(request, before_sending=sending)
        except UnusableAnswer as answer:
            self._book.received(key, answer.reply)
            raise
        self._book.received(key, reply)
        return reply

    def _arrived(self, key: str, task: asyncio.Task[TeacherReply]) -> None:
        del self._on_their_way[key]
        self._sent.discard(key)
        if not task.cancelled():
            task.exception()  # seen, so that asyncio does not report it when the caller is gone
