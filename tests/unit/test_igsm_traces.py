"""iGSM's prompts read back, its styles of solving, and what a student is raised on."""

from __future__ import annotations

import itertools
import re
from dataclasses import fields
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.task_checks_igsm import evaluate, read_text
from tailor_rl.tasks.igsm.drills import Mixture, Upbringing
from tailor_rl.tasks.igsm.generate import draw_draft, finish
from tailor_rl.tasks.igsm.puzzle import Formulas, Puzzle
from tailor_rl.tasks.igsm.reading import ReadProblem, UnreadableProblem, read_problem
from tailor_rl.tasks.igsm.task import IGSM, PRESETS
from tailor_rl.tasks.igsm.traces import PUBLISHED, Solver, Style
from tailor_rl.tasks.igsm.wording import Wording, ask, named, read_answer
from tailor_rl.tasks.igsm.words import CATEGORY_OF, CHAIN_OF, CHAINS, SMALL_CHAIN
from tailor_rl.tasks.splits import belongs, fingerprint

SMALL = IGSM(preset="small")
KINDS = [field.name for field in fields(Mixture)]
HABITS = {"guess", "one_number", "two_numbers"}


def puzzles(preset: str, count: int) -> list[Puzzle]:
    shape, found = PRESETS[preset].shape, []
    for i in range(count):
        rng = Random(f"{preset}/{i}")
        draft = draw_draft(rng, shape, ops=rng.randint(1, 20))
        found.append(finish(rng, draft, shape))
    return found


@pytest.mark.parametrize("wording", ["short", "full"])
@pytest.mark.parametrize("preset", PRESETS)
def test_reading_is_the_inverse_of_asking(preset: str, wording: Wording) -> None:
    for puzzle in puzzles(preset, 40):
        prompt = ask(puzzle, wording=wording)
        assert read_problem(f" {prompt}\n") == ReadProblem(puzzle, wording)


GOOD = "Modulo 7. NorthRed = 2. NorthBlue = 3 more than NorthRed. NorthBlue?"


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "What is 2 + 2?",
        GOOD.removesuffix("?"),
        GOOD.replace("Modulo 7. ", ""),
        GOOD.replace("7", "\u0667"),
        GOOD.replace("7", "9" * 5000),
        GOOD.replace("NorthBlue?", "SouthBlue?"),
        GOOD.replace("NorthBlue?", "NorthSack?"),
        GOOD.replace("NorthBlue?", "Tell NorthBlue."),
        GOOD.replace("= 2", "= NorthBlue"),
        GOOD.replace("= 2", "= SouthBlue"),
        GOOD.replace("= 2", "= two"),
        GOOD.replace("= 2", "= 02"),
        GOOD.replace("3 more than NorthRed", "3 more than NorthRed + NorthRed - NorthRed"),
        GOOD.replace("3 more than", "3 less than"),
        GOOD.replace("NorthRed = 2.", "NorthRed = 2. NorthRed = 2."),
        GOOD.replace("Red", "Rose"),
        GOOD.replace("Red", "red"),
        GOOD.replace("North", "North "),
        GOOD.replace("NorthBlue?", "North Blue?"),
        GOOD.replace("NorthRed", "RedNorth"),
        GOOD.replace("NorthRed", "NorthRedWool"),
        GOOD.replace("NorthRed = 2.", ""),
        IGSM().problem("train", 0).prompt.replace("equals", "is"),
        IGSM().problem("train", 0).prompt.replace("modulo 23", "modulo 22"),
        IGSM().problem("train", 0).prompt.replace("\n", " "),
        "Modulo 7. " + "NorthRed = 2. " * 5000 + "NorthRed?",
        "Modulo 7. " * 300_000,
    ],
)
def test_another_text_is_no_problem(prompt: str) -> None:
    assert read_problem(GOOD)
    with pytest.raises(UnreadableProblem, match="not a problem of the igsm task"):
        read_problem(prompt)


@pytest.mark.parametrize(
    "prompt", [GOOD, IGSM(prompt="short", ops=[1, 4]).problem("train", 2).prompt]
)
def test_a_space_too_many_or_too_few_is_no_problem(prompt: str) -> None:
    """Also within a name, joined or not, though its parts can be told apart there."""
    assert read_problem(prompt)
    added = [f"{prompt[:i]} {prompt[i:]}" for i in range(1, len(prompt))]
    left_out = [prompt[:i] + prompt[i + 1 :] for i, c in enumerate(prompt) if c == " "]
    for text in added + left_out:
        with pytest.raises(UnreadableProblem):
            read_problem(text)


