"""GeneralPoints in text: splits over rules and colours, the grader, the rule-based trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from tailor_rl.tasks.answers import CLOSE, OPEN
from tailor_rl.tasks.countdown.puzzle import canonical
from tailor_rl.tasks.countdown.traces import rule_based
from tailor_rl.tasks.countdown.varied import varied_trace
from tailor_rl.tasks.countdown.wording import is_right, tinyzero_reward, written
from tailor_rl.tasks.general_points.cards import HAND, SUITS, TARGET, count, deal
from tailor_rl.tasks.general_points.wording import ask, given
from tailor_rl.tasks.splits import BINS
from tailor_rl.types import Problem


@dataclass(frozen=True, slots=True)
class _Variant:
    """What a split deals. `bins` is the split whose fingerprints it takes."""

    colour: str
    faces_alike: bool
    with_face: bool
    bins: str


class GeneralPoints:
    """Which expression of four playing cards, each used once, equals 24?

    The text game of "SFT Memorizes, RL Generalizes" (arXiv 2501.17161): it asks whether a policy
    has learnt the game or the rule that it was trained under. In training J, Q and K count 10 and
    all cards are of `colour`. "ood/face-values": they count 11, 12 and 13, as the prompt says, and
    every hand has one. "ood/colour": the cards are of the other colour, which changes nothing but
    the words. The published study varies colour in pictures; in text it is the name of the colour
    (short prompt) or of the suits (full prompt), and has the same purpose. A hand is four different
    cards of the 26 of its colour, and can make 24, by fractions if need be.

    There are only some hundred different hands, so problems repeat; `family` tells hands apart.
    Train, validation and test share no hand. "ood/colour" deals the hands of test in the other
    colour: what is lost between the two is lost to the colour alone.
    """

    name = "general_points"

    def __init__(self, *, seed: int = 0, colour: str = "black", prompt: str = "short") -> None:
        if colour not in SUITS:
            raise ValueError(f"task.options.colour must be 'black' or 'red', not {colour!r}")
        if prompt not in ("short", "full"):
            raise ValueError(f"task.options.prompt must be 'short' or 'full', not {prompt!r}")
        self._seed, self._prompt = seed, prompt
        other = "red" if colour == "black" else "black"
        self._variants = {split: _Variant(colour, True, False, split) for split in BINS} | {
            "ood/face-values": _Variant(colour, False, True, "ood/face-values"),
            "ood/colour": _Variant(other, True, False, "test"),
        }

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self._variants)

    @property
    def rewards(self) -> Mapping[str, Callable[[Problem, str], float]]:
        """ "tinyzero": 0 without an answer, 0.1 for a wrong one, 1.0 for a right one."""
        return {
            "tinyzero": lambda problem, text: tinyzero_reward(
                text, given(problem.metadata["numbers"])
            )
        }

    def problem(self, split: str, index: int) -> Problem:
        if split not in self._variants:
            raise ValueError(f"{self.name} has no split {split!r}; it has {', '.join(self.splits)}")
        variant = self._variants[split]
        rng = Random(f"{self.name}/{self._seed}/{split}/{index}")
        cards, tree = deal(
            rng,
            split=variant.bins,
            colour=variant.colour,
            faces_alike=variant.faces_alike,
            with_face=variant.with_face,
        )
        values = tuple(count(rank, faces_alike=variant.faces_alike) for rank, _ in cards)
        return Problem(
            id=f"{self.name}:{split}:{index}",
            prompt=ask(cards, faces_alike=variant.faces_alike, style=self._prompt),
            answer=written(tree),
            split=split,
            difficulty=HAND,
            metadata={"cards": cards, "numbers": values, "target": TARGET},
            family=canonical(values, TARGET),
        )

    def grade(self, problem: Problem, text: str) -> float:
        """1.0 where the text's one `<answer>` is an expression of the four values, each once, that
        equals 24; else 0.0.
        """
        return float(is_right(text, given(problem.metadata["numbers"])))

    def answer_text(self, problem: Problem) -> str:
        """ "<answer> ((10 + 4) - 2) * 2</answer>"."""
        return f"{OPEN} {problem.answer}{CLOSE}"

    def rule_based_trace(self, problem: Problem) -> str:
        """The values of the cards, then Countdown's bounded depth-first search."""
        return rule_based(given(problem.metadata["numbers"]))

    def varied_trace(self, problem: Problem, draw: int) -> str:
        """The same hand in the style number `draw`, as Countdown writes it."""
        return varied_trace(given(problem.metadata["numbers"]), draw, seed=problem.id)
