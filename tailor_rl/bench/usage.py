"""What a policy does over RL: which styles of reasoning its traces follow, whether it combines
them, and the habits that it voices.

A style is one or more primitives whose demonstrations cannot be told apart by their words
(measures/styles.py). A trace that is unlike every demonstration is "other", one whose style is not
sure "unclear". Knows nothing about charts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tailor_rl.bench.traces import Answer, Change, TraceUsage, see_traces, style_changes
from tailor_rl.measures.styles import Followed, Styles, Text
from tailor_rl.printable import one_line
from tailor_rl.runs.files import read_typed_lines
from tailor_rl.seeds import derive_seed
from tailor_rl.statistics import difference_of_independent
from tailor_rl.summary import read_rows
from tailor_rl.types import Demonstration, Interval

_MADE = "demonstrations.jsonl"
FEWEST = 5  # demonstrations of a primitive: of fewer, none is left to judge by


@dataclass(frozen=True, slots=True)
class Style:
    """To a classifier that did not learn from their problems, `recall` is the share of its
    demonstrations for which it is the likeliest style, `clear` that for which it is so clearly.
    """

    name: str  # of its primitives; unique within a run
    primitive_ids: tuple[str, ...]
    num_demonstrations: int
    recall: float
    clear: float


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a trace's style can be known: cross-validated over problems, mean recall of the
    classes (balanced accuracy). Chance is 1 / number of classes.

    `power` is the share of artificial combinations that is found: the first half of one
    demonstration before the second half of one of another style.
    """

    num_demonstrations: int
    num_primitives: int
    primitive_accuracy: float  # before primitives were merged into styles
    primitive_chance: float
    num_styles: int
    style_accuracy: float
    style_chance: float
    clear_share: float  # of demonstrations whose style is clear
    clear_accuracy: float  # share of those that are attributed to the right style
    power: float


@dataclass(frozen=True, slots=True)
class Usage:
    """One run. `primitives_of` is the folder whose demonstrations define the styles: the run's own,
    or a reference's.

    `floor` is those demonstrations, attributed by a classifier that did not learn from their
    problems: each follows one primitive, so its combinations are the errors of the method.
    `examples` is the run's own SFT set where that is another. `excess`: combinations at the last
    step minus the floor's, with a 95 % interval (Newcombe, 1998). `changes` is empty with fewer
    than two steps, or where a step has no clear trace.
    """

    run: str
    primitives_of: str
    styles: tuple[Style, ...]
    quality: Quality
    floor: TraceUsage
    examples: TraceUsage | None
    base: TraceUsage | None
    steps: tuple[TraceUsage, ...]
    changes: tuple[Change, ...]
    excess: Interval | None


def make_usage(run: Path, *, reference: Path | None) -> Usage | None:
    """Of a run folder. `reference`: a run of the same setting and seed, whose primitives are looked
    for where the run has none of its own.

    None where neither has demonstrations of two primitives or more. RunFolderError for a damaged
    line.
    """
    for folder in filter(None, (run, reference)):
        if by_primitive := _of_primitives(_read_demonstrations(folder)):
            return _usage(run, folder, by_primitive)
    return None


def _usage(run: Path, folder: Path, made: Mapping[str, Sequence[Demonstration]]) -> Usage:
    ids = list(made)
    demonstrations = [_as_answer(each) for some in made.values() for each in some]
    found = Styles(
        [_as_text(each) for each in demonstrations],
        [ids.index(name) for name, some in made.items() for _ in some],
        seed=derive_seed(0, "usage"),
    )
    styles = _name_styles(found, made, folder)
    look = _Looking(found, tuple(style.name for style in styles))
    floor = look.see(demonstrations, found.own, "demonstrations", None, _MADE)
    others = [] if folder == run else [_as_answer(each) for each in _read_demonstrations(run)]
    base = _read_answers(run / "samples" / "eval-base.jsonl")
    steps = tuple(
        look.at(answers, f"step {answers[0].step}", answers[0].step, f"samples/{path.name}")
        for path in _step_files(run)
        if (answers := _read_answers(path))
    )
    last = steps[-1].combined if steps else None
    return Usage(
        run=str(run),
        primitives_of=str(folder),
        styles=styles,
        quality=_quality(found, len(demonstrations), len(ids)),
        floor=floor,
        examples=look.at(others, "demonstrations", None, _MADE) if others else None,
        base=look.at(base, "base", None, "samples/eval-base.jsonl") if base else None,
        steps=steps,
        changes=style_changes(steps[0], steps[-1]) if len(steps) > 1 else (),
        excess=difference_of_independent(floor.combined, last) if floor.combined and last else None,
    )


