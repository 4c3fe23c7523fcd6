"""An OpenAI-compatible chat server on loopback around the built-in teacher's brain."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from types import TracebackType
from typing import Any

from tailor_rl.teachers.builtin.brain import reply
from tailor_rl.teachers.builtin.strengths import SOLVER, STRENGTHS, Strength

MODEL = SOLVER.name
_MAX_BODY = 16 << 20  # bytes; no request of ours comes near


class _Server(ThreadingHTTPServer):
    # The default of 5 drops connections that come at once; each then waits a second to try again.
    request_queue_size = 512
    daemon_threads = True


class BuiltinTeacher:
    """Serves /v1/models and /v1/chat/completions on a free port of 127.0.0.1 while the context is
    open.

    The answer depends only on the request's body, `seed` included: asked twice, it says the same
    twice. The model named there decides how good it is (strengths.py). One thread a connection.
    """

    def __init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.05},  # how long closing may wait
            name="builtin-teacher",
            daemon=True,
        )

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> BuiltinTeacher:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)


@dataclass(frozen=True, slots=True)
class _Request:
    """What a body asks for. ValueError for a body that is no chat completion request."""

    model: str
    prompt: str
    temperature: float
    max_tokens: int | None
    as_json: bool

    @classmethod
    def read(cls, body: bytes) -> _Request:
        try:
            asked = json.loads(body)
            form = asked.get("response_format") or {}
            request = cls(
                model=asked["model"],
                prompt=asked["messages"][-1]["content"],
                temperature=float(asked.get("temperature", 1.0)),
                max_tokens=asked.get("max_tokens"),
                as_json=form.get("type") in ("json_schema", "json_object"),
            )
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise ValueError(f"not a chat completion request: {error!r}") from error
        if not isinstance(request.prompt, str) or not isinstance(request.model, str):
            raise ValueError("not a chat completion request: model and content must be texts")
        if not 0 <= request.temperature <= 100:
            raise ValueError(f"temperature must be 0 or more, not {request.temperature}")
        if request.max_tokens is not None and type(request.max_tokens) is not int:
            raise ValueError(f"max_tokens must be a whole number, not {request.max_tokens!r}")
        return request


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keep connections open, as real endpoints do
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.path.endswith("/models"):
            models = [{"id": name, "object": "model"} for name in STRENGTHS]
            self._send(200, {"object": "list", "data": models})
        else:
            self._fail(404, f"no such path: {self.path}")

    def do_POST(self) -> None:
        body = self._body()
        if body is None:
            self.close_connection = True  # where the next request would begin is not known
            return self._fail(400, "the header Content-Length must be a number of bytes")
        if not self.path.endswith("/chat/completions"):
            return self._fail(404, f"no such path: {self.path}")
        try:
            request = _Request.read(body)
        except ValueError as error:
            return self._fail(400, str(error))
        strength = STRENGTHS.get(request.model)
        if strength is None:
            there_is = ", ".join(map(repr, STRENGTHS))
            return self._fail(
                404, f"the model {request.model!r} does not exist; there is {there_is}"
            )
        self._send(200, _completion(request, _answer(request, strength, body)))

    def _body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit() and int(length) <= _MAX_BODY):
            return None
        return self.rfile.read(int(length))

    def _fail(self, status: int, message: str) -> None:
        self._send(status, {"error": {"message": message, "type": "invalid_request_error"}})

    def _send(self, status: int, payload: dict[str, Any]) -> None:
        body = json.dumps(payload).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silence: the run's own ledger counts requests."""


def _answer(request: _Request, strength: Strength, body: bytes) -> str:
    return reply(
        request.prompt,
        temperature=request.temperature,
        rng=Random(hashlib.blake2b(body).digest()),
        strength=strength,
        as_json=request.as_json,
    )


def _completion(request: _Request, text: str) -> dict[str, Any]:
    limit = request.max_tokens or 1 << 30
    words = text.split(" ")
    finish = "stop" if len(words) <= limit else "length"
    text = " ".join(words[:limit])
    spent = {
        "prompt_tokens": len(request.prompt.split()),
        "completion_tokens": min(len(words), limit),
    }
    return {
        "id": f"builtin-{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": request.model,
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
        ],
        "usage": {**spent, "total_tokens": sum(spent.values())},
    }
