"""A teacher's chat turns as token ids, with the hosted model's own chat template.

What a student wrote is quoted in the prompts: as in `ChatTokens`, no text turns into control
tokens.
"""

from __future__ import annotations

from pathlib import Path

from tailor_rl.chat import ChatTokens

# Stand for the contents while a template is rendered. Private-use characters: in no template.
_SYSTEM, _USER = "\ue000system\ue001", "\ue000user\ue001"


class TeacherChat(ChatTokens):
    """Adds a system message, which is merged into the user's turn where the template refuses one.

    ConfigError: a folder without tokenizer or chat template.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__(folder, whose="teacher")
        self._around = self._find_system_turn()
        self._num_controls = sum(
            self._count_controls(self._encode(part)) for part in self._around or ()
        )

    def encode_chat(self, system: str, prompt: str) -> tuple[int, ...]:
        """System and user message and the start of the assistant's turn. `system` may be empty."""
        if not system:
            return self.encode_prompt(prompt)
        if self._around is None:
            return self.encode_prompt(f"{system}\n\n{prompt}")
        ids = self._encode(self._render_chat(system, prompt))
        if self._count_controls(ids) == self._num_controls:
            return tuple(ids)
        before, between, after = (self._encode(part) for part in self._around)
        return (
            *before,
            *self._encode_plain(system),
            *between,
            *self._encode_plain(prompt),
            *after,
        )

    def _find_system_turn(self) -> tuple[str, str, str] | None:
        """What the template writes around a system and a user message; None where it takes no
        system message: some templates raise, some leave it out.
        """
        from jinja2 import TemplateError

        try:
            text = self._render_chat(_SYSTEM, _USER)
        except TemplateError:
            return None
        before, has_system, rest = text.partition(_SYSTEM)
        between, has_user, after = rest.partition(_USER)
        return (before, between, after) if has_system and has_user else None

    def _render_chat(self, system: str, prompt: str) -> str:
        turns = [{"role": "system", "content": system}, {"role": "user", "content": prompt}]
        return self._render(turns, generate=True)