@dataclass(frozen=True, slots=True)
class _Looking:
    found: Styles
    names: tuple[str, ...]

    def at(
        self, answers: Sequence[Answer], label: str, step: int | None, source: str
    ) -> TraceUsage:
        followed = self.found.follow([_as_text(answer) for answer in answers])
        return self.see(answers, followed, label, step, source)

    def see(
        self,
        answers: Sequence[Answer],
        followed: Sequence[Followed],
        label: str,
        step: int | None,
        source: str,
    ) -> TraceUsage:
        return see_traces(
            answers,
            followed,
            self.names,
            floor=self.found.own,
            label=label,
            step=step,
            source=source,
        )


def _as_text(answer: Answer) -> Text:
    return Text(answer.text, answer.prompt, answer.problem_id)


def _read_demonstrations(run: Path) -> list[Demonstration]:
    return read_typed_lines(
        run / _MADE,
        Demonstration,
        what="no demonstration",
        fix="remove the line, or make the run anew",
    )


def _of_primitives(made: Sequence[Demonstration]) -> dict[str, list[Demonstration]]:
    """By primitive, those with FEWEST or more, if that are two primitives or more; else nothing."""
    found: dict[str, list[Demonstration]] = {}
    for each in made:
        if each.primitive_id is not None:
            found.setdefault(each.primitive_id, []).append(each)
    enough = {name: found[name] for name in sorted(found) if len(found[name]) >= FEWEST}
    return enough if len(enough) > 1 else {}


def _as_answer(made: Demonstration) -> Answer:
    return Answer(made.problem_id, made.prompt, made.trace, made.reward)


def _read_answers(path: Path) -> list[Answer]:
    return read_typed_lines(
        path, Answer, what="no answer of a policy", fix="remove the line, or make the run anew"
    )


def _step_files(run: Path) -> list[Path]:
    """Of the measurements on validation; in runs that kept none of these, the answers of the
    examinations before and after RL.
    """
    folder = run / "samples"
    return sorted(folder.glob("validation-*.jsonl")) or [
        folder / f"eval-{stage}.jsonl" for stage in ("sft", "rl")
    ]


def _name_styles(
    found: Styles, made: Mapping[str, Sequence[Demonstration]], folder: Path
) -> tuple[Style, ...]:
    ids = list(made)
    rows = read_rows(folder / "primitives.jsonl")
    titles = {row.get("id"): one_line(str(row.get("name") or ""), 60) for row in rows}
    styles: list[Style] = []
    seen: Counter[str] = Counter()
    accuracy = found.accuracy
    for group, recall, clear in zip(found.groups, accuracy.recalls, accuracy.clear, strict=True):
        distinct = list(dict.fromkeys(titles.get(ids[k]) or one_line(ids[k], 60) for k in group))
        more = f" and {len(distinct) - 2} more" if len(distinct) > 2 else ""
        name = " / ".join(distinct[:2]) + more
        seen[name] += 1
        members = tuple(ids[k] for k in group)
        styles.append(
            Style(
                name=name if seen[name] == 1 else f"{name} ({seen[name]})",
                primitive_ids=members,
                num_demonstrations=sum(len(made[member]) for member in members),
                recall=recall,
                clear=clear,
            )
        )
    return tuple(styles)


def _quality(found: Styles, num_demonstrations: int, num_primitives: int) -> Quality:
    accuracy = found.accuracy
    return Quality(
        num_demonstrations=num_demonstrations,
        num_primitives=num_primitives,
        primitive_accuracy=accuracy.classes,
        primitive_chance=1 / num_primitives,
        num_styles=len(found.groups),
        style_accuracy=accuracy.styles,
        style_chance=1 / len(found.groups),
        clear_share=accuracy.clear_share,
        clear_accuracy=accuracy.clear_accuracy,
        power=accuracy.power,
    )
