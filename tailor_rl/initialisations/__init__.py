"""Ways to make the set that the student is fine-tuned on before RL: one small file each.

An initialisation is a coroutine function of a `Kit`; one of the user's own is a Python file, named
in the recipe as "path/to/file.py:function". What it returns is trimmed to the recipe's budget and
kept with its lineage by `initialise`, whichever it is.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Protocol

from tailor_rl.curation.lineage import describe_lineage
from tailor_rl.curation.matching import describe_match, match
from tailor_rl.errors import ConfigError
from tailor_rl.initialisations import (
    controls,
    four_star,
    none,
    re_distill,
    rule_based,
    rule_based_diverse,
    standard_cot,
    tailor,
)
from tailor_rl.kit import Kit
from tailor_rl.plugins import load_attribute
from tailor_rl.stages.once import once
from tailor_rl.types import Demonstration, Primitive


class Initialisation(Protocol):
    """An empty list means: no fine-tuning. Called again after a kill: what was paid for is not
    again.
    """

    async def __call__(self, kit: Kit) -> list[Demonstration]: ...


INITIALISATIONS: dict[str, Initialisation] = {
    "tailor": tailor.demonstrations,
    "rule_based": rule_based.demonstrations,
    "standard_cot": standard_cot.demonstrations,
    "four_star": four_star.demonstrations,
    "re_distill": re_distill.demonstrations,
    "none": none.demonstrations,
    # controls
    "one_primitive": tailor.one_primitive,
    "paired_primitives": tailor.paired_primitives,
    "shuffled_primitives": tailor.shuffled_primitives,
    "wrong_only": tailor.wrong_only,
    "rule_based_diverse": rule_based_diverse.demonstrations,
    "empty": controls.empty,
    "dots": controls.dots,
}


def find_initialisation(name: str) -> Initialisation:
    """A built-in initialisation, or the user's own. ConfigError in one sentence for neither."""
    if name in INITIALISATIONS:
        return INITIALISATIONS[name]
    if ":" not in name:
        from rapidfuzz import process

        nearest = process.extractOne(name, list(INITIALISATIONS), score_cutoff=60)
        meant = f"; did you mean {nearest[0]!r}?" if nearest else ":"
        raise ConfigError(
            f"initialisation = {name!r} is none of {', '.join(INITIALISATIONS)}{meant}"
            ' choose one, or write "path/to/file.py:function"'
        )
    own: Initialisation = load_attribute(name, key="initialisation")
    if not inspect.iscoroutinefunction(own):
        raise ConfigError(
            f"initialisation = {name!r} must name an `async def` function that takes a Kit and"
            " returns a list of Demonstration"
        )
    return own


async def initialise(kit: Kit) -> list[Demonstration]:
    """The SFT set of a run: demonstrations.jsonl, its lineage and a `datasets` folder, once."""
    journal = kit.journal
    if journal.finished("curate"):
        await kit.back_to_student_if_trained()
        return journal.read("demonstrations", Demonstration)
    _check_prompts(kit)
    made = await find_initialisation(kit.cfg.initialisation)(kit)
    if not made:
        return []

    async def curate() -> Sequence[Demonstration]:
        return _curate(kit, made)

    return await once(journal, "curate", name="demonstrations", kind=Demonstration, make=curate)


def _check_prompts(kit: Kit) -> None:
    """A run asks by one set of prompts: edited ones would buy everything again, and mix."""
    versions = kit.prompts.versions
    known = kit.journal.read("prompts", dict[str, str])
    if not known:
        kit.journal.write("prompts", [versions])
    elif known[0] != versions:
        changed = [name for name, version in versions.items() if known[0].get(name) != version]
        raise ConfigError(
            f"the prompt {', '.join(changed)} in {kit.cfg.prompts.folder or 'this version'} is not "
            "the one that this run began with: put the old text back, or start a new run"
        )


def _curate(kit: Kit, made: Sequence[Demonstration]) -> list[Demonstration]:
    cfg, journal, demos = kit.cfg, kit.journal, kit.cfg.demonstrations

    def num_tokens(demonstration: Demonstration) -> int:
        return len(kit.tokens.encode_completion(demonstration.trace))

    kept = match(
        made,
        by=demos.match,
        to=demos.match_to,
        correct_share=demos.correct_share,
        num_tokens=num_tokens,
        seed=cfg.seed,
    )
    if demos.match != "none" or len(kept) < len(made):
        journal.log(
            describe_match(made, kept, by=demos.match, to=demos.match_to, num_tokens=num_tokens)
        )
    lineage = describe_lineage(
        cfg,
        demonstrations=kept,
        queries=kit.queries,
        primitives=journal.read("primitives", Primitive),
        spent={stage: journal.spent(stage) for stage in _MAKING},
        tokens=sum(map(num_tokens, kept)),
    )
    journal.publish(kept, lineage)
    return kept


# Stages whose cost is the cost of making a set.
_MAKING = (
    "attempt", "discover", "screen", "trial", "guard", "fit", "demonstrate", "first_run", "rounds",
)  # fmt: skip
