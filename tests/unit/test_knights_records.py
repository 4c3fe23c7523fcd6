"""Knights & Knaves from a file: only whole puzzles get in, and what is broken is named by line."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from random import Random

import pytest

from tailor_rl.errors import ConfigError
from tailor_rl.task_extras import HasSizes
from tailor_rl.tasks.knights.puzzle import PLAIN, Puzzle, fingerprint, generate
from tailor_rl.tasks.knights.statements import words
from tailor_rl.tasks.knights.task import KnightsKnaves
from tailor_rl.tasks.registry import load_task
from tailor_rl.tasks.splits import belongs

PUBLIC = {"knight": "telling-truth", "knave": "lying", "if": "->", "iff": "<=>"}


def public(said):
    kind, *parts = said
    if kind in ("knight", "knave"):
        return (PUBLIC[kind], parts[0])
    return (PUBLIC.get(kind, kind), *map(public, parts))


def record(puzzle: Puzzle, role_words: tuple[str, str] = PLAIN) -> dict:
    """A line of the public format."""
    claims = " ".join(
        f'{name} noted, "{words(said, puzzle.names)}".'
        for name, said in zip(puzzle.names, puzzle.statements, strict=True)
    )
    spoken = [role_words[not role] for role in puzzle.solution]
    solved = ", ".join(f"{n} is a {w}" for n, w in zip(puzzle.names, spoken, strict=True))
    return {
        "quiz": f"You meet {len(puzzle.names)} inhabitants. {claims} So who is who?",
        "names": list(puzzle.names),
        "knight_knave": {"knight": role_words[0], "a_knight": "?", "knave": role_words[1]},
        "solution": list(puzzle.solution),
        "solution_text": f"{solved}.",
        "statements": repr(tuple(map(public, puzzle.statements))),
        "index": 0,
    }


def puzzles(count: int, people: tuple[int, ...] = (2, 3, 4)) -> list[Puzzle]:
    rng = Random(str(people))
    return [
        generate(rng, num_people=rng.choice(people), depth=2, width=2, leaf_share=0.3)
        for _ in range(count)
    ]


def write(path: Path, records: list) -> str:
    lines = [one if isinstance(one, str) else json.dumps(one) for one in records]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.fixture
def file(tmp_path) -> str:
    return write(tmp_path / "puzzles.jsonl", [record(puzzle) for puzzle in puzzles(200)])


def test_every_puzzle_of_the_file_stands_in_the_split_of_its_fingerprint(file: str) -> None:
    task = KnightsKnaves(path=file)
    assert isinstance(task, HasSizes)
    assert task.splits == ("train", "validation", "test")
    assert sum(task.size(split) for split in task.splits) == 200
    asked = {}
    for split in task.splits:
        for i in range(task.size(split)):
            problem = task.problem(split, i)
            assert belongs(split, int(problem.family, 16))
            asked[problem.prompt] = problem
    for puzzle in puzzles(200):
        problem = next(
            p for prompt, p in asked.items() if prompt.startswith(record(puzzle)["quiz"])
        )
        assert problem.metadata["statements"] == puzzle.statements
        assert problem.metadata["solution"] == puzzle.solution
        assert problem.family == f"{fingerprint(puzzle.statements):016x}"
        assert problem.difficulty == puzzle.num_people


def test_the_index_counts_modulo_the_size(file: str) -> None:
    task = KnightsKnaves(path=file)
    for split in task.splits:
        first, again = task.problem(split, 1), task.problem(split, 1 + task.size(split))
        assert (first.prompt, first.answer) == (again.prompt, again.answer)


def test_a_prompt_is_the_quiz_and_the_answer_format_which_is_graded_so(file: str) -> None:
    task = KnightsKnaves(path=file)
    problem = task.problem("test", 0)
    quiz, _, told = problem.prompt.partition(" So who is who? ")
    assert quiz.startswith("You meet") and told.startswith("Think step by step")
    example = told[told.index("<answer>") : told.index("</answer>")].removeprefix("<answer>")
    names = problem.metadata["names"]
    for roles in itertools.product(PLAIN, repeat=len(names)):
        said = ", ".join(f"{name} is a {role}" for name, role in zip(names, roles, strict=True))
        right = tuple(role == "knight" for role in roles) == problem.metadata["solution"]
        assert task.grade(problem, f"Well. <answer>{said}</answer>") == float(right)
    assert [part.partition(" ")[0] for part in example.split(", ")] == list(names)
    assert task.grade(problem, task.answer_text(problem)) == 1.0
    assert task.grade(problem, task.rule_based_trace(problem)) == 1.0


def test_role_words_of_the_file_are_the_ones_that_count(tmp_path) -> None:
    both = ("angel", "devil")
    file = write(tmp_path / "p.jsonl", [record(puzzle, both) for puzzle in puzzles(100)])
    task = KnightsKnaves(path=file)
    problem = task.problem("train", 0)
    assert "is an angel" in problem.prompt and problem.metadata["role_words"] == both
    assert task.grade(problem, task.answer_text(problem)) == 1.0
    plain = problem.answer.replace("angel", "knight").replace("devil", "knave")
    assert task.grade(problem, f"<answer>{plain}</answer>") == 0.0
    said = problem.answer.replace(" angel", " is an angel").replace(" devil", " is a devil")
    assert task.grade(problem, f"<answer>{said}</answer>") == 1.0


def test_numbers_of_people_part_the_file_into_splits(file: str) -> None:
    task = KnightsKnaves(path=file, people=[2, 3], axes=["people-4"])
    assert task.splits == ("train", "validation", "test", "ood/people-4")
    for split in task.splits:
        sizes = {task.problem(split, i).difficulty for i in range(task.size(split))}
        assert sizes == {4} if split.startswith("ood") else sizes <= {2, 3}
        for i in range(task.size(split)):
            number = int(task.problem(split, i).family, 16)
            assert belongs("train", number) == (split == "train")


def test_names_of_two_words_are_answered_as_they_stand(tmp_path) -> None:
    records = []
    for puzzle in puzzles(80):
        line = json.dumps(record(puzzle))
        for name in puzzle.names:
            line = line.replace(name, f"{name}-Lou d'Or")
        records.append(line)
    task = KnightsKnaves(path=write(tmp_path / "p.jsonl", records))
    problem = task.problem("train", 3)
    assert "-Lou d'Or" in problem.answer
    assert task.grade(problem, task.answer_text(problem)) == 1.0
    assert task.rewards["logic_rl"](problem, f"so </think>{task.answer_text(problem)}") == 3.0


def broken(**fields) -> str:
    good = record(puzzles(1)[0])
    return json.dumps({**good, **fields})


PAIR = {"names": ["Ann", "Bob"], "quiz": "Ann and Bob.", "solution": [True, False]}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "it is no JSON"),
        ("[" * 100_000, "it is nested too deeply|it is no JSON"),
        ("[1, 2]", "it is no JSON object"),
        (json.dumps({"quiz": "?", "names": ["Ann", "Bob"]}), "it has no 'statements'"),
        (broken(quiz=3), "'quiz' must be a text"),
        (broken(quiz="\ud800"), "'quiz' must be a text"),
        (broken(quiz="Nobody."), "does not stand in the quiz"),
        (broken(names="Ann"), "'names' must be a list of 2 to 8 names"),
        (broken(names=["Ann"]), "'names' must be a list of 2 to 8 names"),
        (broken(names=["Ann", "a, b"]), "characters that no answer can have|does not stand"),
        (broken(**PAIR | {"names": ["Ann", "Ann"]}), "'names' has a name twice"),
        (broken(solution=[1, 0]), "'solution' must be"),
        (broken(solution=[True]), "'solution' must be"),
        (broken(statements=[["lying", 0]]), "'statements' must be a text of up to 20000"),
        (broken(statements="(" + "1," * 20_000 + ")"), "'statements' must be a text of up to"),
        (broken(statements="__import__('os').system('true')"), "'statements' is no Python literal"),
        (broken(statements="(" * 5000 + ")" * 5000), "'statements' is no Python literal"),
        (broken(statements="{[]: 1}"), "'statements' is no Python literal"),
        (broken(statements="'x' * 3"), "'statements' is no Python literal"),
        (broken(statements="()"), "'statements' must be . statements, one for each name"),
        (broken(**PAIR, statements="(('lying', 2), ('lying', 0))"), "about nobody in the puzzle"),
        (broken(**PAIR, statements="(('lying', True), ('lying', 0))"), "about nobody"),
        (broken(**PAIR, statements="(('lying', 1), ('xor', 1))"), "is no statement"),
        (broken(**PAIR, statements="(('lying', 1), ('not',))"), "is no statement"),
        (broken(**PAIR, statements="(('lying', 1), ('->', ('lying', 0)))"), "is no statement"),
        (broken(**PAIR, statements="(('lying', 1), [])"), "is no statement"),
        (
            broken(**PAIR, statements="(" + "('not', " * 9 + "('lying', 0)" + ")" * 9 + ", 1)"),
            "a statement has more than 8 levels",
        ),
        (broken(**PAIR, statements="(('lying', 1), ('lying', 0))"), "have 2 solutions instead of"),
        (broken(**PAIR, statements="(('lying', 0), ('lying', 0))"), "have 0 solutions instead of"),
        (broken(solution=[not r for r in puzzles(1)[0].solution]), "not the one that its"),
        (broken(knight_knave="knight"), "'knight_knave' must be an object with two words"),
        (broken(knight_knave={"knight": "x", "knave": "x"}), "'knight_knave' must be an object"),
    ],
)
def test_a_broken_line_is_named_in_one_sentence(tmp_path, line: str, says: str) -> None:
    good = [record(puzzle) for puzzle in puzzles(40)]
    path = write(tmp_path / "p.jsonl", [*good, "", line, *good])
    with pytest.raises(ValueError, match=f"p.jsonl, line 42: .*({says})") as error:
        KnightsKnaves(path=path)
    assert str(error.value).startswith("task.options.path: ")
    assert "\n" not in str(error.value) and len(str(error.value)) < 300 + len(path)


def test_bytes_that_are_no_text_are_no_json(tmp_path) -> None:
    (tmp_path / "p.jsonl").write_bytes(b'{"quiz": "\xff\xfe"}\n')
    with pytest.raises(ValueError, match="line 1: it is no JSON"):
        KnightsKnaves(path=str(tmp_path / "p.jsonl"))


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_an_empty_file_holds_no_puzzle(tmp_path, text: str) -> None:
    (tmp_path / "p.jsonl").write_text(text)
    with pytest.raises(ValueError, match="holds no puzzle"):
        KnightsKnaves(path=str(tmp_path / "p.jsonl"))


def test_a_split_that_would_be_empty_is_named(tmp_path, file: str) -> None:
    alike = [record(puzzles(1)[0])] * 30
    with pytest.raises(ValueError, match=r"the split \w+ would be empty.* none of the 30 puzzles"):
        KnightsKnaves(path=write(tmp_path / "p.jsonl", alike))
    with pytest.raises(ValueError, match="the split ood/people-7 would be empty"):
        KnightsKnaves(path=file, ood_people=[7])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"axes": ["leaf"]}, "task.options.axes has 'leaf', but puzzles from task.options.path"),
        ({"depth": 3}, "depth, width, leaf_share and prompt must be left out"),
        ({"prompt": "full"}, "depth, width, leaf_share and prompt must be left out"),
    ],
)
def test_options_that_make_puzzles_do_not_go_with_a_file(file: str, options, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        KnightsKnaves(path=file, **options)


def test_a_recipe_names_the_file(file: str, tmp_path) -> None:
    assert load_task("knights", seed=0, options={"path": file}).problem("test", 0).family
    with pytest.raises(ConfigError, match="cannot be read"):
        load_task("knights", seed=0, options={"path": str(tmp_path / "none.jsonl")})
