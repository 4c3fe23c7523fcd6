"""One's own questions and answers: disjoint splits, refusals that name the line, honest traces."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tailor_rl.config.load import load_config
from tailor_rl.task_extras import HasAnswers, HasSizes, HasTraces
from tailor_rl.tasks.data.examples import normalised, without_numbers
from tailor_rl.tasks.data.loading import data_task
from tailor_rl.tasks.data.task import Data, SolvedData
from tailor_rl.tasks.registry import load_task

EXAMPLES = Path(__file__).parents[2] / "examples"


def write(path: Path, rows: Sequence[Any]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def rows(count: int, *, start: int = 0) -> list[dict[str, Any]]:
    return [
        {"question": f"What is {n} + {n}?", "answer": str(2 * n)}
        for n in range(start, start + count)
    ]


def prompts(task: Data, split: str) -> list[str]:
    return [task.problem(split, i).prompt for i in range(task.size(split))]


def refusal(make: Callable[[], Any]) -> str:
    with pytest.raises(ValueError) as caught:
        make()
    return str(caught.value)


def test_one_file_is_cut_into_disjoint_splits_whatever_its_order(tmp_path: Path) -> None:
    task = data_task(path=write(tmp_path / "a.jsonl", rows(300)), checker="number")
    backwards = data_task(path=write(tmp_path / "b.jsonl", rows(300)[::-1]), seed=7)
    assert task.splits == ("train", "validation", "test")
    assert sum(map(task.size, task.splits)) == 300
    assert 200 < task.size("train") < 270
    for split in task.splits:
        assert set(prompts(task, split)) == {
            p.replace("between", "as a number between") for p in prompts(backwards, split)
        }
    assert isinstance(task, HasSizes) and isinstance(task, HasAnswers)


def test_rows_keep_the_order_of_their_file_and_come_round_again(tmp_path: Path) -> None:
    file = write(tmp_path / "train.jsonl", rows(8))
    task = data_task(
        train=file,
        validation=write(tmp_path / "v.jsonl", rows(2, start=50)),
        test=write(tmp_path / "t.jsonl", rows(2, start=60)),
    )
    answers = [task.problem("train", i).answer for i in range(16)]
    assert answers == [str(2 * n) for n in [*range(8), *range(8)]]
    assert task.problem("train", 2**24).answer == answers[2**24 % 8]
    assert task.problem("train", 3).metadata == {"row": "train.jsonl:4"}


def test_a_split_without_a_file_is_cut_out_of_train(tmp_path: Path) -> None:
    task = data_task(
        train=write(tmp_path / "a.jsonl", rows(200)),
        test=write(tmp_path / "b.jsonl", rows(20, start=1000)),
    )
    assert task.size("test") == 20
    assert task.size("validation") > 5
    assert task.size("train") + task.size("validation") == 200


def test_no_question_stands_in_two_splits_or_twice_and_what_is_dropped_is_said(
    tmp_path: Path,
) -> None:
    loud = [{"question": "  WHAT is  3 + 3? ", "answer": "7"}]
    task = data_task(
        train=write(tmp_path / "a.jsonl", rows(60) + loud + rows(1)),
        validation=write(tmp_path / "v.jsonl", rows(2, start=70)),
        test=write(tmp_path / "b.jsonl", rows(3, start=10)),
        ood={"big": write(tmp_path / "c.jsonl", rows(3, start=11))},
    )
    keys = [normalised(p) for split in task.splits for p in prompts(task, split)]
    assert len(keys) == len(set(keys)) == 62
    assert [task.size(split) for split in task.splits] == [56, 2, 3, 1]
    assert task.notes == (
        "ood/big: 2 of 3 questions stand in another split too and are left out here",
        "train: 2 of 62 questions are repeats and left out "
        "(1 of them had another answer than the first)",
        "train: 4 of 62 questions stand in another split too and are left out here",
    )


def test_blind_to_numbers_keeps_families_in_one_split(tmp_path: Path) -> None:
    shapes = [
        {"question": f"{'ho ' * shape}: {n:,} and {n}.5?", "answer": str(n)}
        for shape in range(60)
        for n in range(1000, 1003)
    ]
    task = data_task(path=write(tmp_path / "a.jsonl", shapes), blind_to_numbers=True)
    families = {
        split: {task.problem(split, i).family for i in range(task.size(split))}
        for split in task.splits
    }
    assert not families["train"] & families["test"]
    assert not families["train"] & families["validation"]
    assert sum(map(len, families.values())) == 60
    assert sum(map(task.size, task.splits)) == 180
    assert without_numbers("a: 1,000 and 3.5?") == without_numbers("a: 7 and 12?")


def test_gsm8k_rows_lose_their_marks_and_keep_their_number(tmp_path: Path) -> None:
    row = {"question": "q", "answer": "She sold 48/2=<<48/2=24>>24 clips.\n#### 1,024"}
    file = write(tmp_path / "train.jsonl", [row])
    task = data_task(
        train=file,
        validation=write(tmp_path / "v.jsonl", [{**row, "question": "v"}]),
        test=write(tmp_path / "t.jsonl", [{**row, "question": "t"}]),
        preset="gsm8k",
    )
    problem = task.problem("train", 0)
    assert isinstance(task, SolvedData)
    assert task.rule_based_trace(problem) == "She sold 48/2=24 clips.\n<answer>1,024</answer>"
    assert task.grade(problem, "It is <answer>1024</answer>") == 1.0
    assert task.grade(problem, "<answer>1024</answer><answer>1025</answer>") == 0.0
    assert task.grade(problem, "1024") == 0.0


def test_there_is_a_trace_only_where_there_is_a_solution(tmp_path: Path) -> None:
    solved = [{**row, "how": f"It doubles to {row['answer']}."} for row in rows(60)]
    file = write(tmp_path / "a.jsonl", solved)
    assert not isinstance(data_task(path=file), HasTraces)
    task = data_task(path=file, solution="how")
    assert isinstance(task, SolvedData) and isinstance(task, HasTraces)
    for split in task.splits:
        for i in range(task.size(split)):
            problem = task.problem(split, i)
            assert task.grade(problem, task.rule_based_trace(problem)) == 1.0
    assert not isinstance(data_task(path=file, preset="", solution=""), HasTraces)


def test_every_format_gives_the_same_problems(tmp_path: Path) -> None:
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    everything = rows(80)
    made = [write(tmp_path / "a.jsonl", everything)]
    (tmp_path / "a.json").write_text(json.dumps(everything))
    lines = ["question,answer", *(f'"{r["question"]}",{r["answer"]}' for r in everything)]
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    table = pa.Table.from_pylist(everything)
    pq.write_table(table, tmp_path / "a.parquet")
    with pa.ipc.new_stream(str(tmp_path / "a.arrow"), table.schema) as stream:
        stream.write_table(table)
    made += [str(tmp_path / f"a.{kind}") for kind in ("json", "csv", "parquet", "arrow")]
    tasks = [data_task(path=file) for file in made]
    for split in tasks[0].splits:
        assert len({tuple(prompts(task, split)) for task in tasks}) == 1


def test_a_folder_has_its_splits_in_files_shards_or_folders(tmp_path: Path) -> None:
    write(tmp_path / "train-00001-of-00002.jsonl", rows(5, start=5))
    write(tmp_path / "train-00000-of-00002.jsonl", rows(5))
    write(tmp_path / "validation.jsonl", rows(2, start=20))
    for n in range(3):
        file = tmp_path / "test" / "algebra" / f"{n}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(rows(1, start=30 + n)[0]))
    task = data_task(path=str(tmp_path))
    assert [task.problem("train", i).answer for i in range(10)] == [str(2 * n) for n in range(10)]
    assert (task.size("validation"), task.size("test")) == (2, 3)
    assert "has no train" in refusal(lambda: data_task(path=str(tmp_path / "test")))


def test_a_template_may_use_any_column(tmp_path: Path) -> None:
    labelled = [{**row, "topic": "sums"} for row in rows(60)]
    file = write(tmp_path / "a.jsonl", labelled)
    task = data_task(path=file, template="[{{ topic }}] {{ question }} \\boxed{}")
    prompt = task.problem("train", 0).prompt
    assert prompt.startswith("[sums] What is") and prompt.endswith("? \\boxed{}")
    assert "did you mean 'topic'" in refusal(
        lambda: data_task(path=file, template="{{ topics }} {{ question }}")
    )
    assert "never asks" in refusal(lambda: data_task(path=file, template="Hello"))
    assert "no jinja2" in refusal(lambda: data_task(path=file, template="{{ question"))


BAD = [
    ('{"question": "a", "answer": "1"}\n{"question": "b", ', "x.jsonl:2: this line is no JSON"),
    ('{"question": "a", "answer": "1"}\n[1]', "x.jsonl:2: a row must be an object"),
    (
        '{"qestion": "a", "answer": "1"}',
        "x.jsonl:1: there is no column 'question'; did you mean 'q",
    ),
    ('{"question": "a", "answer": ""}', "x.jsonl:1: answer is empty"),
    ('\n{"question": "a", "answer": null}', "x.jsonl:2: answer must be text or a number, not noth"),
    ('{"question": "a", "answer": ["1"]}', "x.jsonl:1: answer must be text or a number, not ['1']"),
    ('{"question": "a", "answer": true}', "x.jsonl:1: answer must be text or a number, not True"),
    ('{"question": " ", "answer": "1"}', "x.jsonl:1: question is empty"),
    ("", "x.jsonl: there are no rows"),
    ('{"question": "a", "answer": "1"}', "too few to cut"),
    (f'{{"question": "a", "answer": "{"9" * 3000}"}}', "x.jsonl:1: the answer has 3000 characters"),
]


@pytest.mark.parametrize(("content", "said"), BAD)
def test_a_bad_row_is_refused_with_file_and_line(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text(content, encoding="utf-8")
    message = refusal(lambda: data_task(path=str(file)))
    assert said in message
    assert "\n" not in message


def test_a_file_that_is_not_utf8_is_refused_and_a_mark_at_its_start_is_none(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    good = "".join(json.dumps(row) + "\n" for row in rows(60))
    file.write_bytes(b"\xef\xbb\xbf" + good.encode())
    assert data_task(path=str(file)).size("train") > 30
    file.write_bytes(good.encode() + b'{"question": "caf\xe9", "answer": "1"}')
    assert "x.jsonl:61: byte 18 is no UTF-8" in refusal(lambda: data_task(path=str(file)))
    file.write_bytes(good.encode("utf-16"))
    assert "this is UTF-16" in refusal(lambda: data_task(path=str(file)))
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no")
    assert "no Parquet file" in refusal(lambda: data_task(path=str(tmp_path / "x.parquet")))


def test_rows_of_another_shape_than_the_preset_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "x.jsonl", [{"question": "a", "answer": "It is 4."}])
    assert "x.jsonl:1: answer must end like" in refusal(
        lambda: data_task(path=file, preset="gsm8k")
    )
    file = write(tmp_path / "y.jsonl", [{"problem": "a", "solution": "4", "level": "Level ?"}])
    assert "must hold the answer in \\boxed{}" in refusal(
        lambda: data_task(path=file, preset="math")
    )
    file = write(tmp_path / "z.jsonl", [{"question": "a", "answer": "four"}])
    assert "the answer 'four' is no number" in refusal(
        lambda: data_task(path=file, checker="number")
    )
    taught = [{"question": "a", "answer": "4", "how": "<answer>5</answer>"}]
    file = write(tmp_path / "w.jsonl", taught)
    assert "the solution gives another answer" in refusal(
        lambda: data_task(path=file, solution="how")
    )


def test_options_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "data.jsonl", rows(60))
    assert "none of them" in refusal(data_task)
    assert "task.options.path and" in refusal(lambda: data_task(path=file, train=file))
    assert "subset" in refusal(lambda: data_task(path=file, subset="main"))
    assert "'gsm8k' or 'math'" in refusal(lambda: data_task(path=file, preset="gsm"))
    assert "'exact' or 'number'" in refusal(lambda: data_task(path=file, checker="maths"))
    assert "did you mean 'data.jsonl'" in refusal(
        lambda: data_task(path=str(tmp_path / "dat.jsonl"))
    )
    assert "ends in .jsonl" in refusal(lambda: data_task(path=__file__))
    assert "all questions of train" in refusal(
        lambda: data_task(train=file, validation=write(tmp_path / "v.jsonl", rows(9)), test=file)
    )


def test_a_data_set_that_is_not_in_the_cache_is_refused_at_once() -> None:
    said = refusal(lambda: data_task(name="nobody/has-this-one", preset="gsm8k"))
    assert "not in the local cache" in said and "hf download" in said


@pytest.mark.parametrize("recipe", ["gsm8k_shape", "math_shape"])
def test_the_examples_of_data_load_and_grade(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = EXAMPLES / "own_data" / f"{recipe}.toml"
    load_config(file)
    monkeypatch.chdir(file.parent)
    task = data_task(**tomllib.loads(file.read_text())["task"]["options"])
    assert isinstance(task, SolvedData)
    assert sum(map(task.size, task.splits)) >= 12
    for split in task.splits:
        for i in range(task.size(split)):
            problem = task.problem(split, i)
            assert task.grade(problem, task.answer_text(problem)) == 1.0
            assert task.grade(problem, task.rule_based_trace(problem)) == 1.0
            assert task.grade(problem, problem.prompt) == task.grade(problem, "") == 0.0
            assert "<<" not in task.rule_based_trace(problem)


def test_the_example_of_a_task_loads_and_grades() -> None:
    file = EXAMPLES / "own_task" / "sums.toml"
    load_config(file)
    section = tomllib.loads(file.read_text())["task"]
    name = f"{file.parent}/{section['name']}"
    task = load_task(name, seed=0, options=section["options"])
    assert isinstance(task, HasTraces)
    for split in task.splits:
        problem = task.problem(split, 0)
        assert task.grade(problem, task.rule_based_trace(problem)) == 1.0
        assert task.grade(problem, problem.prompt) == 0.0