def test_a_short_name_has_one_pair_of_names_in_it() -> None:
    """Whatever pair of known names would do as one, of a neighbouring category or not."""
    known = {*CATEGORY_OF, *CHAIN_OF}
    for chain in (*CHAINS, SMALL_CHAIN):
        for layer, (_, groups) in enumerate(chain):
            below = chain[layer + 1 :]
            things = {item for _, lower in below[:1] for group in lower for item in group}
            things |= {name for name, _ in below}
            for pair in itertools.product(itertools.chain(*groups), things):
                name = named(pair, wording="short")
                ends = [i for i in range(1, len(name)) if name[i:] in known]
                cuts = [(name[:i].removesuffix(" "), name[i:]) for i in ends]
                assert [cut for cut in cuts if cut[0] in known] == [pair]


@settings(deadline=None)  # a busy machine must not fail it
@given(st.lists(st.sampled_from(re.findall(r"[A-Z]?[a-z]+|\d|\W", GOOD)), max_size=40))
def test_shuffled_words_are_refused_or_read_whole(parts: list[str]) -> None:
    text = "".join(parts)
    try:
        read = read_problem(text)
    except UnreadableProblem:
        return
    assert ask(read.puzzle, wording=read.wording) == text.strip()


STYLES = [
    Style(order, *switches)
    for order in ("forward", "backward")
    for switches in itertools.product((False, True), repeat=6)
]


@pytest.mark.parametrize("task", [SMALL, IGSM(), IGSM(preset="rl", ops=[5, 9])])
def test_every_style_reaches_the_right_answer(task: IGSM) -> None:
    for index in (0, 1):
        problem = task.problem("train", index)
        for style in STYLES:
            text = Solver(read_problem(problem.prompt), style, rng=Random(index)).write()
            assert task.grade(problem, text) == 1.0, (style, text)


def test_every_style_can_be_told_from_the_others() -> None:
    """On a problem with a total, a distractor and more than one step."""
    read = read_problem(
        "Modulo 7. SouthGold = 1. NorthRed = 5. SouthBlue = 3. NorthBlue = 2 times NorthRed. "
        "SouthRed = NorthCart + NorthBlue. SouthRed?"
    )
    texts = {Solver(read, style, rng=Random(5)).write() for style in STYLES}
    assert len(texts) == len(STYLES)


def test_traces_by_hand() -> None:
    """Gold 2, Red 5: 5 + 2 = 7 = 0; 3 * 0 = 0."""
    read = read_problem(
        "Modulo 7. NorthBlue = 3 times NorthRed + NorthGold. NorthPink = 6. "
        "NorthRed = 5. NorthGold = 4 more than NorthRed. NorthBlue?"
    )

    def trace(**style) -> str:
        return Solver(read, Style(**style), rng=Random(0)).write()

    red, gold = "So NorthRed is 5.", "So NorthGold: 4 + NorthRed 5 = 2; NorthGold is 2."
    blue = "So NorthBlue: NorthRed 5 + NorthGold 2 = 0; 3 * 0 = 0; NorthBlue is 0."
    end = "<answer> 0</answer>"
    assert trace() == f"{red} {gold} {blue} {end}"
    need = "Need NorthBlue: NorthRed, NorthGold."
    assert trace(order="backward") == f"{need} {red} {gold} {blue} {end}"
    assert trace(order="backward", reflect=True) == (
        f"Try NorthBlue: NorthRed is unknown yet, so first NorthRed. {red} "
        f"Try NorthBlue: NorthGold is unknown yet, so first NorthGold. {gold} {blue} {end}"
    )
    assert trace(plan=True).startswith("Needed: NorthRed, NorthGold, NorthBlue. So NorthRed")
    assert trace(verify=True).endswith(f"Check: 4 + 5 = 2; 5 + 2 = 0; 3 * 0 = 0. {end}")
    assert "Told: NorthGold = 4 more than NorthRed. So NorthGold:" in trace(restate=True)
    assert "NorthPink is 6." in trace(everything=True)
    symbols = trace(symbols=True)
    assert re.fullmatch(
        r"Define NorthRed as (\w); so \1 = 5\. "
        r"Define NorthGold as (\w); so \2 = 4 \+ \1 = 4 \+ 5 = 2\. "
        r"Define NorthBlue as (\w); (\w) = \1 \+ \2 = 5 \+ 2 = 0; so \3 = 3 \* \4 = 3 \* 0 = 0\. "
        r"<answer> 0</answer>",
        symbols,
    )


