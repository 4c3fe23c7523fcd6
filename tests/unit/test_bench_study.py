"""What a study may say, and what its cells are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tailor_rl.bench.cells import make_cells
from tailor_rl.bench.measurable import never_measured
from tailor_rl.bench.study import read_study, settings_of
from tailor_rl.cli import main
from tailor_rl.config.paths import PROJECT_ROOT
from tailor_rl.errors import ConfigError

RECIPE = """
student = "student"
[task]
name = "knights"
[task.options]
people = [2]
[rl]
num_steps = 3
"""
STUDY = """
recipe = "recipe.toml"
seeds = [1, 2]
[arms.tailor]
[arms.rule_based]
initialisation = "rule_based"
"""


def write(folder: Path, more: str = "", *, study: str = STUDY) -> Path:
    (folder / "recipe.toml").write_text(RECIPE)
    (folder / "other.toml").write_text('extends = "recipe.toml"\n[task]\nname = "countdown"\n')
    (folder / "study.toml").write_text(study.replace("[arms.tailor]", f"{more}\n[arms.tailor]"))
    return folder / "study.toml"


def cells_of(file: Path, *overrides: str):
    return make_cells(read_study(file), file, overrides)


def test_cells_go_seed_by_seed_and_are_named_by_what_they_are(tmp_path: Path) -> None:
    cells = cells_of(write(tmp_path))
    assert [cell.name for cell in cells] == [
        "tailor-seed-1", "rule_based-seed-1", "tailor-seed-2", "rule_based-seed-2",
    ]  # fmt: skip
    assert [(c.config.seed, c.config.initialisation) for c in cells[1:3]] == [
        (1, "rule_based"), (2, "tailor"),
    ]  # fmt: skip
    assert {cell.setting for cell in cells} == {"all"}
    assert cells[0].family == cells[2].family == "tailor"


def test_a_grid_has_every_combination_but_those_that_are_skipped(tmp_path: Path) -> None:
    more = """
[tasks.knights]
[tasks.countdown]
recipe = "other.toml"
[algorithms.dapo]
[algorithms.grpo]
rl = { algorithm = "grpo" }
[[skip]]
arm = "rule_based"
task = "countdown"
[[skip]]
algorithm = "grpo"
task = "countdown"
"""
    file = write(tmp_path, more)
    cells = [cell for cell in cells_of(file) if cell.seed == 1]
    assert [cell.family for cell in cells] == [
        "knights-dapo-tailor", "knights-dapo-rule_based", "knights-grpo-tailor",
        "knights-grpo-rule_based", "countdown-dapo-tailor",
    ]  # fmt: skip
    last = cells[-1].config
    assert (last.task.name, last.task.options, last.rl.num_steps) == ("countdown", {}, 3)
    assert cells[2].config.rl.algorithm == "grpo"
    assert settings_of(read_study(file)) == [
        "knights-dapo", "knights-grpo", "countdown-dapo", "countdown-grpo",
    ]  # fmt: skip


def test_an_arm_is_laid_over_the_shared_part_and_overrides_over_all(tmp_path: Path) -> None:
    study = """
