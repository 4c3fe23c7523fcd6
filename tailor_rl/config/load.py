"""From a TOML recipe and `key.sub=value` overrides to a `RunConfig`, or one sentence on the fault.

Checks each value by itself; options that do not go together are checks.py's.
"""

from __future__ import annotations

import copy
import fnmatch
import hashlib
import json
import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tailor_rl.config.describe import explain, nearest_key, place
from tailor_rl.config.paths import plugin, with_data_files, with_paths
from tailor_rl.config.schema import Endpoint, RunConfig, TaskConfig
from tailor_rl.errors import ConfigError
from tailor_rl.runs.environment import this_machine

# What may change when a run goes on: where it does, how its learner is cut up, and what may still
# be spent. Most keys of the learner change the order of sums, so that the run no longer goes on bit
# for bit: the log says so. "*" is any name.
FREE_KEYS = frozenset(
    {
        "cluster.address",
        "cluster.start_timeout_s",
        "learner.attention",
        "learner.gpus_per_rank",
        "learner.gradient_checkpointing",
        "learner.micro_batch_tokens",
        "learner.packing",
        "learner.ranks",
        "learner.threads",
        "learner.zero_stage",
        "rollout.sync_timeout_s",
        "rollout.threads",
        "teacher.budget_money",
        "teacher.budget_tokens",
        "teacher.deadline_s",
        "teacher.hosted.threads",
        "teacher.more.*.hosted.threads",
    }
)

_KEY = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a resolved recipe came from."""

    file: str
    overrides: tuple[str, ...]
    command: tuple[str, ...]
    time: str  # ISO 8601, UTC


@dataclass(frozen=True, slots=True)
class ResolvedConfig:
    config: RunConfig
    provenance: Provenance

    def to_json(self) -> dict[str, Any]:
        """The content of config.json: {"config": ..., "fingerprint": ..., "provenance": ...}."""
        config = self.config.model_dump(mode="json")
        return {
            "config": config,
            "fingerprint": fingerprint(config),
            "provenance": asdict(self.provenance),
        }


def load_config(file: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read, override and validate a recipe. Example override: "rl.group_size=16".

    Raises ConfigError: one sentence with the key, the value, the rule and the fix.
    """
    table = read_toml(file)
    if "arms" in table:
        raise ConfigError(f"{file} is a study of many runs: run it with `tailor bench {file}`")
    return _with_overrides(table, overrides, file)


def resolve_config(
    file: Path, overrides: Sequence[str] = (), *, command: Sequence[str]
) -> ResolvedConfig:
    """`load_config`, with a note of where the recipe came from."""
    provenance = Provenance(
        file=str(file),
        overrides=tuple(overrides),
        command=tuple(command),
        time=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return ResolvedConfig(load_config(file, overrides), provenance)


def compose_config(
    file: Path, layers: Sequence[Mapping[str, Any]], overrides: Sequence[str], *, source: Path
) -> RunConfig:
    """The recipe in `file` with parts of recipes laid over it, in order, then the overrides.
    Relative paths are looked for beside `file` first, then beside `source`, where the layers stand.
    """
    table = read_toml(file)
    for layer in layers:
        table = _laid_over(table, layer)
    laid_over = {key: source for layer in layers for key, _ in _flat(layer)}
    return with_paths(_with_overrides(table, overrides, file, laid_over), source.parent)


def override_config(config: RunConfig, overrides: Sequence[str], *, source: Path) -> RunConfig:
    """A recipe that was resolved before (`source` is its config.json), with overrides on top."""
    return _with_overrides(config.model_dump(mode="json", exclude_none=True), overrides, source)


@dataclass(frozen=True, slots=True)
class TaskSource:
    """What makes a task."""

    name: str
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)


def read_task(file: Path) -> TaskSource:
    """The task of a recipe, its other sections unread. ConfigError where it has none."""
    from pydantic import ValidationError

    table = read_toml(file)
    if "arms" in table:
        raise ConfigError(f"{file} is a study of many runs: name the recipe of one")
    try:
        config = TaskConfig.model_validate(table.get("task"), strict=True)
    except ValidationError as error:
        raise ConfigError(f"{file} has no [task] section with a name: add one") from error
    return TaskSource(
        plugin(config.name, file.parent),
        config.seed,
        with_data_files(config.options, file.parent),
    )


def to_toml(config: RunConfig) -> str:
    """The recipe as a file that `load_config` reads back; keys at "no value" are left out."""
    import tomli_w

    return tomli_w.dumps(config.model_dump(mode="json", exclude_none=True))


def _with_overrides(
    table: dict[str, Any],
    overrides: Sequence[str],
    source: Path,
    laid_over: Mapping[str, Path] | None = None,
) -> RunConfig:
    pairs = [parse_override(text) for text in overrides]
    for text, (key, value) in zip(overrides, pairs, strict=True):
        _put(table, key, value, text)
    config = _validate(table, source, tuple(key for key, _ in pairs), laid_over)
    return _with_threads(with_paths(config, source.parent), cores=this_machine().cores)


