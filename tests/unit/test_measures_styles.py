from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailor_rl.measures.attribution import (
    Calibration,
    Vocabulary,
    calibrate,
    halves_of,
    held_out,
    log_posteriors,
    pieces_of,
    styles_of,
)
from tailor_rl.measures.styles import OTHER, UNCLEAR, Styles, Text, merge
from tests.usage_fakes import COMMON, PROMPT, planted, planted_texts, spliced


def test_a_piece_says_how_it_was_reasoned_and_not_about_whom() -> None:
    first = pieces_of("Suppose Ann lies. Then 3 fits.", "Ann says Bob lies.")
    second = pieces_of("Suppose Kim lies. Then 17 fits.", "Kim says Leo lies.")
    assert first == second
    assert ("then", "0", "fits") in first


def test_the_order_in_which_a_prompt_is_gone_through_can_be_seen() -> None:
    prompt = "Ann sleeps. Bob sings. Cleo runs."
    down = pieces_of("first Ann then Bob then Cleo", prompt)
    up = pieces_of("first Cleo then Bob then Ann", prompt)
    assert ("then", "X>") in down - up
    assert ("then", "X<") in up - down


def test_a_text_begins_in_its_first_half_and_ends_in_its_last() -> None:
    first, second = halves_of("Alas one two. Three four five. Six seven. Eight nine ten.", PROMPT)
    assert ("^", "alas") in first and ("five",) in first and ("six",) not in first
    assert ("ten", "$") in second and ("six",) in second and ("five",) not in second
    assert len(halves_of("a single sentence without an end", PROMPT)) == 1
    assert halves_of("", PROMPT) == [frozenset({("^",), ("$",), ("^", "$")})]


@given(st.text(alphabet="abc .!?\n", max_size=80))
def test_halves_have_the_words_of_the_whole_and_no_others(text: str) -> None:
    single = {piece for piece in pieces_of(text, "") if len(piece) == 1}
    halved = frozenset[tuple[str, ...]]().union(*halves_of(text, ""))
    assert {piece for piece in halved if len(piece) == 1} == single