recipe = "recipe.toml"
seeds = [1, 2]
[matched]
by = "steps"
to = 7
[shared.rl]
num_steps = 9
group_size = 4
[arms.tailor]
[arms.long]
rl = { num_steps = 20 }
sft = { num_steps = 8 }
"""
    cells = cells_of(write(tmp_path, study=study), "rl.group_size=6")
    found = [(c.config.rl.num_steps, c.config.rl.group_size, c.config.sft.num_steps) for c in cells]
    assert found[:2] == [(9, 6, 7), (20, 6, 8)]


@pytest.mark.parametrize("by", ["examples", "tokens"])
def test_matching_is_a_part_of_every_recipe(tmp_path: Path, by: str) -> None:
    for cell in cells_of(write(tmp_path, f'[matched]\nby = "{by}"\nto = 5')):
        demonstrations = cell.config.demonstrations
        assert (demonstrations.match, demonstrations.match_to) == (by, 5)


def test_paths_are_found_beside_the_study_too(tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "recipe.toml").write_text(RECIPE)
    (tmp_path / "studies" / "library.jsonl").write_text("")
    file = tmp_path / "studies" / "study.toml"
    study = STUDY.replace("recipe.toml", "../recipes/recipe.toml")
    file.write_text(study + '[arms.own]\nprimitives = { library = "library.jsonl" }\n')
    assert cells_of(file)[2].config.primitives.library == str(file.parent / "library.jsonl")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("seed = [1]", "a study has no key 'seed'; did you mean 'seeds'"),
        (
            "[[comparisons]]\narm = 'tailer'\nagainst = 'tailor'",
            "no arm 'tailer' in the study; did",
        ),
        ("[[comparisons]]\narm = 'tailor'\nagainst = 'tailor'", "against itself"),
        (
            "[[comparisons]]\narm = 'tailor'\nagainst = 'rule_based'\nfigure = 'speed'",
            "figure = 'speed' is none that is measured",
        ),
        (
            "[[comparisons]]\narm = 'tailor'\nagainst = 'rule_based'\nlow = 0.1",
            "has one bound: give both low and high",
        ),
        (
            "[[comparisons]]\narm = 'tailor'\nagainst = 'rule_based'\nsetting = 'igsm'",
            "there is no setting 'igsm'",
        ),
        ("[[skip]]\nalgorithm = 'ppo'", "there is no algorithm 'ppo' in the study"),
        ("[tasks.'a/b']", "must be named by letters"),
        ("[matched]\nby = 'hours'\nto = 1", "matched.by = 'hours'"),
        ("[[trends]]\narms = ['tailor', 'rule_based']", "trends.0.arms"),
        ("[[trends]]\narms = ['tailor', 'rule_based', 'tailor']", "name each arm once"),
        (
            "[[comparisons]]\narm = 'tailor'\nagainst = 'rule_based'\nlow = 0.3\nhigh = 0.1",
            "is from 0.3 to 0.1: both are shares",
        ),
        (
            "[[comparisons]]\narm = 'tailor'\nagainst = 'rule_based'\nlow = 15\nhigh = 30",
            "is from 15 to 30: both are shares",
        ),
        (
            "[[comparisons]]\narm = 'tailor'\nagainst = 'rule_based'\nlow = 0.1\nhigh = 0.2\n"
            "[[comparisons]]\narm = 'tailor'\nagainst = 'rule_based'\nlow = 0.3\nhigh = 0.4",
            "tailor against rule_based by 'rl test pass@1' is planned twice: one test has",
        ),
        (
            "[[comparisons]]\narm = 'tailor'\nagainst = 'rule_based'\n"
            "[[comparisons]]\narm = 'rule_based'\nagainst = 'tailor'",
            "rule_based against tailor by 'rl test pass@1' is planned twice",
        ),
        (
            "[arms.more]\n[[trends]]\narms = ['tailor', 'rule_based', 'more']\nclaim = 'one'\n"
            "[[trends]]\narms = ['tailor', 'rule_based', 'more']\nclaim = 'other'",
            "a trend along tailor, rule_based, more by 'rl test pass@1' is planned twice",
        ),
    ],
)
def test_a_fault_of_a_study_is_one_sentence(tmp_path: Path, more: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"study\.toml") as error:
        read_study(write(tmp_path, more))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("axis", ["tasks", "students", "algorithms"])
def test_a_level_may_not_be_called_like_all_settings(tmp_path: Path, axis: str) -> None:
    with pytest.raises(ConfigError, match=rf"\[{axis}.all\] must be named otherwise"):
        read_study(write(tmp_path, f"[{axis}.all]"))


@pytest.mark.parametrize("thresholds", ["[40]", "[0.4, 0.4]", "[0.0]"])
def test_a_threshold_is_a_share_and_named_once(tmp_path: Path, thresholds: str) -> None:
    file = write(tmp_path, "")
    file.write_text(f"thresholds = {thresholds}\n{file.read_text()}")
    with pytest.raises(ConfigError, match="each is a share between 0 and 1"):
        read_study(file)


@pytest.mark.parametrize(
    ("figure", "key", "value", "said"),
    [
        ("rl test pass@1", "", None, ""),
        ("gain ood/people-4 pass@4", "", None, ""),
        ("plateau", "", None, ""),
        ("rl ood/nope pass@1", "", None, "measured are test, ood/people-4"),
        ("rl test pass@64", "", None, "measured are pass@1, pass@4"),
        ("rl test greedy", "greedy", False, "evaluation.greedy = false"),
        ("auc", "every", 0, "evaluation.every = 0"),
        ("auc", "every", 3, ""),
        ("auc", "every", 4, "evaluation.every = 4 makes none within rl.num_steps = 3"),
        ("rl ood pass@1", "ood_splits", [], "nothing out of distribution"),
    ],
)
def test_what_will_never_be_measured_cannot_be_planned(
    tmp_path: Path, figure: str, key: str, value: Any, said: str
) -> None:
    file = write(
        tmp_path, f"[[comparisons]]\narm = 'tailor'\nagainst = 'rule_based'\nfigure = '{figure}'"
    )
    cells = [
        replace(
            cell,
            config=cell.config.model_copy(
                update={
                    "evaluation": cell.config.evaluation.model_copy(
                        update={"samples_per_problem": 4, "every": 5}
                        | ({key: value} if key else {})
                    )
                }
            ),
        )
        for cell in cells_of(file)
    ]
    splits = {cell.family: ("train", "test", "ood/people-4") for cell in cells}
    found = list(never_measured(read_study(file), cells, splits))
    assert len(found) == (2 if said else 0)  # one for each arm
    assert all(said in sentence for sentence in found)


def test_an_arm_without_sft_has_no_figure_after_it(tmp_path: Path) -> None:
    more = "[arms.none]\ninitialisation = 'none'\n[[comparisons]]\narm = 'tailor'\n"
    file = write(tmp_path, f"{more}against = 'none'\nfigure = 'sft test pass@1'")
    cells = cells_of(file)
    splits = {cell.family: ("train", "test") for cell in cells}
    (sentence,) = never_measured(read_study(file), cells, splits)
    assert "planned for none, whose runs have none" in sentence and "has no SFT" in sentence


def test_one_seed_gives_no_error_bar_and_is_refused_unless_told(tmp_path: Path) -> None:
    one = STUDY.replace("[1, 2]", "[1]")
    compared = "[[comparisons]]\narm = 'tailor'\nagainst = 'rule_based'"
    with pytest.raises(ConfigError, match="at least two, or write single_seed = true"):
        read_study(write(tmp_path, compared, study=one))
    read_study(write(tmp_path, f"single_seed = true\n{compared}", study=one))
    read_study(write(tmp_path, study=one))  # nothing is compared
    with pytest.raises(ConfigError, match="names a seed twice"):
        read_study(write(tmp_path, study=STUDY.replace("[1, 2]", "[1, 1]")))


def test_two_cells_that_are_one_run_are_refused(tmp_path: Path) -> None:
    more = "[arms.again]\ninitialisation = 'tailor'"
    with pytest.raises(ConfigError, match="again and tailor are one and the same run"):
        cells_of(write(tmp_path, more))


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        (
            "[algorithms.x]\nrl = { num_steps = 2 }\n[algorithms.x-hard]\n"
            '[arms.hard-tailor]\ninitialisation = "rule_based"',
            "(x, hard-tailor) and (x-hard, tailor) would both be called x-hard-tailor: name one",
        ),
        (
            "[tasks.a]\n[tasks.a-b]\n[students.b-c]\n[students.c]\n"
            "[[skip]]\ntask = 'a'\nstudent = 'b-c'\narm = 'tailor'\n"
            "[[skip]]\ntask = 'a-b'\nstudent = 'c'\narm = 'rule_based'",
            "(a, b-c) and (a-b, c) would both be called a-b-c: name one",
        ),
    ],
)
def test_cells_and_settings_that_would_share_a_name_are_refused(
    tmp_path: Path, grid: str, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        cells_of(write(tmp_path, grid))
    assert said in str(caught.value)


def test_a_wrong_recipe_names_the_cell(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cell wrong-seed-1: .*group_sise"):
        cells_of(write(tmp_path, "[arms.wrong]\nrl = { group_sise = 4 }"))
    both = "[tasks.a]\nrecipe = 'other.toml'\n[students.b]\nrecipe = 'recipe.toml'"
    with pytest.raises(ConfigError, match="let one of them name it"):
        cells_of(write(tmp_path, both))
    with pytest.raises(ConfigError, match="no recipe"):
        cells_of(write(tmp_path, "[tasks.a]\nrecipe = 'nowhere.toml'"))


def test_an_unknown_key_is_sought_where_it_was_written(tmp_path: Path) -> None:
    file = write(tmp_path, "[arms.odd]\nrl = { group_sise = 3 }")
    with pytest.raises(
        ConfigError, match=r'unknown key "rl\.group_sise" in .*study\.toml; did you'
    ):
        cells_of(file)
    file = write(tmp_path, "")
    (tmp_path / "recipe.toml").write_text(RECIPE + "\n[rollout]\nengine = 1\n")
    with pytest.raises(ConfigError, match=r'unknown key "rollout\.engine" in .*recipe\.toml; did'):
        cells_of(file)


def test_a_grid_without_cells_and_a_seed_for_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="skip leaves no cell"):
        cells_of(write(tmp_path, "[[skip]]\narm = 'tailor'\n[[skip]]\narm = 'rule_based'"))
    with pytest.raises(ConfigError, match="seed=5 would make every seed the same"):
        cells_of(write(tmp_path), "seed=5")


STUDIES = sorted((PROJECT_ROOT / "recipes" / "studies").glob("*.toml"))


@pytest.mark.parametrize("file", [f for f in STUDIES if f.stem != "common"], ids=lambda f: f.stem)
def test_every_study_in_the_repository_is_one(file: Path) -> None:
    study = read_study(file)
    cells = make_cells(study, file, ())
    assert {cell.arm for cell in cells} == set(study.arms)
    assert study.question
    assert len(study.seeds) >= 3 or study.single_seed  # a pilot, which says so and compares nothing


@pytest.mark.parametrize("study", ["qwen2.5", "llama-3.2"])
def test_the_grid_for_real_checkpoints_passes_its_checks(
    study: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(PROJECT_ROOT / "recipes" / "studies" / f"{study}.toml")
    where = "cluster.address=10.0.0.1:6379"  # elsewhere: this machine may have no GPU
    assert main(["bench", file, where, "--dry-run"]) == 0, capsys.readouterr().err
    assert "planned: tailor against rule_based" in capsys.readouterr().out


@pytest.mark.parametrize("recipe", ["3", "['recipe.toml']", "''"])
def test_a_level_names_its_recipe_by_a_path(tmp_path: Path, recipe: str) -> None:
    file = write(tmp_path, f"[tasks.own]\nrecipe = {recipe}\n")
    with pytest.raises(ConfigError, match=r"its task has recipe = .* must be the path") as error:
        cells_of(file)
    assert "\n" not in str(error.value)
