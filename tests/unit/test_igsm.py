"""iGSM: hand-worked values, exact operation counts, one answer from the text alone, disjoint
splits.
"""

from __future__ import annotations

import re
from random import Random

import pytest

from benchmarks.task_checks_igsm import blanked, check_task
from tailor_rl.tasks.igsm.generate import MAX_OPERANDS, draw_draft, finish
from tailor_rl.tasks.igsm.puzzle import Definition, Formulas, Parameter, Puzzle
from tailor_rl.tasks.igsm.structure import draw_world
from tailor_rl.tasks.igsm.task import IGSM, PRESETS
from tailor_rl.tasks.igsm.wording import ask
from tailor_rl.tasks.igsm.words import CATEGORY_OF, CHAIN_OF, CHAINS, SMALL_CHAIN

# The full counts (10,000 and 2,000) are benchmarks/task_checks_igsm.py's.
COUNTS = {"med": 200, "hard": 32, "rl": 12, "small": 160}


def one_layer(told: dict[str, Definition], question: str, *, modulo: int = 23) -> Puzzle:
    """A puzzle of lofts and containers: "Adler Keg" is Adler Loft's Keg."""

    def parameter(short: str) -> Parameter:
        owner, thing = short.split(" ")
        return f"{owner} Loft", thing

    sentences = tuple(
        (
            parameter(short),
            Definition(
                tuple(parameter(" ".join(operand)) for operand in definition.operands),
                definition.constant,
                times=definition.times,
                minus=definition.minus,
            ),
        )
        for short, definition in told.items()
    )
    lofts = tuple(sorted({owner for (owner, _), _ in sentences}))
    things = tuple(sorted({thing for (_, thing), _ in sentences}))
    kinds = (("Warehouse", lofts), ("Container", things))
    return Puzzle(sentences, parameter(question), kinds, modulo)


def made_of(*operands: str, constant: int | None = None, **how: bool) -> Definition:
    pairs = tuple((owner, thing) for owner, thing in (name.split(" ") for name in operands))
    return Definition(pairs, constant, **how)


def worked(puzzle: Puzzle) -> tuple[dict[str, int], int]:
    """Values of what the question needs, by short names, and the operations."""
    formulas = Formulas.of(puzzle)
    ordered = formulas.in_order(formulas.needed(puzzle.question))
    values = formulas.values(ordered)
    short = {f"{owner.split(' ')[0]} {thing}": value for (owner, thing), value in values.items()}
    return short, sum(len(formulas.steps(p)) for p in ordered)


def test_a_total_of_one_thing_copies_it() -> None:
    """The first published example: 15, its total 15, and a number equal to that: 3 operations."""
    puzzle = one_layer(
        {
            "Barlow Tub": made_of("Adler Tub", constant=5),
            "Corbin Vat": made_of("Adler Tub", "Adler Keg"),
            "Easton Keg": made_of(constant=15),
            "Adler Tub": made_of("Easton Container"),
            "Adler Keg": made_of("Adler Tub", "Easton Keg", minus=True),
        },
        "Adler Tub",
    )
    assert worked(puzzle) == ({"Easton Keg": 15, "Easton Container": 15, "Adler Tub": 15}, 3)


SECOND = {
    "Adler Keg": made_of("Barlow Cask"),
    "Corbin Cask": made_of("Corbin Keg", "Adler Tub", constant=16),
    "Adler Tub": made_of("Barlow Container", constant=15),
    "Barlow Cask": made_of(constant=0),
    "Barlow Tub": made_of(constant=22),
    "Corbin Keg": made_of("Adler Container", constant=17),
    "Corbin Tub": made_of(constant=1),
    "Barlow Keg": made_of(constant=3),
}


def test_sums_constants_and_totals_by_hand() -> None:
    """The second published example. Barlow: 0 + 22 + 3 = 25 = 2; Adler Tub 15 + 2 = 17; Adler Keg
    0; Adler: 0 + 17 = 17; Corbin Keg 17 + 17 = 34 = 11; Corbin Cask 16 + (11 + 17 = 28 = 5) = 21.
    Operations: seven of 1, and 2 each for Barlow's total and the answer: 11.
    """
    values, ops = worked(one_layer(SECOND, "Corbin Cask"))
    assert values == {
        "Barlow Cask": 0, "Barlow Tub": 22, "Barlow Keg": 3, "Barlow Container": 2,
        "Adler Tub": 17, "Adler Keg": 0, "Adler Container": 17, "Corbin Keg": 11, "Corbin Cask": 21,
    }  # fmt: skip
    assert ops == 11


