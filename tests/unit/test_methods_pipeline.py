"""Methods in whole runs on fakes: what they change, and that a kill changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tailor_rl.batch import collate_demonstrations
from tailor_rl.config.schema import RunConfig
from tailor_rl.errors import ConfigError
from tailor_rl.methods.check import check_methods
from tailor_rl.protocols import Tokens
from tailor_rl.stages import lesson
from tailor_rl.stages.warm_start import set_aside
from tailor_rl.types import Batch, Demonstration
from tests.fakes import Fault, Killed
from tests.lives import Life, make_config

FEW = {"num_steps": 6, "group_size": 3, "checkpoint_every": 2, "logprobs": "stored"}


def recipe(*, sft: dict[str, Any] | None = None, rl: dict[str, Any] | None = None) -> RunConfig:
    cfg = make_config(initialisation="rule_based")
    return cfg.model_copy(
        update={
            "sft": cfg.sft.model_copy(update=sft or {}),
            "rl": cfg.rl.model_copy(update={**FEW, **(rl or {})}),
        }
    )


SASR = recipe(rl={"algorithm": "grpo", "method": "sasr"})
PREFIX_RFT = recipe(
    rl={"algorithm": "grpo", "method": "prefix_rft", "options": {"low_end": 0.0, "high": 0.9}}
)
PEAR = recipe(sft={"method": "pear"})


def rl_rows(life: Life) -> list[dict[str, Any]]:
    return [row for row in life.rows("metrics") if row["stage"] == "rl"]


@pytest.mark.parametrize(
    "cfg",
    [
        pytest.param(SASR, id="sasr"),
        pytest.param(PREFIX_RFT, id="prefix_rft"),
        pytest.param(PEAR, id="pear"),
    ],
)
def test_a_kill_changes_nothing_in_the_end(cfg: RunConfig, tmp_path: Path) -> None:
    whole, counting = Life.new(tmp_path / "whole"), Fault()
    weights, _ = whole.live(cfg, fault=counting)
    for kill_at in range(counting.points // 3, counting.points, 11):
        life = Life.new(tmp_path / str(kill_at))
        with pytest.raises(Killed):
            life.live(cfg, fault=Fault(kill_at))
        resumed, _ = life.live(cfg)
        assert (resumed, resumed.checksum) == (weights, weights.checksum), kill_at
        assert life.lasting() == whole.lasting(), kill_at


def test_steps_of_sft_among_those_of_rl_generate_nothing(tmp_path: Path) -> None:
    life = Life.new(tmp_path)
    life.live(SASR)
    rows = rl_rows(life)
    supervised = [row for row in rows if "reward" not in row]
    assert 0 < len(supervised) < len(rows) == 6
    assert all(row["tokens_per_s"] == 0 for row in supervised)
    assert all(row["lag_max"] == 0 for row in rows if row not in supervised)
    taken = len(rows) - len(supervised)
    assert life.records.ledger["rl"]["rollouts"] >= taken * 2 * 3


def test_prefixes_are_of_the_demonstrations_and_cost_nothing(tmp_path: Path) -> None:
    life = Life.new(tmp_path)
    life.live(PREFIX_RFT)
    shown = {row["problem_id"] for row in life.rows("demonstrations")}
    assert {row["problem_id"] for row in life.rows("samples/step-000001")} <= shown
    for row in rl_rows(life):
        assert 0 < row["given_tokens"] < 8
        assert {"reward", "reward_continued"} <= set(row)
    last = rl_rows(life)[-1]
    written = last["spent_rollouts"] * last["response_tokens"]
    assert 0 < last["spent_tokens"] == life.records.ledger["rl"]["generated_tokens"] != written


@pytest.mark.parametrize(
    ("section", "method"), [("sft", "pear"), ("rl", "sasr"), ("rl", "prefix_rft")]
)
def test_a_method_without_demonstrations_is_refused_before_the_start(
    section: str, method: str
) -> None:
    cfg = recipe(**{section: {"method": method}}).model_copy(update={"initialisation": "none"})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=f'{section}.method = "{method}" learns from'):
        check_methods(cfg)


def test_demonstrations_are_not_mixed_in_at_another_temperature() -> None:
    cfg = recipe(rl={"algorithm": "grpo", "method": "sasr", "temperature": 0.7})
    with pytest.raises(ConfigError, match=r"set rl\.temperature=1"):
        check_methods(cfg)


def test_what_sft_holds_out_is_not_mixed_into_rl_either(tmp_path: Path) -> None:
    cfg = recipe(sft={"held_out": 3}, rl={"algorithm": "grpo", "method": "sasr"})
    life = Life.new(tmp_path)
    mixed: list[Demonstration] = []

    def spying(rows: Sequence[Demonstration], tokens: Tokens) -> Batch:
        mixed.extend(rows)
        return collate_demonstrations(rows, tokens)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lesson, "collate_demonstrations", spying)
        life.live(cfg)
    made = [Demonstration(**row) for row in life.rows("demonstrations")]
    held_out, _ = set_aside(made, num=3, seed=cfg.seed)
    assert mixed and not {d.id for d in mixed} & {d.id for d in held_out}
