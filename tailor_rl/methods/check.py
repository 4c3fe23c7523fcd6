"""Whether a recipe's methods can do their work, asked before anything starts."""

from __future__ import annotations

from pathlib import Path

from tailor_rl.config.schema import RunConfig
from tailor_rl.config.student import check_student
from tailor_rl.errors import ConfigError
from tailor_rl.methods.find import rl_method, sft_method

BEHAVIOUR = "sft.options.behaviour"


def check_methods(config: RunConfig) -> None:
    """Raises ConfigError in one sentence: unknown names, wrong options, nothing to learn from."""
    sft = sft_method(config.sft.method, config.sft.options)
    rl = rl_method(config.rl.method, config.rl.options)
    if config.initialisation == "none":
        _check_none(config, needs_demonstrations=rl.needs_demonstrations)
    if sft.behaviour:
        check_behaviour(sft.behaviour, student=config.student)
    if rl.supervises and config.rl.temperature != 1.0:
        raise ConfigError(
            f'rl.method = "{config.rl.method}" learns demonstrations with the logits of rollouts, '
            f"and rl.temperature={config.rl.temperature:g} would make their cross-entropy another: "
            "set rl.temperature=1"
        )
    rl.check(config.rl)


def _check_none(config: RunConfig, *, needs_demonstrations: bool) -> None:
    wanting = {"sft.method": config.sft.method}
    if needs_demonstrations:
        wanting["rl.method"] = config.rl.method
    for key, method in wanting.items():
        if method:
            raise ConfigError(
                f'{key} = "{method}" learns from demonstrations, and initialisation = "none" makes '
                "none: choose another initialisation, or leave the method out"
            )


def check_behaviour(behaviour: str, *, student: str) -> None:
    """The model that stands for the writer must be a checkpoint with the student's vocabulary.

    A student that is yet to be downloaded is compared by the learner, before SFT begins.
    """
    folder = Path(behaviour).expanduser()
    if not folder.is_dir():
        raise ConfigError(
            f"{BEHAVIOUR} = {behaviour!r} is no folder: name that of a Hugging Face model"
        )
    check_student(str(folder), (), key=BEHAVIOUR)
    own = Path(student).expanduser()
    if own.is_dir() and _vocabulary(folder) != _vocabulary(own):
        raise ConfigError(
            f"{BEHAVIOUR} = {behaviour!r} cuts text into other tokens than student {student}, so "
            "its log-probabilities are of other things: name a model with the same tokenizer"
        )


def _vocabulary(folder: Path) -> dict[str, int]:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder} has no tokenizer that loads: {error}") from error
    return dict(tokenizer.get_vocab())
