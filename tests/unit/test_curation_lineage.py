"""Lineage: equal things have equal hashes, any change has another, and nothing private gets out."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace

import pytest

from tailor_rl.curation.lineage import Lineage, facts, render, same_queries, set_sha256, sha256_of
from tailor_rl.markdown import code_block, escaped
from tailor_rl.runs.folder import RunFolder
from tailor_rl.tasks.registry import load_task
from tailor_rl.train_problems import warm_start_problems
from tests.curation_fakes import (
    SPENT,
    demonstration,
    demonstrations,
    lineage,
    problems,
    recipe,
)
from tests.run_folders import journal


def test_two_initialisations_of_one_recipe_have_the_same_queries() -> None:
    task = load_task("knights", seed=0, options={})
    queries = warm_start_problems(task, 8)
    ours = lineage(demonstrations(8), recipe(initialisation="tailor"), queries=queries)
    theirs = lineage(
        [demonstration(i, origin="rule", primitive_id=None, teacher="") for i in range(5)],
        recipe(initialisation="rule_based"),
        queries=warm_start_problems(task, 8)[::-1],
        primitives=[],
    )
    assert same_queries(ours, theirs)
    assert ours.set_sha256 != theirs.set_sha256
    assert ours.answered_sha256 != theirs.answered_sha256

    other_task = load_task("knights", seed=1, options={})
    others = lineage(demonstrations(8), queries=warm_start_problems(other_task, 8))
    assert not same_queries(ours, others)


def test_one_word_in_one_query_changes_the_hash() -> None:
    first = problems(10)
    edited = [*first[:9], replace(first[9], prompt=first[9].prompt + "!")]
    assert not same_queries(
        lineage(demonstrations(3), queries=first), lineage(demonstrations(3), queries=edited)
    )


@pytest.mark.parametrize(
    "change",
    [
        {"trace": "Answer: 9"},
        {"reward": 0.0},
        {"primitive_id": None},
        {"temperature": 0.8},
        {"teacher": "another"},
        {"prompt_version": "demonstrate@ffffffff"},
        {"origin": "control"},
    ],
)
def test_every_field_that_makes_a_set_is_in_its_hash(change: dict[str, object]) -> None:
    made = demonstrations(4)
    assert set_sha256(made) != set_sha256([*made[:3], replace(made[3], **change)])  # type: ignore[arg-type]


def test_order_is_part_of_a_set() -> None:
    assert set_sha256(demonstrations(4)) != set_sha256(demonstrations(4)[::-1])


def test_hashes_are_sha256_of_canonical_json() -> None:
    """`printf '["a",1]' | sha256sum`, and for the object `{"a":"é" escaped,"b":2}`."""
    import hashlib

    assert sha256_of(("a", 1)) == hashlib.sha256(b'["a",1]').hexdigest()
    assert sha256_of({"b": 2, "a": "é"}) == hashlib.sha256(b'{"a":"\\u00e9","b":2}').hexdigest()


def test_counts_by_grade_origin_primitive_and_writer() -> None:
    made = [
        *demonstrations(7, wrong=2),
        demonstration(7, origin="rule", primitive_id=None, teacher="", temperature=None),
    ]
    found = lineage(made)
    assert found.grades == {"1": 6, "0": 2}
    assert found.origins == {"teacher": 7, "rule": 1}
    assert [use.demonstrations for use in found.primitives] == [3, 2, 2]
    assert [(w.what, w.model, w.temperature, w.num) for w in found.writers] == [
        ("primitives", "deepseek-reasoner", 0.8, 3),
        ("demonstrations", "deepseek-reasoner", 0.4, 7),
        ("demonstrations", "", None, 1),
    ]
    assert found.prompt_versions == ("demonstrate@1a2b3c4d", "discover@aaaabbbb")
    assert (found.num_queries, found.num_answered, found.num_demonstrations) == (10, 8, 8)
    assert (found.tokens, found.spent) == (321, SPENT)


def test_the_journal_gives_back_what_was_written(folder: RunFolder) -> None:
    written = lineage(demonstrations(4), recipe(task={"name": "knights", "options": {"people": 3}}))
    book = journal(folder)
    book.write("lineage", [written])
    (read,) = book.read("lineage", Lineage)
    assert read == written
    assert same_queries(read, written)


def test_absolute_paths_are_not_published() -> None:
    cfg = recipe(
        student="/home/ada/students/small",
        initialisation="/home/ada/private/mine.py:make",
        task={"name": "/home/ada/tasks/own.py:Own", "options": {"file": "/home/ada/rows.jsonl"}},
        primitives={"library": "/home/ada/primitives.jsonl"},
    )
    found = lineage(demonstrations(2), cfg)
    assert "/home/ada" not in json.dumps(dataclasses.asdict(found))
    assert (found.student, found.initialisation) == ("small", "mine.py:make")
    assert found.task_options == {"file": "rows.jsonl"}


def test_the_facts_show_hashes_teachers_budget_and_cost() -> None:
    cfg = recipe(
        demonstrations={
            "keep": "all",
            "match": "tokens",
            "match_to": 4000,
            "correct_share": 0.5,
        }
    )
    made = demonstrations(6, wrong=3)
    found = lineage(made, cfg)
    shown = dict(facts(found))
    assert shown["demonstrations"] == f"6, sha256 {set_sha256(made)}"
    assert shown["grades"].startswith("3 of 6 right (50.0 %)")
    assert shown["filters"] == "keep = all, trimmed to 50 % right ones, matched to 4,000 tokens"
    assert "6 demonstrations by deepseek-reasoner at temperature 0.4" in shown["written by"]
    assert shown["teacher"] == "30 requests, 43,200 tokens"
    assert all(line.startswith("- **") and "\n" not in line for line in render(found))


@pytest.mark.parametrize(
    ("keep", "wrong", "overridden"),
    [("correct", 0, False), ("correct", 4, True), ("wrong", 4, False), ("wrong", 2, True),
     ("all", 2, False)],
)  # fmt: skip
def test_a_set_that_is_not_what_the_recipe_keeps_says_so(
    keep: str, wrong: int, overridden: bool
) -> None:
    found = lineage(demonstrations(4, wrong=wrong), recipe(demonstrations={"keep": keep}))
    assert ("overrides" in dict(facts(found))["filters"]) is overridden


def test_text_of_others_adds_no_markup() -> None:
    evil = "a|b <script>x</script> [l](http://e.vil) `c` **d** www.e.vil\n# heading \x1b[31m"
    shown = escaped(evil)
    assert "\n" not in shown and "\x1b" not in shown and "://" not in shown
    for mark in "|<>[]`*#":
        assert shown.count(mark) == shown.count(f"\\{mark}")
    assert "www." not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a_b|<i>\nc", r"a\_b\|\<i\> c"),
        (r"a\|b", r"a\\\|b"),
        ("- first", r"\- first"),
        ("--- rule", r"\--- rule"),
        ("+ first", r"\+ first"),
        ("12) first", r"12\) first"),
        ("1.", r"1\."),
        ("-1.5 and +2", "-1.5 and +2"),
        ("1.5 is first", "1.5 is first"),
        ("2026-05-01 - 3", "2026-05-01 - 3"),
    ],
)
def test_text_begins_no_list_and_figures_stay_as_they_are(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_text_is_cut_only_where_a_limit_is_given() -> None:
    assert escaped("x" * 600) == "x" * 497 + "..."
    assert escaped("x" * 600, None) == "x" * 600


def test_a_code_block_cannot_be_ended_from_within() -> None:
    lines = code_block("```\n</pre>\r\n\n# out\u2028x").split("\n")
    assert all(line.startswith("    ") for line in lines)
    assert code_block("x" * 2100).endswith("[... 100 more characters]")


def test_what_cannot_be_markup_is_left_to_be_read() -> None:
    assert escaped("after RL, pass@4: p = 0.35.") == "after RL, pass@4: p = 0.35."
    assert escaped("ask @bob, a@b.co, a@1.com") == r"ask \@bob, a\@b.co, a\@1.com"
    assert escaped("= under a title, ==marked==") == r"\= under a title, \==marked\=="