def read_toml(file: Path, *, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The table of a recipe file, on top of the one that it `extends`, if any: section by section,
    but [task] as a whole where it names one.

    ConfigError where a file is missing, no file or no TOML, or extends itself.
    """
    table = _read_table(file)
    base = table.pop("extends", None)
    if base is None:
        return table
    if not isinstance(base, str):
        raise ConfigError(f"extends = {base!r} in {file}: it must be the path of a recipe")
    below, seen = file.parent / base, (*seen, file.resolve())
    if below.resolve() in seen:
        raise ConfigError(f"{file} extends {base}, which extends it in turn: leave one of them out")
    return _laid_over(read_toml(below, seen=seen), table)


def _laid_over(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(task := above.get("task"), dict) and "name" in task:
        below.pop("task", None)  # another task has other options
    return _merged(below, copy.deepcopy(above))


def _merged(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Section by section; what is no section is replaced."""
    for key, value in above.items():
        old = below.get(key)
        both = isinstance(old, dict) and isinstance(value, Mapping)
        below[key] = _merged(old, value) if both and old is not None else value
    return below


def _read_table(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"there is no recipe {file}{_nearest_file(file)}") from error
    except IsADirectoryError as error:
        raise ConfigError(f"{file} is a folder: name the .toml recipe in it") from error
    except OSError as error:
        raise ConfigError(f"the recipe {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8 text: a recipe is a TOML file") from error
    except tomllib.TOMLDecodeError as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{file} is not valid TOML: {reason}; correct it there") from error


def parse_override(text: str) -> tuple[str, Any]:
    """("rl.clip_low", 0.2) from "rl.clip_low=0.2". The value is TOML; what is no TOML is text."""
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not _KEY.fullmatch(key):
        raise ConfigError(
            f"{text!r} is no override: write key=value, for instance rl.group_size=16 or "
            "task.options.people=[2,3]"
        )
    try:
        parsed = tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        return key, value
    return key, parsed["value"] if set(parsed) == {"value"} else value


def fingerprint(config: Mapping[str, Any]) -> str:
    """Hash of a recipe as JSON values: of what was written, whatever keys later versions add."""
    text = json.dumps(config, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def differences(
    stored: RunConfig, asked: RunConfig, *, free: bool = False
) -> list[tuple[str, str, str]]:
    """(key, stored value, asked value) as JSON text, for every key that differs and may not; with
    `free` for those that may (FREE_KEYS).
    """
    old, new = (dict(_flat(config.model_dump(mode="json"))) for config in (stored, asked))
    return [
        (key, _shown(old.get(key, _MISSING)), _shown(new.get(key, _MISSING)))
        for key in sorted(set(old) | set(new))
        if old.get(key, _MISSING) != new.get(key, _MISSING) and _is_free(key) == free
    ]


def _is_free(key: str) -> bool:
    return any(fnmatch.fnmatchcase(key, pattern) for pattern in FREE_KEYS)


def _shown(value: Any) -> str:
    return "absent" if value is _MISSING else json.dumps(value)


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _put(table: dict[str, Any], key: str, value: Any, text: str) -> None:
    *sections, last = key.split(".")
    for depth, section in enumerate(sections, start=1):
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise ConfigError(
                f"override {text!r}: {'.'.join(sections[:depth])} is a value, not a section"
                f"{nearest_key(key)}"
            )
    table[last] = copy.deepcopy(value)


def _validate(
    table: dict[str, Any],
    file: Path,
    overridden: tuple[str, ...],
    laid_over: Mapping[str, Path] | None = None,
) -> RunConfig:
    from pydantic import ValidationError

    for key, value in _flat(table):
        if isinstance(value, float) and not math.isfinite(value):
            where = place(key, file=file, overridden=overridden)
            raise ConfigError(f"{key} = {value} {where}: a number must be finite")
    try:
        # As JSON and strict: lists may be tuples, but "8" is no number and true is no 1.
        return RunConfig.model_validate_json(json.dumps(table, default=str), strict=True)
    except ValidationError as error:
        sentence = explain(error, file=file, overridden=overridden, laid_over=laid_over)
        raise ConfigError(sentence) from error


def _with_threads(config: RunConfig, *, cores: int) -> RunConfig:
    """In place of 0 threads, the cores shared out: the config that is kept says what was used."""
    rollout, learner, teacher = config.rollout, config.learner, config.teacher

    def with_threads(endpoint: Endpoint) -> Endpoint:
        hosted = endpoint.hosted
        if hosted.threads:
            return endpoint
        shared = hosted.model_copy(update={"threads": max(1, cores // hosted.engines)})
        return endpoint.model_copy(update={"hosted": shared})

    more = {name: with_threads(endpoint) for name, endpoint in teacher.more.items()}
    teacher = with_threads(teacher).model_copy(update={"more": more})
    if not rollout.threads:
        rollout = rollout.model_copy(update={"threads": max(1, cores // rollout.engines)})
    if not learner.threads:
        learner = learner.model_copy(update={"threads": max(1, cores // learner.ranks)})
    return config.model_copy(update={"rollout": rollout, "learner": learner, "teacher": teacher})


def _nearest_file(file: Path) -> str:
    from rapidfuzz import process

    folder = file.parent if file.parent.is_dir() else Path()
    recipes = [path.name for path in folder.glob("*.toml")]
    nearest = process.extractOne(file.name, recipes, score_cutoff=50)
    return (
        f"; did you mean {folder / nearest[0]}?" if nearest else ": give the path of a .toml file"
    )
