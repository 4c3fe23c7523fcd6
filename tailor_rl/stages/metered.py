"""A teacher whose paid answers are written into the ledger as they come in."""

from __future__ import annotations

from tailor_rl.protocols import BookedTeacher, Journal, TeacherReply, TeacherRequest
from tailor_rl.teachers.faults import UnusableAnswer


class MeteredTeacher:
    """Spends on the stage named by a request's purpose: `teacher_requests`, `teacher_tokens`,
    `teacher_seconds` (of all requests, though many wait at the same time), `teacher_retries` and
    `teacher_money`.

    Answers that came from the purchase book cost nothing again; those without any text were paid
    for.
    """

    def __init__(self, teacher: BookedTeacher, journal: Journal) -> None:
        self._teacher = teacher
        self._journal = journal

    @property
    def name(self) -> str:
        return self._teacher.name

    async def complete(self, request: TeacherRequest) -> TeacherReply:
        try:
            reply = await self._teacher.complete(request)
        except UnusableAnswer as answer:
            self._spend(request, answer.reply)
            raise
        self._spend(request, reply)
        return reply

    async def settle(self, *purposes: str) -> None:
        """At the end of a stage the book has the last word: an answer that came when the run was
        being stopped was paid for, and nobody was there to write it into the ledger.
        """
        spent = await self._teacher.spent()
        for purpose in purposes:
            if (bought := spent.get(purpose)) is not None:
                amounts = {
                    "teacher_requests": bought.requests,
                    "teacher_tokens": bought.prompt_tokens + bought.completion_tokens,
                    "teacher_seconds": bought.seconds,
                    "teacher_retries": bought.retries,
                    "teacher_money": bought.cost,
                }
                self._journal.settle(purpose, amounts)

    def _spend(self, request: TeacherRequest, reply: TeacherReply) -> None:
        if not reply.paid:
            return
        amounts = {
            "teacher_requests": 1,
            "teacher_tokens": reply.prompt_tokens + reply.completion_tokens,
            "teacher_seconds": reply.seconds,
            "teacher_retries": reply.retries,
            "teacher_money": reply.cost,
        }
        self._journal.spend(request.purpose, amounts)