def test_without_a_modulus_the_same_numbers_do_not_wrap() -> None:
    """Barlow 25, Adler Tub 40, Adler 40, Corbin Keg 57, Corbin Cask 16 + 57 + 40 = 113."""
    values, _ = worked(one_layer(SECOND, "Corbin Cask", modulo=0))
    assert values["Corbin Cask"] == 113


def test_a_constant_multiplies_the_whole_sum() -> None:
    """The third published example: 12 + 15 = 27 = 4; 4 + 15 + 4 = 23 = 0; 9 * 0 = 0; 6 operations:
    1, 1, 1 and 3.
    """
    puzzle = one_layer(
        {
            "Adler Keg": made_of(constant=15),
            "Barlow Tub": made_of("Adler Keg", constant=12),
            "Corbin Vat": made_of("Barlow Tub"),
            "Easton Tub": made_of("Corbin Vat", "Adler Keg", "Barlow Tub", constant=9, times=True),
        },
        "Easton Tub",
    )
    values, ops = worked(puzzle)
    assert (values["Barlow Tub"], values["Easton Tub"], ops) == (4, 0, 6)


@pytest.mark.parametrize(("modulo", "gap", "product"), [(23, 21, 15), (7, 5, 6), (0, -2, -8)])
def test_a_difference_may_wrap(modulo: int, gap: int, product: int) -> None:
    """3 - 5 = -2, which is 21 mod 23 and 5 mod 7; 4 * 21 = 84 = 15 mod 23, 4 * 5 = 20 = 6 mod 7."""
    told = {
        "Adler Keg": made_of(constant=3),
        "Adler Tub": made_of(constant=5),
        "Adler Vat": made_of("Adler Keg", "Adler Tub", minus=True),
        "Barlow Vat": made_of("Adler Keg", "Adler Tub", constant=4, times=True, minus=True),
    }
    assert worked(one_layer(told, "Adler Vat", modulo=modulo))[0]["Adler Vat"] == gap
    assert worked(one_layer(told, "Barlow Vat", modulo=modulo))[0]["Barlow Vat"] == product


def test_a_category_further_down_is_a_sum_of_products() -> None:
    """North has 2 Red and 3 Blue; a Red has 4 Wool and 1 Silk, a Blue 5 Wool; a Gold holds no sack:
    2 * 5 + 3 * 5 = 25 = 4 mod 7. Operations: 5 numbers, 2 totals of 1, and 3.
    """
    told = {("North", "Red"): 2, ("North", "Blue"): 3, ("North", "Gold"): 1}
    told |= {("Red", "Wool"): 4, ("Red", "Silk"): 1, ("Blue", "Wool"): 5}
    kinds = (
        ("Barn", ("North",)), ("Cart", ("Blue", "Gold", "Red")), ("Sack", ("Silk", "Wool")),
    )  # fmt: skip
    sentences = tuple((pair, Definition((), number)) for pair, number in told.items())
    values, ops = worked(Puzzle(sentences, ("North", "Sack"), kinds, 7))
    assert (values["Red Sack"], values["Blue Sack"], values["North Sack"]) == (5, 5, 4)
    assert ops == 10
    assert "North Gold" not in values


def test_a_definition_that_leads_back_to_itself_has_no_order() -> None:
    told = {"Adler Keg": made_of("Adler Tub"), "Adler Tub": made_of("Adler Keg")}
    formulas = Formulas.of(one_layer(told, "Adler Keg"))
    with pytest.raises(ValueError, match="itself"):
        formulas.in_order(formulas.needed(("Adler Loft", "Keg")))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_number_of_operations_is_met_exactly(preset: str) -> None:
    shape = PRESETS[preset].shape
    for ops in range(1, PRESETS[preset].max_ops + 1):
        for draw in range(2):
            rng = Random(f"{ops}/{draw}")
            draft = draw_draft(rng, shape, ops=ops)
            puzzle = finish(rng, draft, shape)
            values, counted = worked(puzzle)
            assert counted == ops
            assert list(values.values())[-1] == draft.answer
            assert len(values) == len(draft.order)  # distractors are needed for nothing


