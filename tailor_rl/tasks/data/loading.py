"""From the options of task "data" to the task: which files, which columns, what is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tailor_rl.tasks.answers import CLOSE, OPEN
from tailor_rl.tasks.data.division import Splits, divide, without_repeats
from tailor_rl.tasks.data.examples import PRESETS, Columns, Example, read_examples, without_numbers
from tailor_rl.tasks.data.math_answers import CHECKERS, get_ready
from tailor_rl.tasks.data.reading import cached_dataset, files_of, read_rows
from tailor_rl.tasks.data.task import Data, SolvedData, is_right, trace_of, written
from tailor_rl.tasks.data.template import Template
from tailor_rl.tasks.splits import BINS


def data_task(
    *,
    seed: int = 0,
    path: str = "",
    name: str = "",
    subset: str = "",
    train: str = "",
    validation: str = "",
    test: str = "",
    ood: Mapping[str, str] | None = None,
    preset: str = "",
    prompt: str = "",
    answer: str = "",
    solution: str | None = None,
    id: str = "",
    difficulty: str | None = None,
    template: str = "",
    checker: str = "",
    blind_to_numbers: bool = False,
) -> Data:
    r"""Your own questions and answers, from files.

    Args:
        path: a file (.jsonl, .json, .csv, .parquet, .arrow) with the rows of all splits, or a
            folder with train.*, and with validation.* and test.* if there are any.
        name, subset: in place of path, a data set in the local Hugging Face cache.
        train, validation, test: a file each. A split without one is cut out of train.
        ood: {axis: file}: each is a split "ood/<axis>".
        preset: "gsm8k" or "math", the shapes of these data sets (examples.py shows a row).
        prompt, answer, solution, id, difficulty: names of columns; "" is none.
        template: the prompt in jinja2, with every column and `question`.
        checker: "exact", "number" or "math" (math_answers.py says what each lets pass).
        blind_to_numbers: questions that differ in numbers only are one family, in one split.

    Rows keep the order of their file whatever the seed. ValueError, with file and line, for a row
    that cannot be used.
    """
    defaults = _preset(preset)
    chosen = checker or defaults["checker"]
    if chosen not in CHECKERS:
        raise ValueError(f"task.options.checker must be {_listed(CHECKERS)}, not {chosen!r}")
    if chosen == "math":
        get_ready()
    layout = Template(template or _default_template(chosen))
    columns = Columns(
        prompt=prompt or defaults["prompt"],
        answer=answer or defaults["answer"],
        solution=defaults.get("solution", "") if solution is None else solution,
        id=id,
        difficulty=defaults.get("difficulty", "") if difficulty is None else difficulty,
        extra=layout.columns,
    )
    files = _files(path, name, subset, {"train": train, "validation": validation, "test": test})
    files.update((f"ood/{axis}", _ood_files(axis, file)) for axis, file in (ood or {}).items())
    given = {
        split: list(read_examples(read_rows(paths), columns, preset=preset))
        for split, paths in files.items()
    }
    for examples in given.values():
        for example in examples:
            _check_answer(example, chosen, solved=bool(columns.solution))
    family = without_numbers if blind_to_numbers else str
    splits, notes = without_repeats(divide(given, family), family)
    _check_sizes(files, given, splits)
    kind = SolvedData if columns.solution else Data
    return kind(splits, checker=chosen, template=layout, blind=blind_to_numbers, notes=notes)


def _default_template(checker: str) -> str:
    how = {
        "math": "in \\boxed{}",
        "number": f"as a number between {OPEN} and {CLOSE}, once",
        "exact": f"between {OPEN} and {CLOSE}, once",
    }[checker]
    return f"{{{{ question }}}}\n\nReason step by step. At the end write the answer {how}."


def _preset(preset: str) -> Mapping[str, str]:
    if preset not in PRESETS:
        raise ValueError(
            f"task.options.preset must be {_listed(name for name in PRESETS if name)}, or left "
            f"out, not {preset!r}"
        )
    return PRESETS[preset]


def _files(path: str, name: str, subset: str, own: Mapping[str, str]) -> dict[str, list[Path]]:
    """The files of train, and of validation and test where these have any."""
    sources = {"path": path, "name": name, "train": own["train"]}
    if sum(map(bool, sources.values())) != 1:
        named = [f"task.options.{option}" for option, value in sources.items() if value]
        raise ValueError(
            "give the data in one of task.options.path, name and train, not in "
            f"{' and '.join(named) or 'none of them'}"
        )
    if subset and not name:
        raise ValueError(f"task.options.subset = {subset!r} goes with task.options.name only")
    start = Path(path or own["train"]).expanduser()
    if name or start.is_dir():
        folder = cached_dataset(name, subset) if name else start
        files = {split: found for split in BINS if (found := files_of(folder, split))}
        if "train" not in files:
            raise ValueError(f"task.options: the folder {folder} has no train.jsonl or the like")
    else:
        files = {"train": [start]}
    files.update((split, [Path(own[split])]) for split in BINS if own[split])
    return files


def _ood_files(axis: str, file: str) -> list[Path]:
    if not isinstance(file, str) or not file:
        raise ValueError(f"task.options.ood.{axis} must be a file, not {file!r}")
    return [Path(file).expanduser()]


def _check_answer(example: Example, checker: str, *, solved: bool) -> None:
    """The right answer must be graded as right, and so must the trace: else a model that learns it
    is punished for it.
    """
    if not is_right(example.answer, written(example.answer, checker), checker):
        what = "is no number" if checker == "number" else "cannot be read back from a text"
        raise ValueError(
            f"{example.where}: the answer {example.answer[:60]!r} {what}; correct it, leave the "
            f"row out, or choose another task.options.checker than {checker!r}"
        )
    if solved and not is_right(example.answer, trace_of(example, checker), checker):
        raise ValueError(
            f"{example.where}: the solution gives another answer than {example.answer[:60]!r}, or "
            f"several; write it without {OPEN} tags"
        )


def _check_sizes(
    files: Mapping[str, Sequence[Path]], given: Mapping[str, Sequence[Example]], splits: Splits
) -> None:
    for split, examples in given.items():
        if not examples:
            raise ValueError(f"{', '.join(map(str, files[split]))}: there are no rows ({split})")
    for split, examples in splits.items():
        if examples:
            continue
        if split in files:
            raise ValueError(f"all questions of {split} stand in another split too: none are left")
        raise ValueError(
            f"the {len(given['train'])} rows of train are too few to cut {split} out of them; give "
            f"task.options.{split} a file"
        )


def _listed(names: Iterable[str]) -> str:
    return " or ".join(map(repr, names))