def test_a_vocabulary_is_the_same_in_every_process() -> None:
    code = (
        "from tailor_rl.measures.attribution import Vocabulary, pieces_of\n"
        "texts = [pieces_of('so we look at it and go on', '')] * 2\n"
        "print(list(Vocabulary.of(texts).columns))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1


def test_no_problem_is_both_learnt_from_and_judged() -> None:
    """Every problem has words of its own, and its texts have one label: who has seen the problem
    knows the label, and who has not can only guess.
    """
    rng = np.random.default_rng(0)
    own = ["".join(rng.choice(list("bcdfghklm"), size=8)) for _ in range(150)]
    own = [word for word in own for _ in range(3)]
    texts = [pieces_of(f"so we look at {word} and {word}", "") for word in own]
    labels_N = np.repeat(rng.permutation([0, 1] * 75), 3)
    presence = Vocabulary.of(texts).presence(texts)

    judged = held_out(presence, labels_N, own, seed=0).scores_NK.argmax(axis=1)
    by_text = held_out(presence, labels_N, [str(i) for i in range(450)], seed=0)
    assert np.mean(judged == labels_N) < 0.55
    assert np.mean(by_text.scores_NK.argmax(axis=1) == labels_N) > 0.9


def test_one_problem_leaves_nothing_to_learn_from() -> None:
    presence = Vocabulary.of([]).presence([frozenset(), frozenset()])
    with pytest.raises(ValueError, match="at least two"):
        held_out(presence, np.array([0, 1]), ["p", "p"], seed=0)


def test_calibrated_posteriors_are_as_sure_as_they_are_right() -> None:
    texts, labels, _ = planted_texts([0, 0, 1, 1], each=80, seed=3)
    pieces = [pieces_of(text.text, text.prompt) for text in texts]
    labels_N = np.array(labels)
    names = [text.problem_id for text in texts]
    scores_NK = held_out(Vocabulary.of(pieces).presence(pieces), labels_N, names, seed=0).scores_NK
    single = [(k,) for k in range(4)]

    def sureness(by: Calibration) -> float:
        return float(np.exp(log_posteriors(scores_NK, by, single).max(axis=1)).mean())

    right = float(np.mean(scores_NK.argmax(axis=1) == labels_N))
    assert abs(sureness(calibrate(scores_NK, labels_N, single)) - right) < 0.1
    assert sureness(Calibration(1.0, 0.0)) > right + 0.2  # the defect that this mends


def test_a_few_texts_that_follow_another_class_do_not_blur_the_others() -> None:
    """1 in 10 is scored as another class's, by as much as the others by their own: nothing but
    how often that happens can be known, and sureness is 0.9 and not less.
    """
    labels_N = np.tile([0, 1], 100)
    scored_N = np.where(np.arange(200) < 20, 1 - labels_N, labels_N)
    scores_NK = np.where(np.eye(2)[scored_N] > 0, 0.0, -60.0)
    fitted = calibrate(scores_NK, labels_N, [(0,), (1,)])
    sure_N = np.exp(log_posteriors(scores_NK, fitted, [(0,), (1,)]).max(axis=1))
    assert fitted.lapse == 0.2  # half of its texts are still scored right, by chance
    assert sure_N == pytest.approx(np.full(200, 0.9), abs=0.02)


def test_posteriors_of_styles_are_sums_over_their_classes() -> None:
    scores_NK = np.log(np.array([[0.5, 0.3, 0.2]]))
    shares = np.exp(log_posteriors(scores_NK, Calibration(1.0, 0.0), [(0,), (1, 2)]))
    assert shares == pytest.approx(np.array([[0.5, 0.5]]))
    lapsed = np.exp(log_posteriors(scores_NK, Calibration(1.0, 0.3), [(0,), (1, 2)]))
    assert lapsed == pytest.approx(np.array([[0.7 * 0.5 + 0.3 / 3, 0.7 * 0.5 + 0.3 * 2 / 3]]))
    assert styles_of(np.array([2, 0, 1]), [(0,), (1, 2)]).tolist() == [1, 0, 1]


def test_classes_are_merged_while_more_than_one_in_ten_is_mistaken() -> None:
    """0 and 1 are mistaken for each other in 2 of 10, 2 for none."""
    labels_N = np.repeat([0, 1, 2], 10)
    scores_NK = np.where(np.eye(3)[labels_N] > 0, 0.0, -9.0)
    for row in (0, 1, 10, 11):
        scores_NK[row, [0, 1]] = scores_NK[row, [1, 0]]
    assert merge(scores_NK, labels_N) == ((0, 1), (2,))
    scores_NK[[0, 10]] = np.where(np.eye(3)[[0, 1]] > 0, 0.0, -9.0)  # now it is 1 of 10
    assert merge(scores_NK, labels_N) == ((0,), (1,), (2,))


def test_a_class_whose_texts_are_never_clear_is_joined_to_its_nearest() -> None:
    """Texts of 0 and 1 are all guessed right, by so little that none is clear."""
    labels_N = np.repeat([0, 1, 2], 40)
    scores_NK = np.where(np.eye(3)[labels_N] > 0, 0.0, -9.0)
    scores_NK[:80, :2] = np.where(np.eye(2)[labels_N[:80]] > 0, 0.0, -0.5)
    scores_NK[:8:4, 0] = scores_NK[40:48:4, 1] = -9.0  # else the temperature would sharpen it
    assert merge(scores_NK, labels_N) == ((0, 1), (2,))


def test_planted_styles_are_found_and_told_apart() -> None:
    texts, labels, rng = planted_texts(range(5), each=20, seed=0)
    found = Styles(texts, labels, seed=0)
    assert found.groups == tuple((k,) for k in range(5))
    assert found.accuracy.classes > 0.95 and found.accuracy.clear_accuracy > 0.95
    fresh = found.follow([Text(planted(i % 5, rng), PROMPT, "") for i in range(100)])
    assert sum(each.style == i % 5 for i, each in enumerate(fresh)) >= 93
    assert all(each.style in (i % 5, UNCLEAR, OTHER) for i, each in enumerate(fresh))


def test_primitives_that_make_the_same_traces_are_one_style() -> None:
    texts, labels, _ = planted_texts([0, 1, 0, 2], each=25, seed=1)
    found = Styles(texts, labels, seed=0)
    assert found.groups == ((0, 2), (1,), (3,))
    assert found.accuracy.classes < 0.85 < 0.95 < found.accuracy.styles


def test_with_shuffled_labels_the_accuracy_is_chance_and_nothing_is_told_apart() -> None:
    texts, labels, rng = planted_texts(range(5), each=40, seed=2)
    found = Styles(texts, rng.permutation(labels).tolist(), seed=0)
    # The standard error of 200 guesses at 1 in 5 is 0.028.
    assert abs(found.accuracy.classes - 0.2) < 0.085
    assert found.groups == ((0, 1, 2, 3, 4),)


def test_a_mixture_of_halves_is_a_combination_and_a_single_style_is_none() -> None:
    texts, labels, rng = planted_texts(range(4), each=25, seed=4)
    found = Styles(texts, labels, seed=0)
    pairs = [(a, b) for a in range(4) for b in range(4) if a != b] * 3
    mixed = found.follow([Text(spliced(a, b, rng), PROMPT, "") for a, b in pairs])
    pure = found.follow([Text(planted(i % 4, rng), PROMPT, "") for i in range(60)])
    seen = [each.combined == pair for each, pair in zip(mixed, pairs, strict=True) if each.halved]
    assert len(seen) > 30 and np.mean(seen) > 0.9
    assert np.mean([each.combined is not None for each in pure]) < 0.15
    assert np.mean([each.combined is not None for each in found.own]) <= 0.1
    assert found.accuracy.power > 0.9


def test_one_in_twenty_that_follow_one_style_looks_combined() -> None:
    """Half of each text is any style's, so that halves are hard to read."""
    texts, labels, rng = planted_texts(range(4), each=50, seed=8)
    common = [" ".join(rng.choice(COMMON, size=8)) + "." for _ in range(6 * len(texts))]
    mixed = [
        Text(f"{text.text} {' '.join(common[6 * i : 6 * i + 6])}", PROMPT, text.problem_id)
        for i, text in enumerate(texts)
    ]
    halved = [each for each in Styles(mixed, labels, seed=0).own if each.halved]
    assert 0.01 < np.mean([each.combined is not None for each in halved]) < 0.12


def test_one_in_fifty_of_the_demonstrations_is_itself_other() -> None:
    """By either bound 1 %: on being rare, on being short."""
    rng, labels = np.random.default_rng(9), [0, 1, 2] * 100
    texts = [Text(planted(k, rng, 3 + i % 7), PROMPT, f"p{i}") for i, k in enumerate(labels)]
    own = Styles(texts, labels, seed=0).own
    assert 3 <= sum(each.style == OTHER for each in own) <= 12


def test_what_is_unlike_every_demonstration_is_other() -> None:
    texts, labels, rng = planted_texts(range(3), each=25, seed=5)
    found = Styles(texts, labels, seed=0)
    strange = "quartz ankle orbit. " * 3 + "unknown syllables everywhere, tangled hedges of noise."
    unlike = ["", "lemon.", strange, planted(7, rng)]
    assert [each.style for each in found.follow([Text(t, PROMPT, "") for t in unlike])] == [
        OTHER
    ] * len(unlike)
    assert not any(each.halved for each in found.follow([Text(strange * 2, PROMPT, "")]))


def test_a_trace_that_two_styles_could_have_made_is_not_clear() -> None:
    texts, labels, rng = planted_texts(range(2), each=40, seed=6)
    found = Styles(texts, labels, seed=0)
    said = [" ".join(rng.choice(COMMON, size=8)) + "." for _ in range(6)]
    assert found.follow([Text(" ".join(said), PROMPT, "")])[0].style in (UNCLEAR, OTHER)


def test_attribution_does_not_depend_on_the_other_traces() -> None:
    texts, labels, rng = planted_texts(range(3), each=20, seed=7)
    found = Styles(texts, labels, seed=0)
    several = [Text(spliced(i % 3, i % 2, rng), PROMPT, "") for i in range(12)]
    assert found.follow(several) == [found.follow([one])[0] for one in several]
    assert found.follow([]) == []


def test_long_runs_of_stops_and_spaces_are_no_trouble() -> None:
    text = "." * 100_000 + " " * 100_000 + "\n" * 100_000 + "end"
    assert ("end", "$") in pieces_of(text, PROMPT)
