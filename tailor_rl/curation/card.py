"""The card of a data set: its lineage as a page that strangers can judge the set by.

What models and tasks wrote is shown, and can neither end its block nor add markup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tailor_rl.curation.lineage import Lineage, render
from tailor_rl.markdown import code_block, escaped
from tailor_rl.runs.files import write_atomic
from tailor_rl.summary import LEDGER_COLUMNS, totals, used_columns
from tailor_rl.types import Demonstration

NUM_EXAMPLES = 3
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"))


def write_card(
    path: Path, lineage: Lineage, demonstrations: Sequence[Demonstration], *, parquet: str
) -> None:
    """README.md: YAML front matter for the Hugging Face hub, then the page."""
    write_atomic(
        path, f"---\n{_front_matter(lineage, parquet)}\n---\n\n{_page(lineage, demonstrations)}"
    )


def _front_matter(lineage: Lineage, parquet: str) -> str:
    from huggingface_hub import DatasetCardData

    # No licence: whose the teacher's words are is not ours to say.
    return DatasetCardData(
        pretty_name=_title(lineage),
        task_categories=["text-generation"],
        size_categories=[_size(lineage.num_demonstrations)],
        tags=["tailor", "reasoning", "sft", "synthetic", "trl"],
        configs=[{"config_name": "default", "data_files": [{"split": "train", "path": parquet}]}],
    ).to_yaml()


def _page(lineage: Lineage, demonstrations: Sequence[Demonstration]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # Not HTML: `escaped` and `code_block` are what keeps the text of others in its place.
    environment = Environment(
        loader=PackageLoader("tailor_rl.curation", "."),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"escaped": escaped, "code_block": code_block}
    names = {use.id: use.name for use in lineage.primitives}
    return environment.get_template("card.md.jinja").render(
        title=_title(lineage),
        lineage=lineage,
        facts=render(lineage),
        uses=sorted(lineage.primitives, key=lambda use: (-use.demonstrations, use.id)),
        costs=_costs(lineage.spent),
        settings=_settings(lineage),
        examples=_examples(demonstrations),
        names=names,
    )


def _title(lineage: Lineage) -> str:
    return f"{lineage.task}: demonstrations by {lineage.initialisation}"


def _size(num: int) -> str:
    return next((name for limit, name in _SIZES if num < limit), "n>1M")


def _examples(demonstrations: Sequence[Demonstration]) -> list[Demonstration]:
    """The first, the last and one from the middle."""
    last = len(demonstrations) - 1
    chosen = (
        {round(i * last / (NUM_EXAMPLES - 1)) for i in range(NUM_EXAMPLES)} if last >= 0 else ()
    )
    return [demonstrations[i] for i in sorted(chosen)]


def _costs(spent: Mapping[str, Mapping[str, float]]) -> list[list[str]]:
    """A table: the heading, a row a stage, the total."""
    if not spent:
        return []
    columns, total = used_columns(spent), totals(spent)
    rows = [*spent.items(), ("total", total)]
    heading = [LEDGER_COLUMNS.get(name, name.replace("_", " ")) for name in columns]
    return [
        ["stage", *heading],
        *([stage, *(_amount(amounts.get(name)) for name in columns)] for stage, amounts in rows),
    ]


def _amount(value: float | None) -> str:
    if not value:
        return ""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"


def _settings(lineage: Lineage) -> list[tuple[str, Any]]:
    """The keys of the recipe that this set depends on, without sections that were not used."""
    used = {"demonstrations", lineage.initialisation}
    if lineage.primitives:
        used |= {"attempts", "primitives"}
    if "control" in lineage.origins:
        used.add("control")
    return [
        (f"{section}.{key}", value)
        for section, values in lineage.settings.items()
        if section in used
        for key, value in values.items()
        if value not in (None, "")
    ]
