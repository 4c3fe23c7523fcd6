"""The paper's baseline "4-STaR", which it names and does not define. Two readings, both ours.

`habits`: the teacher is asked to show the four habits of "Cognitive Behaviors that Enable
Self-Improving Reasoners, or, Four Habits of Highly Effective STaRs" (arXiv 2503.01307) in every
trace. `rounds`: four rounds of STaR (arXiv 2203.14465): the student samples, its right traces are
kept, and the student as it was at first is fine-tuned on them, again and again. The second differs
from STaR in one point: no rationalisation (no answer is given as a hint).
"""

from __future__ import annotations

from tailor_rl.initialisations.sampled import sampled
from tailor_rl.initialisations.taught import taught
from tailor_rl.kit import Kit
from tailor_rl.primitives.assign import with_habits
from tailor_rl.seeds import derive_seed
from tailor_rl.stages.once import once
from tailor_rl.types import Demonstration


async def demonstrations(kit: Kit) -> list[Demonstration]:
    if kit.cfg.four_star.reading == "habits":
        return await taught(kit, with_habits(kit.prompts))
    return await _rounds(kit)


async def _rounds(kit: Kit) -> list[Demonstration]:
    """The last round's traces; the student is back at its own weights."""
    four_star = kit.cfg.four_star

    async def make() -> list[Demonstration]:
        traces: list[Demonstration] = []
        trained = 0.0
        for number in range(1, four_star.num_rounds + 1):
            inner = kit.inside(f"round-{number}", kit.cfg)
            if traces:
                await inner.trained()
                await inner.back_to_student()
                await kit.train(inner, traces, rl=False)
                trained += inner.journal.spent("sft")["learner_tokens"]
            traces = await sampled(
                inner,
                samples=four_star.samples_per_problem,
                temperature=four_star.temperature,
                seed=derive_seed(kit.cfg.seed, "four-star", number),
                charge=kit.journal,
            )
        await kit.trained()
        kit.journal.settle("rounds", {"learner_tokens": trained})
        return traces

    made = await once(kit.journal, "demonstrate", name="traces", kind=Demonstration, make=make)
    await kit.back_to_student()
    return made
