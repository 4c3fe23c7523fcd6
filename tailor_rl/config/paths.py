"""Paths in a recipe, made absolute: engines, learners and graders run in other folders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tailor_rl.config.schema import Endpoint, RunConfig

PROJECT_ROOT = Path(__file__).resolve().parents[2]
_DATA_SUFFIXES = (".jsonl", ".json", ".parquet", ".csv", ".arrow")


def with_paths(config: RunConfig, recipe_folder: Path) -> RunConfig:
    """Make the paths absolute: engines and learners run in other folders."""
    task, reward, teacher = config.task, config.reward, config.teacher

    def found(path: str) -> str:
        return _resolved(path, recipe_folder)

    def with_model(endpoint: Endpoint) -> Endpoint:
        if endpoint.base_url != "vllm":
            return endpoint
        return endpoint.model_copy(update={"model": found(endpoint.model)})

    more = {name: with_model(endpoint) for name, endpoint in teacher.more.items()}
    functions = {name: plugin(target, recipe_folder) for name, target in reward.functions.items()}
    changes = {
        "student": _resolved(config.student, recipe_folder),
        "task": task.model_copy(
            update={
                "name": plugin(task.name, recipe_folder),
                "options": with_data_files(task.options, recipe_folder),
            }
        ),
        "reward": reward.model_copy(update={"functions": functions}),
        "initialisation": plugin(config.initialisation, recipe_folder),
        "teacher": with_model(teacher).model_copy(update={"more": more}),
        "prompts": config.prompts.model_copy(update={"folder": found(config.prompts.folder)}),
        "primitives": config.primitives.model_copy(
            update={"library": found(config.primitives.library)}
        ),
        "measures": config.measures.model_copy(
            update={"embedder": _embedder(config.measures.embedder, recipe_folder)}
        ),
        "re_distill": config.re_distill.model_copy(
            update={"initialisation": plugin(config.re_distill.initialisation, recipe_folder)}
        ),
        "sft": config.sft.model_copy(
            update={
                "method": plugin(config.sft.method, recipe_folder),
                "options": _with_behaviour(config.sft.options, recipe_folder),
            }
        ),
        "rl": config.rl.model_copy(
            update={
                "algorithm": plugin(config.rl.algorithm, recipe_folder),
                "method": plugin(config.rl.method, recipe_folder),
            }
        ),
        "control": config.control.model_copy(
            update={"of": plugin(config.control.of, recipe_folder)}
        ),
    }
    return config.model_copy(update=changes)


def _embedder(name: str, recipe_folder: Path) -> str:
    """A built-in embedder's name, or a folder: one that is called "words" is written "./words"."""
    return name if name == "words" else _resolved(name, recipe_folder)


def _with_behaviour(options: Mapping[str, Any], recipe_folder: Path) -> dict[str, Any]:
    """A method's options; `behaviour` is the folder of a model."""
    found = dict(options)
    if isinstance(found.get("behaviour"), str):
        found["behaviour"] = _resolved(found["behaviour"], recipe_folder)
    return found


def with_data_files(options: Mapping[str, Any], recipe_folder: Path) -> dict[str, Any]:
    """Files of data among a task's options, at any depth: what stands under "path", or ends like
    one.
    """
    found: dict[str, Any] = {}
    for key, value in options.items():
        if isinstance(value, Mapping):
            value = with_data_files(value, recipe_folder)
        elif isinstance(value, str) and (key == "path" or value.endswith(_DATA_SUFFIXES)):
            value = _resolved(value, recipe_folder)
        found[key] = value
    return found


def plugin(target: str, recipe_folder: Path) -> str:
    """ "file.py:Name" with the file found; anything else as it is."""
    where, colon, attribute = target.rpartition(":")
    if not where.endswith(".py"):
        return target
    return f"{_resolved(where, recipe_folder)}{colon}{attribute}"


def _resolved(path: str, recipe_folder: Path) -> str:
    """The first that exists of `search_folders`, absolute; unchanged where none does."""
    if not path:
        return path
    for base in search_folders(recipe_folder):
        candidate = base / Path(path).expanduser()
        if candidate.exists():
            return str(candidate.resolve())
    return path


def search_folders(recipe_folder: Path) -> tuple[Path, ...]:
    """Where a relative path of a recipe is looked for, in this order."""
    return (Path.cwd(), recipe_folder, PROJECT_ROOT)
