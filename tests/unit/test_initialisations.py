"""Every initialisation on fakes: what its set is and costs, and that a kill changes nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tailor_rl.config.schema import RunConfig
from tailor_rl.errors import ConfigError, GradeError, TailorError, TeacherError
from tailor_rl.initialisations import INITIALISATIONS, find_initialisation
from tailor_rl.primitives.select import NotEnoughPrimitives
from tailor_rl.teachers.prompts import Prompts
from tailor_rl.types import Demonstration, Problem
from tests.fake_journal import FakeJournal
from tests.fakes import FakeTask, Fault, Killed
from tests.lives import Life, make_config

OURS = ("tailor", "one_primitive", "paired_primitives", "shuffled_primitives")


class Wordy(FakeTask):
    """The answer is the last word, so that there is thinking to take away."""

    def grade(self, problem: Problem, text: str) -> float:
        return float(text.split()[-1:] == [problem.answer])

    def rule_based_trace(self, problem: Problem) -> str:
        return f"I add\nthe two\n{problem.answer}"

    def varied_trace(self, problem: Problem, draw: int) -> str:
        return f"way {draw}\n{problem.answer}"


def made(life: Life) -> list[Demonstration]:
    return FakeJournal(life.records).read("demonstrations", Demonstration)


def recipe(initialisation: str, **changed: object) -> RunConfig:
    cfg = make_config(initialisation=initialisation)
    for key, value in changed.items():
        section, field = key.split("__")
        part = getattr(cfg, section).model_copy(update={field: value})
        cfg = cfg.model_copy(update={section: part})
    return cfg


def settings(initialisation: str) -> RunConfig:
    """A recipe by which the initialisation works on fakes."""
    if initialisation == "wrong_only":
        return recipe(initialisation, teacher__model="wrong-at-first")
    return recipe(initialisation)


@pytest.mark.parametrize("initialisation", sorted(INITIALISATIONS))
def test_every_initialisation_leads_to_a_finished_run_over_the_same_queries(
    tmp_path: Path, initialisation: str
) -> None:
    life = Life.new(tmp_path)
    life.live(settings(initialisation), task=Wordy())
    queries = [f"addition:train:{2**24 + i}" for i in range(5)]
    problems = [each.problem_id for each in made(life)]
    if initialisation == "none":
        assert problems == []
    elif initialisation == "re_distill":  # queries without a right answer are left out
        assert problems and problems == [query for query in queries if query in problems]
    else:
        assert problems == queries
    assert "rl" in life.records.finished


@pytest.mark.parametrize("initialisation", sorted(INITIALISATIONS))
def test_a_kill_at_any_point_of_making_a_set_changes_nothing_in_the_end(
    tmp_path: Path, initialisation: str
) -> None:
    cfg = settings(initialisation)
    whole = Life.new(tmp_path / "whole")
    fault = Fault()
    weights, learner = whole.live(cfg, fault=fault, task=Wordy())
    for kill_at in range(1, fault.points + 1, 5):
        life = Life.new(tmp_path / str(kill_at))
        with pytest.raises(Killed):
            life.live(cfg, fault=Fault(kill_at), task=Wordy())
        again, resumed = life.live(cfg, task=Wordy())
        assert (again, resumed.checksum) == (weights, learner.checksum), kill_at
        assert life.lasting() == whole.lasting(), kill_at
        assert life.book.num_paid == whole.book.num_paid, kill_at
        assert life.paid() == whole.paid(), kill_at


class FaultAt(Fault):
    """Kills at a point of a name, when it is passed for the `times`-th time."""

    def __init__(self, name: str, *, times: int) -> None:
        super().__init__()
        self._name, self._left = name, times

    def point(self, name: str) -> None:
        self._left -= name == self._name
        if self._left == 0:
            raise Killed(name)


@pytest.mark.parametrize(
    ("cfg", "row", "point", "times"),
    [
        (recipe("re_distill"), "first_run", "finish first_run", 1),
        # The traces of two rounds, then those of the set.
        (
            recipe("four_star", four_star__reading="rounds", four_star__num_rounds=2,
                   four_star__samples_per_problem=8),
            "rounds", "write traces", 3,
        ),
    ],
)  # fmt: skip
def test_what_training_on_the_way_has_cost_is_counted_once(
    tmp_path: Path, cfg: RunConfig, row: str, point: str, times: int
) -> None:
    whole, life = Life.new(tmp_path / "whole"), Life.new(tmp_path / "killed")
    whole.live(cfg, task=Wordy())
    with pytest.raises(Killed):
        life.live(cfg, fault=FaultAt(point, times=times), task=Wordy())
    life.live(cfg, task=Wordy())
    assert life.records.ledger[row] == whole.records.ledger[row]


@pytest.mark.parametrize("initialisation", [*OURS, "standard_cot", "four_star"])
def test_what_a_teacher_writes_carries_its_origin(tmp_path: Path, initialisation: str) -> None:
    life = Life.new(tmp_path)
    life.live(recipe(initialisation), task=Wordy())
    for each in made(life):
        assert (each.origin, each.teacher, each.temperature) == ("teacher", "fake-teacher", 0.4)
        assert each.prompt_version and each.reward == 1.0
        assert (each.primitive_id is not None) == (initialisation in OURS)


def test_controls_of_primitives_differ_from_tailor_in_one_point(tmp_path: Path) -> None:
    used: dict[str, list[str | None]] = {}
    for initialisation in OURS:
        life = Life.new(tmp_path / initialisation)
        life.live(recipe(initialisation), task=Wordy())
        used[initialisation] = [each.primitive_id for each in made(life)]
    assert len(set(used["tailor"])) == 3
    assert len(set(used["one_primitive"])) == 1
    assert all("+" in (name or "") for name in used["paired_primitives"])
    assert Counter(used["shuffled_primitives"]) == Counter(used["tailor"])
    pairs = zip(used["shuffled_primitives"], used["tailor"], strict=True)
    assert all(one != other for one, other in pairs)


def test_only_wrong_traces_are_only_wrong(tmp_path: Path) -> None:
    life = Life.new(tmp_path)
    life.live(settings("wrong_only"), task=Wordy())
    assert {each.reward for each in made(life)} == {0.0}
    assert all(each.trace.split()[-1].isdigit() for each in made(life))


def test_a_teacher_that_is_never_wrong_cannot_make_a_wrong_set(tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match=r"is wrong, as demonstrations\.keep asks"):
        Life.new(tmp_path).live(recipe("wrong_only"), task=Wordy())


@pytest.mark.parametrize("of", ["rule_based", "tailor"])
def test_the_empty_control_keeps_the_answer_alone(tmp_path: Path, of: str) -> None:
    life = Life.new(tmp_path)
    life.live(recipe("empty", control__of=of), task=Wordy())
    for each in made(life):
        a, b = each.prompt.split("+")
        assert each.trace == str(int(a) + int(b))
        assert each.origin == "control"


def test_dots_are_as_long_as_the_thinking_was_and_end_with_the_answer(tmp_path: Path) -> None:
    life, rule = Life.new(tmp_path / "dots"), Life.new(tmp_path / "rule")
    life.live(recipe("dots", control__of="rule_based"), task=Wordy())
    rule.live(recipe("rule_based"), task=Wordy())
    for dotted, plain in zip(made(life), made(rule), strict=True):
        thinking, _, answer = dotted.trace.rpartition("\n")
        assert set(thinking) <= {" ", "."} and plain.trace.endswith(answer)
        assert abs(len(dotted.trace) - len(plain.trace)) <= 2


def test_diverse_rule_made_traces_have_as_many_styles_as_there_are_primitives(
    tmp_path: Path,
) -> None:
    life = Life.new(tmp_path)
    life.live(recipe("rule_based_diverse"), task=Wordy())
    ways = Counter(each.trace.splitlines()[0] for each in made(life))
    assert set(ways) == {"way 0", "way 1", "way 2"} and max(ways.values()) == 2
    assert life.book.num_paid == 0


def test_re_distillation_fine_tunes_the_original_student_on_what_the_first_run_learnt(
    tmp_path: Path,
) -> None:
    life = Life.new(tmp_path)
    life.live(recipe("re_distill"), task=Wordy())
    inner = life.records.inside["first_run"]
    assert set(inner.finished) >= {"curate", "sft", "rl"}
    assert [row["initialisation"] for row in inner.files["lineage"]] == ["rule_based"]
    assert {each.origin for each in made(life)} == {"student"}
    trained = 6 + 4  # steps of the first run's SFT and RL
    versions = {
        (row["stage"], row["step"]): row["weight_version"] for row in life.rows("evaluations")
    }
    again = trained + 1
    sft_steps = 2 * -(-len(made(life)) // 2)
    assert versions["base", 0] == 0 and versions["sft", 0] == again + sft_steps
    first = life.records.ledger["first_run"]
    assert (
        first["rollouts"] == inner.ledger["rl"]["rollouts"] + inner.ledger["validation"]["rollouts"]
    )
    assert first["learner_tokens"] > 0
    assert life.records.ledger["demonstrate"]["rollouts"] == 5 * 4


def test_rounds_of_star_start_from_the_student_each_time(tmp_path: Path) -> None:
    life = Life.new(tmp_path)
    _, learner = life.live(
        recipe("four_star", four_star__reading="rounds", four_star__num_rounds=3,
               four_star__samples_per_problem=8),
        task=Wordy(),
    )  # fmt: skip
    inside = life.records.inside
    assert list(inside) == ["round-1", "round-2", "round-3"]
    assert "sft" not in inside["round-1"].finished and "sft" in inside["round-3"].finished
    assert "rl" not in inside["round-3"].finished
    assert {each.origin for each in made(life)} == {"student"}
    assert life.records.ledger["demonstrate"]["rollouts"] == 3 * 5 * 8
    assert learner.step == life.rows("evaluations")[-1]["weight_version"]


def test_the_price_of_rounds_of_star_holds_what_their_training_cost(tmp_path: Path) -> None:
    life = Life.new(tmp_path)
    life.live(
        recipe("four_star", four_star__reading="rounds", four_star__num_rounds=3,
               four_star__samples_per_problem=8),
        task=Wordy(),
    )  # fmt: skip
    trained = [life.records.inside[f"round-{i}"].ledger["sft"] for i in (2, 3)]
    tokens = sum(spent["learner_tokens"] for spent in trained)
    (lineage,) = life.rows("lineage")
    assert lineage["spent"]["rounds"] == {"learner_tokens": tokens} and tokens > 0


def test_both_passes_over_the_queries_are_in_the_price_of_shuffled_primitives(
    tmp_path: Path,
) -> None:
    life = Life.new(tmp_path)
    life.live(recipe("shuffled_primitives"), task=Wordy())
    (lineage,) = life.rows("lineage")
    assert [lineage["spent"][stage]["problems"] for stage in ("fit", "demonstrate")] == [5, 5]


@pytest.mark.parametrize(
    "cfg",
    [
        recipe("four_star", four_star__reading="rounds", four_star__samples_per_problem=8),
        recipe("dots", control__of="re_distill"),
    ],
    ids=["rounds", "dots of re_distill"],
)
def test_a_kill_changes_nothing_where_the_student_is_trained_on_the_way(
    tmp_path: Path, cfg: RunConfig
) -> None:
    whole = Life.new(tmp_path / "whole")
    fault = Fault()
    weights, learner = whole.live(cfg, fault=fault, task=Wordy())
    for kill_at in range(7, fault.points + 1, 23):
        life = Life.new(tmp_path / str(kill_at))
        with pytest.raises(Killed):
            life.live(cfg, fault=Fault(kill_at), task=Wordy())
        again, resumed = life.live(cfg, task=Wordy())
        assert (again, resumed.checksum) == (weights, learner.checksum), kill_at
        assert life.lasting() == whole.lasting(), kill_at


def test_a_policy_that_is_never_right_leaves_nothing_to_learn_from(tmp_path: Path) -> None:
    class Never(Wordy):
        def grade(self, problem: Problem, text: str) -> float:
            return 0.0

    cfg = recipe("four_star", four_star__reading="rounds")
    with pytest.raises(GradeError, match="not one of 20 answers of the policy to 5 queries"):
        Life.new(tmp_path).live(cfg, task=Never())


def test_too_few_primitives_say_how_many_survived_and_why_the_others_fell(tmp_path: Path) -> None:
    cfg = recipe("tailor", primitives__num_primitives=50, primitives__max_requests=2)
    with pytest.raises(NotEnoughPrimitives, match=r"num_primitives=50, .* survived the screen"):
        Life.new(tmp_path).live(cfg, task=Wordy())


def test_a_pair_counts_as_a_use_of_both_its_primitives(tmp_path: Path) -> None:
    life = Life.new(tmp_path)
    life.live(recipe("paired_primitives"), task=Wordy())
    (lineage,) = life.rows("lineage")
    uses = [use["demonstrations"] for use in lineage["primitives"]]
    assert sum(uses) == 2 * 5 and min(uses) > 0


def test_the_set_is_trimmed_to_its_budget_and_the_untrimmed_one_is_kept(tmp_path: Path) -> None:
    life = Life.new(tmp_path)
    life.live(
        recipe("tailor", demonstrations__match="examples", demonstrations__match_to=3), task=Wordy()
    )
    assert (len(made(life)), len(life.rows("traces"))) == (3, 5)
    assert life.records.published == [(3, "tailor")]


def test_matched_sets_of_two_initialisations_share_their_queries(tmp_path: Path) -> None:
    chosen = []
    for initialisation in ("tailor", "rule_based"):
        life = Life.new(tmp_path / initialisation)
        cfg = recipe(initialisation, demonstrations__match="examples", demonstrations__match_to=3)
        life.live(cfg, task=Wordy())
        chosen.append([each.problem_id for each in made(life)])
    assert chosen[0] == chosen[1]


def test_exactly_so_many_sft_steps_are_made(tmp_path: Path) -> None:
    _, learner = Life.new(tmp_path).live(recipe("rule_based", sft__num_steps=4), task=Wordy())
    assert learner.sft_sizes == [2, 2, 1, 2]


def test_sft_ends_at_the_accuracy_that_was_asked_for(tmp_path: Path) -> None:
    life = Life.new(tmp_path)
    cfg = recipe("rule_based", sft__stop_at_accuracy=0.01, sft__epochs=50)
    _, learner = life.live(cfg, task=Wordy())
    measured = [row for row in life.rows("evaluations") if row["split"] == "validation"]
    sft = [(row["step"], row["value"]) for row in measured if row["stage"] == "sft"]
    assert sft and all(value < 0.01 for _, value in sft[:-1]) and sft[-1][1] >= 0.01
    assert len(learner.sft_sizes) == sft[-1][0] < 150
    assert any("SFT ends at step" in line for line in life.records.said)


def test_how_often_sft_is_looked_at_is_how_closely_accuracies_can_match(tmp_path: Path) -> None:
    life = Life.new(tmp_path)
    changes = {"sft__stop_at_accuracy": 1.0, "sft__epochs": 20, "sft__evaluate_every": 5}
    life.live(recipe("rule_based", **changes, evaluation__every=0), task=Wordy())
    measured = [row for row in life.rows("evaluations") if row["split"] == "validation"]
    steps = {row["step"] for row in measured if row["stage"] == "sft"}
    assert sorted(steps)[:3] == [5, 10, 15]


def test_prompts_that_changed_since_a_run_began_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "prompts"
    folder.mkdir()
    shipped = Prompts().sources["plain"]
    (folder / "plain.md").write_text(shipped)
    cfg = recipe("standard_cot", prompts__folder=str(folder))
    life, kill_at = Life.new(tmp_path / "run"), 0
    while not life.rows("prompts"):  # until the teacher is about to be asked
        kill_at += 1
        with pytest.raises(Killed):
            life.live(cfg, fault=Fault(kill_at), task=Wordy())
    (folder / "plain.md").write_text(shipped + "\nBe quick.\n")
    with pytest.raises(ConfigError, match=r"the prompt plain in .* is not the one"):
        life.live(cfg, task=Wordy())
    (folder / "plain.md").write_text(shipped)
    life.live(cfg, task=Wordy())


def test_an_unknown_initialisation_is_one_sentence_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'four_star'\?"):
        find_initialisation("four-star")


def test_an_initialisation_of_the_users_own_is_one_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from dataclasses import replace\n"
        "from tailor_rl.initialisations import rule_based\n"
        "async def shouted(kit):\n"
        "    made = await rule_based.demonstrations(kit)\n"
        "    return [replace(each, trace='I KNOW! ' + each.trace) for each in made]\n"
    )
    life = Life.new(tmp_path / "run")
    life.live(recipe(f"{file}:shouted"), task=Wordy())
    assert all(each.trace.startswith("I KNOW! ") for each in made(life))
    with pytest.raises(ConfigError, match="must name an `async def` function"):
        find_initialisation(f"{file}:replace")
    with pytest.raises(TailorError, match="defines no 'missing'"):
        find_initialisation(f"{file}:missing")