@pytest.mark.parametrize("preset", PRESETS)
def test_a_world_keeps_to_its_shape(preset: str) -> None:
    shape = PRESETS[preset].shape
    for ops in range(1, 21):
        world = draw_world(Random(ops), shape, ops=ops)
        layers = [items for _, items in world.kinds]
        assert len(layers) in shape.layers
        assert all(min(shape.widths) <= len(items) <= max(shape.widths) for items in layers)
        assert len(set(world.edges)) == len(world.edges) <= shape.max_edges
        level = {item: i for i, items in enumerate(layers) for item in items}
        assert all(level[thing] == level[owner] + 1 for owner, thing in world.edges)
        assert {thing for _, thing in world.edges} == {i for items in layers[1:] for i in items}


def test_a_sentence_has_at_most_four_operands_and_numbers_in_range() -> None:
    shape = PRESETS["hard"].shape
    for draw in range(60):
        rng = Random(draw)
        for _, said in finish(rng, draw_draft(rng, shape, ops=25), shape).sentences:
            assert 1 <= len(said.operands) + (said.constant is not None) <= MAX_OPERANDS
            assert not said.minus or len(said.operands) == 2
            assert said.constant is None or said.times <= said.constant <= 22


@pytest.mark.parametrize("preset", PRESETS)
def test_the_text_alone_has_one_answer_and_no_split_shares_a_template(preset: str) -> None:
    """Independent of the solver: see `check_problem` and `check_splits`."""
    solved, _ = check_task(IGSM(seed=11, preset=preset), count=COUNTS[preset])
    assert sum(map(len, solved.values())) == COUNTS[preset]


def test_the_check_of_splits_notices_a_shared_template() -> None:
    """The same solution with other names, numbers and symbols blanks to the same text."""
    one = (
        "Define A's B as h; so h = 15. Define A's Container as t; so t = h = 15. The answer is 15."
    )
    other = "Define C's D as q; so q = 2. Define C's Container as w; so w = q = 2."
    assert blanked(one) == blanked(other)
    assert blanked(one) != blanked(other.replace("Container", "Keg"))


def test_a_template_is_blind_to_names_numbers_and_order_only() -> None:
    puzzle = one_layer(SECOND, "Corbin Cask")

    def template(puzzle: Puzzle) -> str:
        formulas = Formulas.of(puzzle)
        return formulas.template(formulas.in_order(formulas.needed(puzzle.question)))

    turned = dict(reversed(SECOND.items()))
    turned["Corbin Cask"] = made_of("Adler Tub", "Corbin Keg", constant=3)
    assert template(one_layer(turned, "Corbin Cask")) == template(puzzle)
    for other in (
        made_of("Corbin Keg", "Adler Tub"),
        made_of("Corbin Keg", "Adler Tub", constant=16, times=True),
        made_of("Corbin Keg", "Adler Tub", constant=16, minus=True),
        made_of("Corbin Keg", "Adler Keg", constant=16),
    ):
        assert template(one_layer(SECOND | {"Corbin Cask": other}, "Corbin Cask")) != template(
            puzzle
        )


def test_no_name_stands_twice_and_none_breaks_a_sentence() -> None:
    chains = (*CHAINS, SMALL_CHAIN)
    names = [i for chain in chains for _, groups in chain for group in groups for i in group]
    assert len(names) == len(set(names)) == len(CATEGORY_OF)
    assert not set(names) & set(CHAIN_OF)
    breaking = re.compile(r"[.,;:'\d]| and | does |\beach\b|\bThe\b| as | - | \+ ")
    assert not [name for name in [*names, *CHAIN_OF] if breaking.search(name)]
    words = re.compile(r"[A-Z][a-z]+( [A-Z][a-z]+)*")  # so "NorthRed" is joined at its capital
    assert not [name for name in [*names, *CHAIN_OF] if not words.fullmatch(name)]
    for chain in CHAINS:
        assert len(chain) == 4
        assert all(len(groups) >= 5 and min(map(len, groups)) >= 15 for _, groups in chain)


def test_a_request_stands_in_place_of_the_question() -> None:
    puzzle = one_layer(SECOND, "Corbin Cask")
    for wording in ("short", "full"):
        asked, told = (
            ask(puzzle, wording=wording),
            ask(puzzle, wording=wording, request="Tell all."),
        )
        assert "Tell all." in told and "?" in asked and "?" not in told
