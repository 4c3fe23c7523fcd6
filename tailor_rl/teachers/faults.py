"""What can go wrong with one HTTP exchange, and how long to wait before the next try.

TeacherError
|-- UnusableAnswer                 no text came: a matter of this one question
|   `-- RefusedQuestion            nor was anything paid for
`-- BudgetSpent                    not paid for: the budget of the run forbids it
Transient, Refused, Unavailable    inside the client only: worth another try, not, not for now
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from tailor_rl.errors import TeacherError
from tailor_rl.protocols import TeacherReply

REFUSED = "refused"  # the finish reason of a question that was not taken
LONGEST_WAIT_S = 120.0  # that a server may ask for; more opens the circuit
_OF_THE_QUESTION = frozenset({400, 413, 422})
_log = logging.getLogger(__name__)


class UnusableAnswer(TeacherError):
    """The teacher answered without any text (a refusal, a filter, or thought until the limit).

    `reply` has the empty text and what it cost.
    """

    def __init__(self, message: str, reply: TeacherReply) -> None:
        super().__init__(message)
        self.reply = reply

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (str(self), self.reply))


class RefusedQuestion(UnusableAnswer):
    """The teacher takes other questions and not this one (a content filter, a long prompt)."""


def refused_question(message: str, *, model: str, retries: int = 0) -> RefusedQuestion:
    """Of no cost, but a purchase like any other, so that it is not made again."""
    reply = TeacherReply("", model, REFUSED, 0, 0, paid=True, retries=retries)
    return RefusedQuestion(message, reply)


class BudgetSpent(TeacherError):
    """No answer is bought any more. Those that are in the purchase book are still given."""

    def __reduce__(self) -> tuple[object, ...]:
        return (BudgetSpent, (str(self),))


class Transient(Exception):
    """A fault that may pass. `wait_s`: what the server asked for; no `status`: no answer came."""

    def __init__(
        self, message: str, *, wait_s: float | None = None, status: int | None = None
    ) -> None:
        super().__init__(message)
        self.wait_s = wait_s
        self.status = status

    def counted(self, tries: int) -> Transient:
        """The same fault, saying at which try it happened."""
        times = "" if tries == 1 else f" (try {tries})"
        return Transient(f"{self}{times}", wait_s=self.wait_s, status=self.status)


class Refused(Exception):
    """An answer that no repetition will change. `seen`: the server's words at more length."""

    def __init__(self, message: str, *, status: int, seen: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.seen = seen

    @property
    def may_be_of_the_question(self) -> bool:
        """Whether another question could be answered: also where a success had no end."""
        return self.status in _OF_THE_QUESTION or 200 <= self.status < 300


class Unavailable(Exception):
    """The circuit to an endpoint is open for longer than a request can wait."""

    def __init__(self, message: str, *, status: int | None) -> None:
        super().__init__(message)
        self.status = status


def retry_wait(error: Exception) -> bool | float:
    """stamina's hook: False gives up, True backs off, a number waits that many seconds."""
    if not isinstance(error, Transient) or (error.wait_s or 0.0) > LONGEST_WAIT_S:
        return False
    _log.info("%s; trying again", error)
    return True if error.wait_s is None else error.wait_s


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait (`retry-after-ms`, then `retry-after` as seconds or date).

    None where it asks for nothing readable, or for a time that is over.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or value is None:
        return seconds
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    left = (date - datetime.now(UTC)).total_seconds()
    return left if left > 0 else None


def advice(
    fault: Transient | Refused | Unavailable, *, key_hint: str, section: str = "teacher"
) -> str:
    """What a person can do about a fault, in half a sentence. `section`: of the recipe."""
    match fault.status:
        case None:
            return f"check {section}.base_url and that the server runs"
        case 401 | 403:
            return key_hint
        case 402:
            return "check the balance of the account, and resume the run"
        case 404 | 405:
            return f"check {section}.model and {section}.base_url, which usually ends in /v1"
        case 429:
            return "check the quota, or lower teacher.requests_in_flight and resume the run"
        case status if status >= 500 or status in (408, 409):
            return "the server is at fault or overloaded; resume the run later"
        case status if status >= 400:
            return f"check {section}.model and whether it takes this temperature and max_tokens"
        case _:
            return f"check {section}.base_url, which usually ends in /v1"


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None
