"""A real teacher service with short waits, for tests and benchmarks of its bad days."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from actors.teacher_service import Endpoint, TeacherService
from tailor_rl.protocols import TeacherRequest
from tailor_rl.teachers.patience import Patience

KEY_ENV = "TAILOR_TEST_KEY"
REQUEST = TeacherRequest(
    purpose="discover", system="s", prompt="p", temperature=0.5, max_tokens=9, sample=0
)
# A fiftieth of the real waits.
IMPATIENT = Patience(
    first_wait_s=0.01, longest_wait_s=0.6, jitter_s=0.02, cool_down_s=0.04, longest_cool_down_s=0.3
)

# A process that buys `num` answers. Arguments: URL, book, num, requests in flight.
BUYER = """
import asyncio, sys
from dataclasses import replace
from pathlib import Path
from tests.teacher_service_fakes import REQUEST, endpoint, service

url, book, num, in_flight = sys.argv[1:]

async def main():
    teacher = service(Path(book), endpoint(url), requests_in_flight=int(in_flight))
    asked = [teacher.complete(replace(REQUEST, sample=i)) for i in range(int(num))]
    await asyncio.gather(*asked)
    await teacher.aclose()

asyncio.run(main())
"""


def endpoint(base_url: str, name: str = "teacher", **changed: Any) -> Endpoint:
    return Endpoint(**{"model": "m", "api_key_env": KEY_ENV, **changed}, name=name,
                    base_url=base_url)  # fmt: skip


def service(book: Path, *endpoints: Endpoint, **changed: Any) -> TeacherService:
    settings: dict[str, Any] = {
        "requests_in_flight": 8,
        "timeout_s": 5.0,
        "deadline_s": 12.0,
        "budget_tokens": None,
        "budget_money": None,
        "patience": IMPATIENT,
        **changed,
    }
    return TeacherService(endpoints, book=book, **settings)
