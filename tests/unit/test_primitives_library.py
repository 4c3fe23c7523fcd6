"""Laws of libraries of primitives: likeness, files that people edit, merging and comparing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailor_rl.errors import ConfigError
from tailor_rl.primitives.library import (
    copies,
    is_new,
    leaks,
    mean_similarity,
    read_library,
    to_line,
    to_markdown,
    write_library,
)
from tailor_rl.primitives.merging import Source, diff, merge
from tailor_rl.types import Primitive

ADVICE = (
    "Restate every claim in your own words before you reason about it.",
    "Work backwards from what the question asks for.",
    "Draw up a table of all the possibilities and strike out the impossible ones.",
    "Solve a smaller version first, then extend its solution.",
)
text = st.text(st.characters(codec="utf-8"), max_size=40)


def primitive(number: int, instruction: str, name: str = "Name") -> Primitive:
    return Primitive(f"primitive-{number:03d}", name, instruction, "Pattern", ("a", "b"), "t", 0.8)


def written(folder: Path, *lines: str, end: str = "\n") -> Path:
    path = folder / "primitives.jsonl"
    path.write_text("\n".join(lines) + end, encoding="utf-8", newline="")
    return path


def test_likeness_is_blind_to_case_and_punctuation() -> None:
    assert not is_new("work, BACKWARDS!", ["Work backwards"], max_similarity=99.0)
    assert is_new("Work backwards", ["Check each step"], max_similarity=90.0)
    assert is_new("Work backwards", [], max_similarity=0.0)


def test_an_instruction_about_the_same_things_is_no_copy() -> None:
    problem = "Alice says that Bob is a knave. Bob says that both of them are knights."
    assert copies("bob says that both of them are KNIGHTS", [problem])
    assert not copies("Assume that one of them is a knave and derive what follows.", [problem])
    assert not copies("Longer than the text that it is compared with.", ["Longer than"])


def test_an_instruction_that_says_a_final_answer_leaks_it() -> None:
    right = ["I assume ...\nSo Alice is a knight and Bob is a knave.\n", "...\n7"]
    assert leaks("Remember: so ALICE is a knight, and Bob is a knave!", right)
    assert not leaks("Assume that Alice is a knight and see what Bob is.", right)
    assert not leaks("Go through all 7 cases in order.", right)  # one word may be chance
    assert not leaks("Check everything at the end.", ["", "\n\n"])


def test_diversity_is_a_mean_over_pairs() -> None:
    same = [primitive(1, ADVICE[0]), primitive(2, ADVICE[0])]
    assert mean_similarity(same) == 100.0
    assert mean_similarity(same[:1]) == 0.0
    assert mean_similarity([*same, primitive(3, ADVICE[1])]) < 90.0


def test_the_page_of_a_library_shows_markup_as_text() -> None:
    page = to_markdown(
        [
            primitive(1, "Use <script>alert(1)</script>\n# now \x1b[31m\u202e", name="*Bold*"),
            primitive(2, "- first\n- second"),
            primitive(3, "1. first"),
        ]
    )
    assert "<script>" not in page.replace("\\<", "") and "\n# now" not in page
    assert "\x1b" not in page and "\u202e" not in page
    assert "## primitive-001: \\*Bold\\*" in page
    assert "from 2 attempts: a, b." in page
    assert "> \\- first" in page and "> 1\\. first" in page


@given(
    st.builds(
        Primitive,
        id=st.just("p"),
        name=text.filter(str.strip).map(str.strip),
        instruction=text.filter(str.strip),
        targets=text,
        source_attempt_ids=st.lists(text, max_size=3).map(tuple),
        teacher=text,
        temperature=st.floats(0, 2),
        prompt_version=text,
        parents=st.lists(text, max_size=2).map(tuple),
    )
)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, p: Primitive
) -> None:
    folder = tmp_path_factory.mktemp("library")
    written(folder, to_line(p))
    assert read_library(folder) == [p]


def test_a_library_is_a_file_and_a_page(tmp_path: Path) -> None:
    primitives = [primitive(1, ADVICE[0]), primitive(2, ADVICE[1])]
    folder = tmp_path / "new" / "library"
    write_library(folder, primitives)
    assert read_library(folder) == read_library(folder / "primitives.jsonl") == primitives
    assert (folder / "primitives.md").read_text() == to_markdown(primitives)


def test_a_line_written_by_hand_needs_an_instruction_only(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        '\ufeff{"instruction": "Work backwards from what the question asks for."}\r',
        "",
        '{"id": "mine", "instruction": "Check.", "name": "Check", "temperature": 1}',
        end="",  # an editor that ends a file without a newline loses nothing
    )
    first, second = read_library(path)
    assert (first.id, first.name) == ("primitive-001", "Work backwards from what the")
    assert (first.teacher, first.temperature, first.source_attempt_ids) == ("by hand", 0.0, ())
    assert (second.id, second.name, second.temperature) == ("mine", "Check", 1.0)
    assert "Written by hand." in to_markdown([first])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"instruction": "Go on', "line 2 is no primitive (Invalid JSON"),
        ("Go on.", "line 2 is no primitive (Invalid JSON"),
        ("[]", "line 2 is no primitive"),
        ('{"name": "Go on"}', "(instruction: Field required)"),
        ('{"instuction": "Go on."}', "did you mean 'instruction'?"),
        ('{"instruction": "Go.", "target": "x"}', "'target' is no field of it; did you mean 'targ"),
        ('{"instruction": 5}', "(instruction: Input should be a valid string)"),
        ('{"instruction": "Go.", "temperature": -1}', "(temperature: "),
        ('{"instruction": "Go.", "source_attempt_ids": "a"}', "(source_attempt_ids: "),
        ('{"instruction": " "}', "line 2 has an empty instruction"),
        ('{"instruction": "Go.", "id": "primitive-001"}', "the id 'primitive-001' of line 1"),
        ('{"instruction": "\\ud800"}', "line 2 is no primitive (Invalid JSON"),
    ],
)
def test_a_broken_line_is_one_sentence(tmp_path: Path, line: str, says: str) -> None:
    path = written(tmp_path, to_line(primitive(1, ADVICE[0])), line)
    with pytest.raises(ConfigError) as caught:
        read_library(tmp_path)
    assert str(caught.value).startswith(f"{path}, line 2 ") and says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_library_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no library of primitives at .*nowhere"):
        read_library(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="no library of primitives at"):
        read_library(tmp_path)
    written(tmp_path, "", " ")
    with pytest.raises(ConfigError, match="is empty: write a primitive a line"):
        read_library(tmp_path)


def test_a_merge_keeps_the_first_of_near_duplicates_and_says_why() -> None:
    first = [primitive(1, ADVICE[0]), primitive(2, ADVICE[1])]
    second = [primitive(1, ADVICE[1].upper()), primitive(2, ADVICE[2])]
    merged = merge([Source("a", first), Source("b", second)], max_similarity=90.0)
    assert [p.instruction for p in merged.primitives] == [ADVICE[0], ADVICE[1], ADVICE[2]]
    assert [p.id for p in merged.primitives] == [f"primitive-00{i}" for i in (1, 2, 3)]
    origins = [("a/primitive-001",), ("a/primitive-002",), ("b/primitive-002",)]
    assert [p.parents for p in merged.primitives] == origins
    (dropped,) = merged.dropped
    assert (dropped.origin, dropped.like) == ("b/primitive-001", "a/primitive-002")
    assert (dropped.kept_id, dropped.likeness) == ("primitive-002", 100.0)
    again = merge([Source("c", merged.primitives)], max_similarity=90.0)
    assert again.primitives[2].parents == ("c/primitive-003", "b/primitive-002")


def test_a_merge_loses_nothing_where_nothing_is_alike() -> None:
    sources = [Source(str(i), [primitive(1, advice)]) for i, advice in enumerate(ADVICE)]
    merged = merge(sources, max_similarity=90.0)
    assert len(merged.primitives) == len(ADVICE) and not merged.dropped


def test_a_difference_pairs_what_is_most_alike() -> None:
    near = ADVICE[0].replace("claim", "statement")
    first = [primitive(1, ADVICE[0]), primitive(2, ADVICE[1]), primitive(3, ADVICE[2])]
    second = [primitive(7, near), primitive(8, ADVICE[1] + "!"), primitive(9, ADVICE[3])]
    found = diff(first, second, min_likeness=70.0)
    assert [(pair.first.id, pair.second.id) for pair in found.same] == [
        ("primitive-002", "primitive-008")
    ]
    (alike,) = found.alike
    assert (alike.first.id, alike.second.id) == ("primitive-001", "primitive-007")
    assert 70.0 <= alike.likeness < 100.0
    assert [p.id for p in found.only_first] == ["primitive-003"]
    assert [p.id for p in found.only_second] == ["primitive-009"]


def test_each_primitive_is_in_one_pair_at_most() -> None:
    twins = [primitive(1, ADVICE[0]), primitive(2, ADVICE[0])]
    found = diff(twins, [primitive(3, ADVICE[0])], min_likeness=0.0)
    assert [pair.first.id for pair in found.same] == ["primitive-001"]
    assert [p.id for p in found.only_first] == ["primitive-002"]


def test_a_line_is_json_with_the_fields_in_order() -> None:
    keys = list(json.loads(to_line(primitive(1, ADVICE[0]))))
    assert keys[:4] == ["id", "name", "instruction", "targets"]
