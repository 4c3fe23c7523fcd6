"""Teachers that do not go together with the recipe, and models to host that are none."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from tailor_rl.config.needs import asks_teachers, needed_teachers, teacher_section
from tailor_rl.config.schema import EndpointConfig, HostedConfig, RunConfig
from tailor_rl.config.student import check_student
from tailor_rl.errors import ConfigError
from tailor_rl.teachers.budget import Budget

HOSTED = "vllm"
BUILTIN = "builtin"
_NAME = re.compile(r"[A-Za-z0-9_-]+")


def check_teachers(config: RunConfig) -> None:
    """What can be said of the teachers from the recipe alone."""
    _check_names(config)
    for name, endpoint in config.teacher.endpoints.items():
        section = teacher_section(name)
        _check_address(section, endpoint)
        if endpoint.base_url == HOSTED:
            _check_hosted_model(section, endpoint, max_tokens=config.teacher.max_tokens)
            _check_parallel(section, endpoint.hosted)
        else:
            _check_unused_settings(section, endpoint)
    needed = needed_teachers(config)
    if needed:
        Budget(money=config.teacher.budget_money).check_prices(needed.values())


def _check_names(config: RunConfig) -> None:
    endpoints = config.teacher.endpoints
    for name in config.teacher.more:
        if name == "teacher":
            raise ConfigError(
                '[teacher.more.teacher]: "teacher" is the name of the first teacher, in [teacher] '
                "itself: choose another name"
            )
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"teacher.more has the name {name!r}: use letters, digits, - and _ alone"
            )
    for key, name in (
        ("primitives.guard", config.primitives.guard),
        ("measures.judge", config.measures.judge),
    ):
        if name and name not in endpoints:
            raise ConfigError(
                f'{key} = "{name}" names no teacher of this recipe, which has '
                f"{', '.join(endpoints)}: name one of them, or add [teacher.more.{name}]"
            )
    if asks_teachers(config) and not any(each.share for each in endpoints.values()):
        shares = ", ".join(f"{teacher_section(name)}.share" for name in endpoints)
        raise ConfigError(
            f'initialisation = "{config.initialisation}" asks teachers, and every share is 0 '
            f"({shares}): set at least one above 0"
        )


def _check_address(section: str, endpoint: EndpointConfig) -> None:
    if endpoint.base_url in (BUILTIN, HOSTED):
        return
    try:
        url = urlsplit(endpoint.base_url)
        plain = url.scheme in ("http", "https") and bool(url.hostname)
    except ValueError:
        plain = False
    if not plain:
        raise ConfigError(
            f'{section}.base_url = "{endpoint.base_url}" must be "builtin", "vllm" or an address '
            "such as http://127.0.0.1:8000/v1: correct it"
        )
    if url.username or url.password or url.query or url.fragment:
        raise ConfigError(
            f"{section}.base_url for {url.hostname} holds a user name, password or query, which "
            f"would end up in logs: put the key into the variable named by {section}.api_key_env"
        )


def _check_hosted_model(section: str, endpoint: EndpointConfig, *, max_tokens: int) -> None:
    if endpoint.model == EndpointConfig.model_fields["model"].default:
        raise ConfigError(
            f'{section}.base_url = "vllm" hosts {section}.model, which is still '
            f'"{endpoint.model}": set it to the folder of a checkpoint or a model id '
            '"organisation/name"'
        )
    longest = endpoint.hosted.max_model_len
    if max_tokens >= longest:
        raise ConfigError(
            f"teacher.max_tokens={max_tokens} leaves no room for a prompt in "
            f"{section}.hosted.max_model_len={longest}: lower teacher.max_tokens or raise "
            f"{section}.hosted.max_model_len"
        )


def _check_parallel(section: str, hosted: HostedConfig) -> None:
    gpus, parallel = hosted.gpus_per_engine, hosted.tensor_parallel
    shared = gpus < 1 and parallel == 1  # a part of a GPU, or none
    if shared or gpus == parallel:
        return
    where = f"{section}.hosted"
    rest = f", or {where}.tensor_parallel=1 on a CPU" if not gpus else ""
    raise ConfigError(
        f"{where}.tensor_parallel={parallel} splits an engine over as many GPUs, and "
        f"{where}.gpus_per_engine={gpus:g}: set {where}.gpus_per_engine={parallel}{rest}"
    )


def _check_unused_settings(section: str, endpoint: EndpointConfig) -> None:
    defaults = HostedConfig()
    for key in HostedConfig.model_fields:
        value = getattr(endpoint.hosted, key)
        if value != getattr(defaults, key):
            raise ConfigError(
                f'{section}.hosted.{key}={value} is for {section}.base_url = "vllm", and '
                f'{section}.base_url = "{endpoint.base_url}": remove one of the two'
            )


def hosted_teachers(config: RunConfig) -> dict[str, EndpointConfig]:
    """The needed teachers that the run hosts itself, by name."""
    needed = needed_teachers(config).items()
    return {name: endpoint for name, endpoint in needed if endpoint.base_url == HOSTED}


def check_hosted_models(config: RunConfig, searched: tuple[Path, ...]) -> tuple[str, ...]:
    """Raises ConfigError unless each model to host is one, with positions for its context.

    Returns what a user should know before the start. `searched` as in `check_student`.
    """
    notes = []
    for name, endpoint in hosted_teachers(config).items():
        section, length = teacher_section(name), endpoint.hosted.max_model_len
        files = check_student(endpoint.model, searched, key=f"{section}.model")
        if files.folder is None:
            notes.append(f"teacher {endpoint.model} will be downloaded from the Hugging Face hub")
        longest = files.max_position_embeddings
        if longest is not None and length > longest:
            raise ConfigError(
                f"{section}.hosted.max_model_len={length} is more than the {longest} positions of "
                f"{endpoint.model}: set {section}.hosted.max_model_len={longest} or less"
            )
    return tuple(notes)
