"""The card of an exported model: its run as a page that strangers can judge the model by.

What models and tasks wrote is shown, and can neither end its block nor add markup.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from tailor_rl import __version__
from tailor_rl.config.load import parse_override, to_toml
from tailor_rl.curation.lineage import Lineage, render
from tailor_rl.errors import ConfigError
from tailor_rl.markdown import code_block, escaped
from tailor_rl.runs.files import write_atomic
from tailor_rl.runs.folder import read_resolved
from tailor_rl.runs.ledger import read_ledger
from tailor_rl.summary import (
    LEDGER_COLUMNS,
    percent,
    read_evaluations,
    read_object,
    split_label,
    totals,
    used_columns,
)
from tailor_rl.types import Evaluation

if TYPE_CHECKING:
    from tailor_rl.config.schema import RunConfig
    from tailor_rl.export import Exported

RECIPE_CHARACTERS = 20_000
_STAGES = {
    "sft": "supervised fine-tuning",
    "rl": "reinforcement learning",
}


def write_card(path: Path, chosen: Exported) -> None:
    """README.md: YAML front matter for the Hugging Face hub, then the page."""
    resolved = read_resolved(chosen.run)
    figures = _figures(chosen)
    card = _front_matter(chosen, resolved.config, figures)
    write_atomic(path, f"---\n{card}\n---\n\n{_page(chosen, figures)}")


def _front_matter(chosen: Exported, config: RunConfig, figures: list[Evaluation]) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    # A student in a folder has no name on the hub. No licence: it is not ours to choose.
    base = None if PurePath(config.student).is_absolute() else config.student
    own = [row for row in figures if row.stage == chosen.stage]
    return ModelCardData(
        base_model=base,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["tailor", "reasoning", *(["sft"] if chosen.stage == "sft" else ["rl"])],
        model_name=_name(chosen),
        eval_results=[
            EvalResult(
                task_type="text-generation",
                dataset_type=config.task.name if not _is_path(config.task.name) else "own",
                dataset_name=f"{PurePath(config.task.name).name} ({row.split})",
                dataset_split=row.split,
                metric_type="pass@k" if row.metric == "pass@k" else "accuracy",
                metric_name=_figure(row),
                metric_value=round(row.value, 4),
            )
            for row in own
        ]
        or None,
    ).to_yaml()


def _page(chosen: Exported, figures: list[Evaluation]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # Not HTML: `escaped` and `code_block` are what keeps the text of others in its place.
    environment = Environment(
        loader=PackageLoader("tailor_rl", "."),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"escaped": escaped, "code_block": code_block}
    resolved = read_resolved(chosen.run)
    lineage, learner = _lineage(chosen.run), _learner(chosen)
    return environment.get_template("export_card.md.jinja").render(
        name=_name(chosen),
        config=resolved.config,
        student=_public(resolved.config.student),
        task=_public(resolved.config.task.name),
        training=_STAGES[chosen.stage],
        chosen=chosen,
        version=_weights(learner),
        otherwise=_cut_otherwise(learner, resolved.config),
        figures=[_row(row, chosen) for row in figures],
        facts=[] if lineage is None else render(lineage),
        costs=_costs(read_ledger(chosen.run)),
        recipe=to_toml(_public_config(resolved.config)),
        recipe_characters=RECIPE_CHARACTERS,
        command=_command(resolved.provenance.command),
        started=resolved.provenance.time,
        versions=_versions(read_object(chosen.run / "environment.json")),
        tailor=__version__,
    )


def _name(chosen: Exported) -> str:
    at = "" if chosen.final else f"-step-{chosen.checkpoint.step}"
    return f"{chosen.run.resolve().name}-{chosen.stage}{at}"


def _figures(chosen: Exported) -> list[Evaluation]:
    """Test and ood rows of every stage up to this one; and validation of this very checkpoint."""
    stages = ["base", "sft", "rl"][: 3 if chosen.stage == "rl" else 2]
    rows = read_evaluations(chosen.run)
    last = {(row.stage, row.split, row.metric, row.k): row for row in rows if row.stage in stages}
    tested = [row for row in last.values() if row.split != "validation"]
    if not chosen.final:  # the table of a stage is that of its last weights
        tested = [row for row in tested if row.stage != chosen.stage]
    here = [
        row
        for row in rows
        if (row.stage, row.split, row.step) == (chosen.stage, "validation", chosen.checkpoint.step)
    ]
    return sorted(
        [*tested, *here],
        key=lambda row: (
            stages.index(row.stage), row.split == "validation", row.split != "test", row.split,
            row.metric, row.k,
        ),
    )  # fmt: skip


def _figure(row: Evaluation) -> str:
    return "greedy" if row.metric == "greedy" else f"pass@{row.k}"


def _row(row: Evaluation, chosen: Exported) -> list[str]:
    labels = {"base": "the student before", "sft": "after SFT", "rl": "after RL"}
    label = "**this model**" if row.stage == chosen.stage else labels[row.stage]
    cells = [split_label(row.split), _figure(row), percent(row)]
    return [label, *map(escaped, cells), f"{row.num_problems:,}", f"{row.num_samples:,}"]


def _lineage(run: Path) -> Lineage | None:
    from tailor_rl.curation.dataset import LINEAGE, read_lineage

    return read_lineage(run / "dataset") if (run / "dataset" / LINEAGE).is_file() else None


def _learner(chosen: Exported) -> Mapping[str, Any]:
    """What the learner says of a checkpoint; of its folder only JSON is read."""
    return read_object(chosen.checkpoint.folder / "learner" / "learner.json")


def _weights(learner: Mapping[str, Any]) -> Mapping[str, Any]:
    """The learner's own name of these weights."""
    found = learner.get("version", {})
    return {"step": found.get("step", "unknown"), "checksum": found.get("checksum", "unknown")}


