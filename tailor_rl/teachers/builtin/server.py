"""An OpenAI-compatible chat server on loopback around the built-in teacher's brain."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from types import TracebackType
from typing import Any

from tailor_rl.teachers.builtin.brain import reply

MODEL = "builtin-solver"


class BuiltinTeacher:
    """Serves /v1/models and /v1/chat/completions on a free port of 127.0.0.1 while the context is
    open.

    The answer depends only on the request's body, `seed` included: asked twice, it says the same
    twice.
    """

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="builtin-teacher", daemon=True
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


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keep connections open, as real endpoints do

    def do_GET(self) -> None:
        if self.path.endswith("/models"):
            self._send(200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]})
        else:
            self._fail(404, f"no such path: {self.path}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.path.endswith("/chat/completions"):
            return self._fail(404, f"no such path: {self.path}")
        try:
            request = json.loads(body)
            prompt = request["messages"][-1]["content"]
            model, temperature = request["model"], float(request.get("temperature", 1.0))
        except (ValueError, KeyError, IndexError, TypeError) as error:
            return self._fail(400, f"not a chat completion request: {error}")
        if model != MODEL:
            return self._fail(404, f"the model {model!r} does not exist; there is {MODEL!r}")
        rng = Random(hashlib.blake2b(body).digest())
        text = reply(prompt, temperature=temperature, rng=rng)
        self._send(200, _completion(request, prompt, text))

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


def _completion(request: dict[str, Any], prompt: str, text: str) -> dict[str, Any]:
    limit = int(request.get("max_tokens") or 1 << 30)
    words = text.split(" ")
    finish = "stop" if len(words) <= limit else "length"
    text = " ".join(words[:limit])
    spent = {"prompt_tokens": len(prompt.split()), "completion_tokens": min(len(words), limit)}
    return {
        "id": f"builtin-{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": MODEL,
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
        ],
        "usage": {**spent, "total_tokens": sum(spent.values())},
    }
