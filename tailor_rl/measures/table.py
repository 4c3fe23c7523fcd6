"""Every measure of a set of demonstrations, and several sets side by side.

Figures of diversity and coverage are of the words without the problems' content
(words.abstracted), so that they speak of reasoning; those called "of the text" are of traces as
they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tailor_rl.measures.coverage import Coverage
from tailor_rl.measures.distance import StudentDistance
from tailor_rl.measures.diversity import (
    distinct_n,
    mean_distance,
    num_openings,
    self_similarity,
    vendi_score,
)
from tailor_rl.measures.embedding import Embedder
from tailor_rl.measures.habits import HABITS, count_habits, mean_habits
from tailor_rl.measures.judge import Judgement
from tailor_rl.measures.words import abstracted, words
from tailor_rl.sheets import Sheet
from tailor_rl.types import Demonstration


@dataclass(frozen=True, slots=True)
class SetMeasures:
    """One set of traces in figures. Shares are of 1; None where a figure was not asked for."""

    name: str
    num_traces: int
    num_problems: int
    num_primitives: int
    correct: float  # share
    mean_words: float
    total_words: int
    teacher_tokens: int  # completion tokens by the teacher's own count
    student_tokens: int | None  # of the traces, with their ends of turn
    embedder: str
    vendi: float
    distance: float  # mean cosine distance of two traces
    text_vendi: float
    text_distance: float
    distinct: tuple[float, float, float]  # distinct-1, -2, -3 of the text
    self_similarity: float  # letters in common of two texts
    openings: int
    pieces: int  # distinct n-grams of reasoning
    total_pieces: int
    budget: int  # pieces at which the next is taken, the same for sets that are compared
    pieces_at_budget: float
    entropy_bits: float
    habits: Mapping[str, float]  # mean count a trace, by patterns
    judged_habits: Mapping[str, float | None] | None
    judge: str
    student: str
    student_logprob: float | None  # nats a token
    perplexity: float | None


@dataclass(frozen=True, slots=True)
class MeasuredSets:
    """`shared[a][b]` is the share of the distinct pieces of set a that set b has too."""

    sets: tuple[SetMeasures, ...]
    shared: Mapping[str, Mapping[str, float]]


def measure_set(
    demonstrations: Sequence[Demonstration],
    *,
    name: str,
    embedder: Embedder,
    seed: int,
    budget: int | None = None,
    student: StudentDistance | None = None,
    judgement: Judgement | None = None,
) -> SetMeasures:
    """`budget`: pieces of reasoning at which coverage is read; default: all of the set's.

    ValueError for an empty set: it has no diversity.
    """
    if not demonstrations:
        raise ValueError(f"{name} is an empty set of demonstrations: there is nothing to measure")
    texts = [made.trace for made in demonstrations]
    abstract = [abstracted(made.trace, made.prompt) for made in demonstrations]
    coverage = Coverage.of(abstract)
    at = coverage.total if budget is None else budget
    points_ND = embedder([" ".join(found) for found in abstract])
    text_points_ND = embedder(texts)
    num_words = sum(len(words(text)) for text in texts)
    means = mean_habits(count_habits(text) for text in texts)
    return SetMeasures(
        name=name,
        num_traces=len(texts),
        num_problems=len({made.problem_id for made in demonstrations}),
        num_primitives=len({made.primitive_id for made in demonstrations} - {None}),
        correct=sum(made.reward >= 1.0 for made in demonstrations) / len(texts),
        mean_words=num_words / len(texts),
        total_words=num_words,
        teacher_tokens=sum(made.completion_tokens for made in demonstrations),
        student_tokens=None if student is None else sum(student.num_tokens),
        embedder=embedder.name,
        vendi=vendi_score(points_ND),
        distance=mean_distance(points_ND),
        text_vendi=vendi_score(text_points_ND),
        text_distance=mean_distance(text_points_ND),
        distinct=(distinct_n(texts, 1), distinct_n(texts, 2), distinct_n(texts, 3)),
        self_similarity=self_similarity(texts, seed=seed),
        openings=num_openings(abstract),
        pieces=coverage.distinct,
        total_pieces=coverage.total,
        budget=at,
        pieces_at_budget=coverage.distinct_at(at),
        entropy_bits=coverage.entropy_bits,
        habits={habit: means[habit] or 0.0 for habit in HABITS},
        judged_habits=None if judgement is None else judgement.means,
        judge="" if judgement is None else judgement.judge,
        student="" if student is None else student.student,
        student_logprob=None if student is None else student.mean_logprob,
        perplexity=None if student is None else student.perplexity,
    )


def measure_sets(
    sets: Mapping[str, Sequence[Demonstration]],
    *,
    embedder: Embedder,
    seed: int,
    students: Mapping[str, StudentDistance] | None = None,
    judgements: Mapping[str, Judgement] | None = None,
) -> MeasuredSets:
    """The sets by name, their coverage read at the number of pieces that the smallest has.

    ValueError for an empty set, or none.
    """
    if not sets:
        raise ValueError("no sets of demonstrations were given: there is nothing to measure")
    coverages = {
        name: Coverage.of(abstracted(made.trace, made.prompt) for made in some)
        for name, some in sets.items()
    }
    budget = min(coverage.total for coverage in coverages.values())
    measured = [
        measure_set(
            some,
            name=name,
            embedder=embedder,
            seed=seed,
            budget=budget,
            student=(students or {}).get(name),
            judgement=(judgements or {}).get(name),
        )
        for name, some in sets.items()
    ]
    shared = {
        name: {other: own.share_in(theirs) for other, theirs in coverages.items()}
        for name, own in coverages.items()
    }
    return MeasuredSets(tuple(measured), shared)


def to_sheets(measured: MeasuredSets) -> list[Sheet]:
    """For people: a set a row, in tables narrow enough for a terminal."""
    sheets = [_size_sheet(measured), _diversity_sheet(measured), _coverage_sheet(measured)]
    sheets.append(_habit_sheet(measured))
    if any(each.judged_habits is not None for each in measured.sets):
        sheets.append(_judge_sheet(measured))
    if len(measured.sets) > 1:
        sheets.append(_shared_sheet(measured))
    return sheets


def _size_sheet(measured: MeasuredSets) -> Sheet:
    return Sheet(
        "the sets",
        ("", "traces", "problems", "primitives", "right %", "words", "tokens", "log p", "ppl"),
        tuple(
            (
                each.name,
                f"{each.num_traces:,}",
                f"{each.num_problems:,}",
                f"{each.num_primitives:,}",
                f"{100 * each.correct:.1f}",
                f"{each.mean_words:.1f}",
                "-" if each.student_tokens is None else f"{each.student_tokens:,}",
                _figure(each.student_logprob, 3),
                _figure(each.perplexity, 2),
            )
            for each in measured.sets
        ),
        note="words: mean of a trace; tokens: all of them, in the student's own; log p: nats a "
        "token under the student, ppl its perplexity; - where no student was named",
    )


def _diversity_sheet(measured: MeasuredSets) -> Sheet:
    return Sheet(
        f"diversity (embedder: {measured.sets[0].embedder})",
        (
            *("", "Vendi", "distance", "of text: Vendi", "distance"),
            *("alike", "d-1", "d-2", "d-3", "openings"),
        ),
        tuple(
            (
                each.name,
                f"{each.vendi:.2f}",
                f"{each.distance:.3f}",
                f"{each.text_vendi:.1f}",
                f"{each.text_distance:.3f}",
                f"{each.self_similarity:.3f}",
                *(f"{share:.4f}" for share in each.distinct),
                f"{each.openings:,}",
            )
            for each in measured.sets
        ),
        note="Vendi and distance: of the reasoning without names and numbers, then of the text as "
        "it is; alike: letters in common of two texts; d-n: distinct-n, which falls with the size "
        "of a set; openings: distinct first three words",
    )


def _coverage_sheet(measured: MeasuredSets) -> Sheet:
    return Sheet(
        "coverage of thinking tokens",
        ("", "pieces", "of", f"among {measured.sets[0].budget:,}", "entropy, bits"),
        tuple(
            (
                each.name,
                f"{each.pieces:,}",
                f"{each.total_pieces:,}",
                f"{each.pieces_at_budget:,.1f}",
                f"{each.entropy_bits:.3f}",
            )
            for each in measured.sets
        ),
        note="pieces: distinct runs of three words of reasoning; among N: expected in N drawn from "
        "the set, the same N for all",
    )


def _habit_sheet(measured: MeasuredSets) -> Sheet:
    rows = tuple(
        (each.name, *(f"{each.habits[habit]:.2f}" for habit in HABITS)) for each in measured.sets
    )
    return Sheet("habits a trace, by patterns", ("", *map(spoken, HABITS)), rows)


def _judge_sheet(measured: MeasuredSets) -> Sheet:
    rows = tuple(
        (each.name, *(_figure((each.judged_habits or {}).get(habit), 2) for habit in HABITS))
        for each in measured.sets
    )
    judges = ", ".join(dict.fromkeys(each.judge for each in measured.sets if each.judge))
    return Sheet(f"habits a trace, by the judge {judges}", ("", *map(spoken, HABITS)), rows)


def _shared_sheet(measured: MeasuredSets) -> Sheet:
    names = [each.name for each in measured.sets]
    rows = tuple(
        (name, *(f"{100 * measured.shared[name][other]:.0f}" for other in names)) for name in names
    )
    return Sheet("% of the row's pieces that the column has too", ("", *names), rows)


def spoken(habit: str) -> str:
    """ "subgoal setting"."""
    return habit.replace("_", " ")


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
