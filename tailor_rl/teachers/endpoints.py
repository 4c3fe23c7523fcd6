"""The teachers of one service: what each is, what it costs, and which of them a request goes to."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from tailor_rl.errors import ConfigError
from tailor_rl.printable import one_line
from tailor_rl.protocols import TeacherReply, TeacherRequest
from tailor_rl.teachers.backend import Backend

_TOKENS_OF_A_PRICE = 1_000_000


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One teacher, by its `name` in the recipe. `backend`: given where the run hosts the model.

    Prices are money for a million tokens; `share` 0 means only requests that name this teacher.
    """

    name: str
    base_url: str
    model: str
    api_key_env: str
    share: float = 1.0
    price_prompt: float = 0.0
    price_completion: float = 0.0
    structured_output: bool = False
    backend: Backend | None = None

    def cost(self, reply: TeacherReply) -> float:
        """Money for an answer, by the prices of today."""
        prompt = self.price_prompt * reply.prompt_tokens
        return (prompt + self.price_completion * reply.completion_tokens) / _TOKENS_OF_A_PRICE


class Router:
    """Sends equal requests to the same teacher, in every process and in every sitting of a run.

    Weighted rendezvous hashing: each teacher draws a number from its name and the request's
    content, and the best draw for its share wins. So a teacher that joins, leaves or gets another
    share takes requests from the others or gives them up, and moves none between two others.
    """

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        names = [endpoint.name for endpoint in endpoints]
        if len(set(names)) < len(names):
            raise ConfigError(f"Two teachers share a name ({', '.join(names)}); rename one.")
        self._by_name = {endpoint.name: endpoint for endpoint in endpoints}
        self._shared = [endpoint for endpoint in endpoints if endpoint.share > 0]
        if not self._shared:
            raise ConfigError(
                f"Every teacher ({', '.join(names) or 'there is none'}) has share 0, so that a"
                " request that names none has nowhere to go; give at least one a share above 0."
            )

    def __call__(self, request: TeacherRequest) -> Endpoint:
        """The teacher of a request. Raises ConfigError where it names one that does not exist."""
        if not request.teacher:
            return min(self._shared, key=lambda each: -math.log(_draw(each, request)) / each.share)
        if request.teacher in self._by_name:
            return self._by_name[request.teacher]
        raise ConfigError(
            f"A request of {request.purpose!r} names the teacher {one_line(request.teacher, 60)!r},"
            f" which the recipe does not have; it has: {', '.join(self._by_name)}. Name one of"
            " them, or add it under [teacher.more]."
        )


def _draw(endpoint: Endpoint, request: TeacherRequest) -> float:
    """Uniform in (0, 1), from what is asked and not from why: that is how a purchase is named."""
    asked = [
        endpoint.name,
        request.system,
        request.prompt,
        request.temperature,
        request.max_tokens,
        request.sample,
    ]
    digest = hashlib.sha256(json.dumps(asked).encode()).digest()
    return (int.from_bytes(digest[:6], "big") + 0.5) / 2**48
