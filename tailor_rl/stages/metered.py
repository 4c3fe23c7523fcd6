"""A teacher whose paid answers are written into the ledger as they come in."""

from __future__ import annotations

from tailor_rl.protocols import Journal, Teacher, TeacherReply, TeacherRequest
from tailor_rl.teachers.faults import UnusableAnswer


class MeteredTeacher:
    """Spends `teacher_requests` and `teacher_tokens` on the stage named by a request's purpose.

    Answers that came from the purchase book cost nothing again; those without any text were paid
    for.
    """

    def __init__(self, teacher: Teacher, journal: Journal) -> None:
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

    def _spend(self, request: TeacherRequest, reply: TeacherReply) -> None:
        if reply.paid:
            tokens = reply.prompt_tokens + reply.completion_tokens
            self._journal.spend(request.purpose, {"teacher_requests": 1, "teacher_tokens": tokens})