def _cut_otherwise(learner: Mapping[str, Any], config: RunConfig) -> dict[str, Any]:
    """How the learner was cut up in the end, where it was not as the recipe says: a run may go on
    with other ranks.
    """
    asked = config.learner.model_dump(mode="json", exclude_none=True)
    layout = learner.get("layout", {})
    return {key: layout[key] for key in asked if key in layout and layout[key] != asked[key]}


def _costs(ledger: Mapping[str, Mapping[str, float]]) -> list[list[str]]:
    """A table: the heading, a row a stage, the total."""
    if not ledger:
        return []
    columns = used_columns(ledger)
    rows = [*ledger.items(), ("total", totals(ledger))]
    heading = ["stage", *(LEDGER_COLUMNS.get(name, name.replace("_", " ")) for name in columns)]
    amounts = [
        [stage, *(f"{spent.get(name, 0):,.6g}" for name in columns)] for stage, spent in rows
    ]
    return [heading, *amounts]


def _versions(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    packages = {"python": environment.get("python"), **environment.get("packages", {})}
    git = environment.get("git") or {}
    if git.get("commit"):
        packages["commit"] = git["commit"] + (" with changes" if git.get("dirty") else "")
    return [(name, str(version)) for name, version in packages.items() if version]


def _command(arguments: Sequence[str]) -> str:
    """As it is typed in a shell, whichever way the program was started."""
    return shlex.join(["tailor", *map(_public_argument, arguments[1:])])


def _public_argument(text: str) -> str:
    try:
        key, value = parse_override(text)
    except ConfigError:  # an option, or a file
        return str(_public(text))
    public = _public(value)
    if public == value:
        return text
    return f"{key}={public if isinstance(public, str) else json.dumps(public)}"


def _public_config(config: RunConfig) -> RunConfig:
    return config.model_validate_json(json.dumps(_public(config.model_dump(mode="json"))))


def _public(value: Any) -> Any:
    """`value` with the last part of each absolute path, and no address of a teacher."""
    if isinstance(value, str):
        if "://" in value:
            return "(an address)"
        return PurePath(value).name if _is_path(value) else value
    if isinstance(value, Mapping):
        return {key: _public(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_public(inner) for inner in value]
    return value


def _is_path(text: str) -> bool:
    return PurePath(text).is_absolute()