def test_a_tired_solver_errs_and_checking_repairs_most_of_it() -> None:
    def share(style: Style) -> float:
        right = 0
        for index in range(150):
            problem = SMALL.problem("train", index)
            solver = Solver(read_problem(problem.prompt), style, rng=Random(index), slip=0.2)
            right += SMALL.grade(problem, solver.write()) == 1.0
        return right / 150

    plain, checked = share(Style()), share(Style(verify=True))
    assert plain < 0.75 and checked > plain + 0.05


def test_a_solver_that_never_slips_is_steady() -> None:
    problem = SMALL.problem("train", 2)
    read = read_problem(problem.prompt)
    assert (
        Solver(read, PUBLISHED, rng=Random(1)).write()
        == Solver(read, PUBLISHED, rng=Random(1)).write()
    )
    assert Solver(read, Style()).write() == Solver(read, Style(), rng=Random(9)).write()


def corpus(kind: str | None = None, seed: int = 5, **options) -> Upbringing:
    mixture = {name: float(name == kind) for name in KINDS} if kind else None
    return Upbringing(seed=seed, mixture=mixture, **options)


def test_the_same_seed_writes_the_same_documents_and_another_does_not() -> None:
    first, second, other = corpus(), corpus(), corpus(seed=6)
    documents = [first.document() for _ in range(50)]
    assert documents == [second.document() for _ in range(50)]
    assert documents != [other.document() for _ in range(50)]


@pytest.mark.parametrize("kind", KINDS)
def test_only_habits_answer(kind: str) -> None:
    """A drill that ended with an answer would teach the whole, not a part."""
    drills = corpus(kind)
    for _ in range(60):
        prompt, completion = drills.document()
        assert prompt.endswith("?") == (kind in HABITS)
        assert ("<answer>" in completion) == (kind in HABITS)
        if kind in HABITS:
            assert read_answer(completion, wording="short") is not None


@pytest.mark.parametrize("kind", sorted(HABITS))
def test_habits_look_up_two_numbers_at_most_and_never_the_one_asked_for(kind: str) -> None:
    drills = corpus(kind)
    for _ in range(60):
        prompt, completion = drills.document()
        asked = prompt.rpartition(". ")[2].removesuffix("?")
        found = re.findall(r"(?:So|Define) (\w+) (?:is|as) ", completion)
        assert asked not in found and len(found) <= 2
        assert completion.count(".") == len(found)
        assert not re.search(r"[+*]| - ", completion)


@pytest.mark.parametrize("kind", KINDS)
def test_every_sum_in_a_drill_is_right(kind: str) -> None:
    drills = corpus(kind)
    seen = 0
    for _ in range(150):
        _, completion = drills.document()
        sums = re.findall(r"(\d) ([-+*]) (?:[A-Z]\w+ )?(\d) = (\d)", completion)
        for left, operator, right, result in sums:
            a, b = int(left), int(right)
            assert {"+": a + b, "-": a - b, "*": a * b}[operator] % 7 == int(result)
            seen += 1
    assert seen > 20 or kind in HABITS | {"tell", "needs", "unknown"}


def test_worked_out_numbers_are_those_of_the_text() -> None:
    drills = corpus("series", symbols_share=0.0)
    for _ in range(60):
        prompt, completion = drills.document()
        values = evaluate(read_text(prompt.partition("Work out")[0] + "NorthRed?"))
        found = re.findall(r"([A-Z][a-z]+)([A-Z][a-z]+) is (\d)\.", completion)
        assert found
        assert all(values[owner, thing] == int(value) for owner, thing, value in found)


def test_students_see_no_problem_of_another_split() -> None:
    """Families cannot be read off a document; so its problem is read, and its template taken."""
    drills = corpus("guess")
    for _ in range(200):
        prompt, _ = drills.document()
        puzzle = read_problem(prompt).puzzle
        formulas = Formulas.of(puzzle)
        ordered = formulas.in_order(formulas.needed(puzzle.question))
        assert belongs("train", fingerprint(formulas.template(ordered)))


def test_documents_fit_a_small_context() -> None:
    drills = corpus()
    tokens = re.compile(r"[A-Z]?[a-z]+|\w|[^\w\s]")  # a joined name counts as two at least
    sizes = [len(tokens.findall(" ".join(drills.document()))) for _ in range(500)]
    assert max(sizes) < 500


@pytest.mark.parametrize("options", [{"modulo": 0}, {"ops": [1, 4]}, {"ops": [5, 4]}, {"ops": [3]}])
def test_impossible_drills_are_refused(options) -> None:
    with pytest.raises(ValueError, match=r"corpus\.options"):
        corpus(**options)
