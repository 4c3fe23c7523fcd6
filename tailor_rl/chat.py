"""Token ids of a student's chat turns, with the student's own tokenizer and chat template.

Text that comes from outside (problems, teachers' traces) never turns into control tokens: a problem
that contains "<|im_end|>" ends no turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tailor_rl.errors import ConfigError

# Stands for the content while a template is rendered. Private-use characters: in no template.
_CONTENT = "\ue000content\ue001"


class ChatTokens:
    """Implements `protocols.Tokens`. ConfigError: a folder without tokenizer or chat template.

    `whose` names the model in errors.
    """

    def __init__(self, folder: str | Path, *, whose: str = "student") -> None:
        tokenizer = _load(folder, whose)
        self._tokenizer = tokenizer
        added = tokenizer.added_tokens_decoder.items()
        self._control_ids = {
            *tokenizer.all_special_ids,
            *(token_id for token_id, token in added if token.special),
        }
        prompt = self._render([_turn("user", _CONTENT)], generate=True)
        self._before, found, self._after = prompt.partition(_CONTENT)
        if not found:
            raise ConfigError(f"the chat template of {folder} leaves out the user's message")
        self._num_template_controls = self._count_controls(self._encode(self._before + self._after))
        self.end_of_turn_id = self._find_end_of_turn(f"the {whose} at {folder}")

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Where generation stops: the template's end of turn, the tokenizer's end of sequence."""
        return tuple(sorted({self.end_of_turn_id, self._tokenizer.eos_token_id} - {None}))

    def encode_prompt(self, prompt: str) -> tuple[int, ...]:
        """The user's turn and the start of the assistant's, as the chat template renders them.

        Only a prompt that would add control tokens is encoded apart from the template, as plain
        text.
        """
        ids = self._encode(self._render([_turn("user", prompt)], generate=True))
        if self._count_controls(ids) == self._num_template_controls:
            return tuple(ids)
        before, after = self._encode(self._before), self._encode(self._after)
        return (*before, *self._encode_plain(prompt), *after)

    def encode_completion(self, text: str) -> tuple[int, ...]:
        """Ids of the assistant's turn, ending with the end-of-turn token."""
        return (*self._encode_plain(text), self.end_of_turn_id)

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of the ids, without control tokens."""
        text = self._tokenizer.decode(
            list(token_ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return str(text)

    def _render(self, messages: list[dict[str, str]], *, generate: bool) -> str:
        return str(
            self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=generate
            )
        )

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False).input_ids)

    def _encode_plain(self, text: str) -> list[int]:
        encoded = self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)
        # A word-level vocabulary still finds a control token that stands alone between spaces. The
        # unknown token is no control: it is what such a vocabulary says of a word it lacks.
        unknown = self._tokenizer.unk_token_id
        forbidden = self._control_ids - {unknown}
        replacement = [] if unknown is None else [unknown]
        return [
            kept
            for token_id in encoded.input_ids
            for kept in (replacement if token_id in forbidden else [token_id])
        ]

    def _count_controls(self, token_ids: list[int]) -> int:
        return sum(token_id in self._control_ids for token_id in token_ids)

    def _find_end_of_turn(self, model: str) -> int:
        turns = [_turn("user", "x"), _turn("assistant", _CONTENT)]
        after = self._render(turns, generate=False).partition(_CONTENT)[2]
        for token_id in [*self._encode(after), self._tokenizer.eos_token_id]:
            if token_id in self._control_ids:
                return int(token_id)
        raise ConfigError(
            f"{model} has no end-of-turn token: its chat template ends the "
            "assistant's turn with none and its tokenizer names no eos_token"
        )


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _load(folder: str | Path, whose: str) -> Any:
    from transformers import AutoTokenizer

    if not Path(folder).is_dir():
        raise ConfigError(f"no {whose} at {folder}: it is not a folder")
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the {whose} at {folder} has no tokenizer that loads: {error}"
        ) from error
    if not tokenizer.chat_template:
        raise ConfigError(
            f"the {whose} at {folder} has no chat template; add chat_template.jinja to that folder"
        )
    return tokenizer
