"""The prompt of a question, as a jinja2 template."""

from __future__ import annotations

from typing import Any

from tailor_rl.tasks.data.examples import Example


class Template:
    r"""`source` may name `question` and any column: "{{ question }}\n\nAnswer in \boxed{}."

    ValueError where it is no jinja2, or names no question.
    """

    def __init__(self, source: str) -> None:
        from jinja2 import Environment, StrictUndefined, TemplateError, meta

        environment = Environment(undefined=StrictUndefined, autoescape=False)
        try:
            names = meta.find_undeclared_variables(environment.parse(source))
            self._made: Any = environment.from_string(source)
        except TemplateError as error:
            raise ValueError(f"task.options.template is no jinja2 template: {error}") from error
        if not names:
            raise ValueError(
                f"task.options.template = {source!r} never asks: write {{{{ question }}}} in it"
            )
        self.columns = tuple(sorted(names - {"question"}))

    def prompt(self, example: Example) -> str:
        return str(self._made.render({**example.extra, "question": example.question}))
