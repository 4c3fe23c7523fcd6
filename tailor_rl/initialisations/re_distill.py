"""Re-distillation (arXiv 2505.17988): RL from another initialisation, then the trained policy's own
right traces for the same queries, and SFT of the *original* student on them.

    student -> first run (its SFT, its RL) -> samples for the queries -> student again -> SFT, RL

The first run has a folder of its own inside this one; what it costs stands in the ledger under
"first_run", for it is part of the price of this initialisation.
"""

from __future__ import annotations

from tailor_rl.config.schema import RunConfig
from tailor_rl.initialisations.sampled import sampled
from tailor_rl.kit import Kit
from tailor_rl.seeds import derive_seed
from tailor_rl.types import Demonstration

FIRST_RUN = "first_run"


async def demonstrations(kit: Kit) -> list[Demonstration]:
    from tailor_rl.initialisations import initialise  # which knows every initialisation, this too

    if kit.journal.finished("demonstrate"):
        await kit.back_to_student()
        return kit.journal.read("traces", Demonstration)
    inner = kit.inside(FIRST_RUN, first_recipe(kit.cfg))
    already = kit.journal.finished(FIRST_RUN)
    if not already:
        kit.journal.start(FIRST_RUN)
    await kit.train(inner, await initialise(inner), rl=True)
    if not already:
        kit.journal.settle(FIRST_RUN, _cost(inner))
        kit.journal.finish(FIRST_RUN)
    await kit.trained()
    traces = await sampled(
        kit,
        samples=kit.cfg.re_distill.samples_per_problem,
        temperature=kit.cfg.re_distill.temperature,
        seed=derive_seed(kit.cfg.seed, "re-distill"),
        charge=kit.journal,
    )
    await kit.back_to_student()
    return traces


def first_recipe(cfg: RunConfig) -> RunConfig:
    """The recipe of the first run: this one with another initialisation, and maybe fewer steps."""
    steps = cfg.re_distill.num_steps or cfg.rl.num_steps
    return cfg.model_copy(
        update={
            "initialisation": cfg.re_distill.initialisation,
            "rl": cfg.rl.model_copy(update={"num_steps": steps}),
        }
    )


def _cost(inner: Kit) -> dict[str, float]:
    """What the first run spent over all its stages; its seconds are counted by the outer stage, and
    steps that a kill made void (rows "_lost") are no price of the method.
    """
    stages = (
        "attempt", "discover", "trial", "guard", "fit", "demonstrate", "rounds",
        "sft", "rl", "validation",
    )  # fmt: skip
    total: dict[str, float] = {}
    for stage in stages:
        for name, amount in inner.journal.spent(stage).items():
            if name not in ("seconds", "problems"):
                total[name] = total.get(name, 0) + amount
    return total
