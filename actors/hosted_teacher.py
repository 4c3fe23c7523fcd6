"""A teacher that the run hosts itself: vLLM in this process, chat completions in and out, no port.

Answers TeacherRequests as an OpenAI-compatible server would. Knows nothing about budgets, the
purchase book or Ray.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from actors.handles import EngineStats
from actors.step_thread import StepThread
from actors.teacher_chat import TeacherChat
from actors.vllm_process import (
    EngineSettings,
    build_engine,
    check_checkpoint,
    last_line,
    read_finish_reason,
    token_prompt,
    warm_up,
)
from tailor_rl.errors import EngineError, TeacherError
from tailor_rl.printable import one_line
from tailor_rl.protocols import TeacherReply, TeacherRequest
from tailor_rl.seeds import derive_seed
from tailor_rl.teachers.faults import RefusedQuestion, UnusableAnswer, refused_question

WHAT = "the hosted teacher"


class HostedTeacher:
    """`name` is the model's in replies and errors. TeacherError where the model does not start.

    An answer depends on the request alone: temperature and sample number seed it, as far as the
    arithmetic of a batch allows.
    """

    def __init__(self, settings: EngineSettings, *, name: str) -> None:
        self.name = name
        self._max_model_len = settings.max_model_len
        try:
            check_checkpoint(Path(settings.model_path))
            self._chat = TeacherChat(settings.model_path)
            self._steps = StepThread(lambda: _build(settings), what=WHAT)
        except Exception as error:
            cause = str(error) if isinstance(error, ValueError | EngineError) else last_line(error)
            raise TeacherError(
                f"{WHAT} {name!r} did not start on {settings.model_path}: {one_line(cause)}"
            ) from error

    def pid(self) -> int:
        return os.getpid()

    def stats(self) -> EngineStats:
        return EngineStats(
            pid=self.pid(),
            generated_tokens=self._steps.generated_tokens,
            busy_s=self._steps.busy_s,
            sequences_in_flight=self._steps.sequences_in_flight,
        )

    def check(self) -> None:
        """Raises TeacherError, naming the cause, where this engine cannot answer."""
        if self._steps.death:
            raise TeacherError(f"{self.name!r} cannot be asked: {self._steps.death}")

    def close(self) -> None:
        self._steps.close()

    async def complete(self, request: TeacherRequest, *, deadline_s: float) -> TeacherReply:
        """One answer of at most `request.max_tokens` tokens, or as many as the context has left.

        A `request.schema` constrains it to JSON of that schema. Raises RefusedQuestion for a prompt
        that fills the context, UnusableAnswer for an answer without text, else TeacherError.
        """
        self.check()
        prompt_ids = self._chat.encode_chat(request.system, request.prompt)
        room = self._max_model_len - len(prompt_ids)
        if room < 1:
            raise self._too_long(len(prompt_ids))
        params = _sampling(
            request,
            max_tokens=min(request.max_tokens, room),
            seed=_seed(self.name, request),
            stop_ids=self._chat.stop_ids,
        )
        try:
            (answer,) = await self._steps.answers(
                token_prompt(prompt_ids), [params], deadline_s=deadline_s
            )
            return self._reply(answer, num_prompt_tokens=len(prompt_ids))
        except TimeoutError as error:
            raise TeacherError(
                f"{WHAT} {self.name!r} gave no answer within {deadline_s:g} s; {self._steps.pace()}"
            ) from error
        except EngineError as error:
            raise TeacherError(f"{self.name!r} gave no answer: {one_line(str(error))}") from error

    def _reply(self, answer: Any, *, num_prompt_tokens: int) -> TeacherReply:
        reply = TeacherReply(
            text=self._chat.decode(answer.token_ids),
            model=self.name,
            finish_reason=read_finish_reason(answer.finish_reason),
            prompt_tokens=num_prompt_tokens,
            completion_tokens=len(answer.token_ids),
            paid=True,
        )
        if not reply.text.strip():
            raise UnusableAnswer(
                f"{WHAT} {self.name!r} answered without a text "
                f"(finish reason {reply.finish_reason!r})",
                reply,
            )
        return reply

    def _too_long(self, num_tokens: int) -> RefusedQuestion:
        return refused_question(
            f"a prompt of {num_tokens} tokens leaves no room for an answer in the "
            f"hosted.max_model_len={self._max_model_len} of teacher {self.name!r}: raise "
            "hosted.max_model_len, or show it fewer or shorter attempts",
            model=self.name,
        )


def _build(settings: EngineSettings) -> Any:
    """vLLM's LLMEngine, warm, with a tokenizer: grammars are made of it."""
    # On CPU vLLM cannot rewind the generator of a seeded request after a chunk of its prompt.
    whole_prompts = {
        "enable_chunked_prefill": False,
        "max_num_batched_tokens": settings.step_tokens,
    }
    engine = build_engine(
        settings,
        # Of it only where the model stops: sampling is what the request says and nothing else.
        generation_config="auto",
        async_scheduling=False,
        # JSON as json.dumps writes it: a small model may else write white space for ever.
        structured_outputs_config={"backend": "xgrammar", "disable_any_whitespace": True},
        **(whole_prompts if settings.device == "cpu" else {}),
    )
    probe = TeacherRequest("check", "", "", temperature=1.0, max_tokens=2)
    warm_up(engine, [_sampling(probe, max_tokens=2, seed=i, stop_ids=()) for i in range(2)])
    return engine


def _seed(name: str, request: TeacherRequest) -> int:
    """Of the content too: with the bare sample number the first draws of all problems would come
    from one random stream.
    """
    asked = (request.system, request.prompt, request.schema, repr(request.temperature))
    return derive_seed(request.sample, name, *asked)


def _sampling(
    request: TeacherRequest, *, max_tokens: int, seed: int, stop_ids: tuple[int, ...]
) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

    return SamplingParams(
        temperature=request.temperature,
        max_tokens=max_tokens,
        seed=seed if request.temperature > 0 else None,
        stop_token_ids=list(stop_ids),
        structured_outputs=StructuredOutputsParams(json=request.schema) if request.schema else None,
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
        skip_clone=True,
    )
