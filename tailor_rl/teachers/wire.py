"""The chat-completions format: a request out, a reply in. Knows nothing about HTTP."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from tailor_rl.errors import TeacherError
from tailor_rl.printable import one_line
from tailor_rl.protocols import TeacherReply, TeacherRequest
from tailor_rl.teachers.faults import UnusableAnswer

COMPLETIONS = "/chat/completions"
# Parameters of a request that some servers refuse and whose absence changes no question.
OPTIONAL = frozenset({"seed", "response_format"})


def checked_url(base_url: str, *, section: str = "teacher") -> str:
    """The URL without a last slash. Raises TeacherError for one that is not plain http(s).

    `section` is where in the recipe it stands.
    """
    url = base_url.rstrip("/")
    try:
        parts = urlsplit(url)
        readable = parts.scheme in ("http", "https") and bool(parts.hostname)
        readable = readable and (parts.port is None or parts.port > 0)
    except ValueError:
        readable = False
    if not readable:
        raise TeacherError(
            f"{section}.base_url is {one_line(_without_user(base_url))!r}; it must begin with http://"
            " or https:// and name a host, e.g. https://api.example.com/v1.",
            before_start=True,
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise TeacherError(
            f"{section}.base_url for {parts.hostname} holds a user name, password or query, which"
            f" would end up in logs; put the key into the variable named by {section}.api_key_env.",
            before_start=True,
        )
    return url


def request_body(
    model: str, request: TeacherRequest, *, without: Collection[str] = ()
) -> dict[str, Any]:
    """The body of a POST, without those of the `OPTIONAL` parameters that a server refuses.

    Its seed is the sample number: a server that heeds it repeats itself.
    """
    body: dict[str, Any] = {
        "model": model,
        # Some models were trained without a system message, and an empty one is not none.
        "messages": [
            {"role": role, "content": content}
            for role, content in (("system", request.system), ("user", request.prompt))
            if content or role == "user"
        ],
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
        "seed": request.sample,
    }
    if request.schema:
        form = {"name": "answer", "schema": json.loads(request.schema), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    return {name: value for name, value in body.items() if name not in without}


def probe_body(model: str) -> dict[str, Any]:
    """The cheapest completion that shows whether a model answers."""
    return {"model": model, "messages": [{"role": "user", "content": "1"}], "max_tokens": 1}


def read_models(payload: Mapping[str, Any]) -> list[str]:
    """Names in an answer to GET /models; [] for an unknown form."""
    data = payload.get("data")
    rows = data if isinstance(data, list) else []
    return [str(row["id"]) for row in rows if isinstance(row, dict) and "id" in row]


def read_reply(payload: Mapping[str, Any], *, url: str, model: str) -> TeacherReply:
    """The first choice and its cost; a token count that the server does not report is 0.

    Raises UnusableAnswer where there is no choice or its content is no text.
    """
    choices = payload.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    content = message.get("content") if isinstance(message, dict) else None
    usage = payload.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    reason = str(choice.get("finish_reason") or "") if isinstance(choice, dict) else ""
    text = content if isinstance(content, str) else ""
    reply = TeacherReply(
        # A lone surrogate is legal in JSON and in no file that this text will be written to.
        text=text.encode("utf-8", "replace").decode("utf-8"),
        model=one_line(str(payload.get("model") or model)[:200]),
        finish_reason=one_line(reason[:200]),
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        paid=True,
    )
    if not reply.text.strip():
        raise unusable(reply, url=url, seen=str(dict(payload)))
    return reply


def unusable(reply: TeacherReply, *, url: str, seen: str) -> UnusableAnswer:
    """`url` is none where the run hosts the model. `seen`: what came, or where it was read."""
    remote = url.startswith(("http://", "https://"))
    who = f"POST {url}/chat/completions was" if remote else f"The teacher {reply.model!r}"
    reason = f" (finish reason {reply.finish_reason!r})" if reply.finish_reason else ""
    return UnusableAnswer(f"{who} answered without a text{reason}: {one_line(seen[:1000])}", reply)


def _count(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**62 else 0


def _without_user(url: str) -> str:
    return url.rpartition("@")[2]
