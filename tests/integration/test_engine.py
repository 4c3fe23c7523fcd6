"""One real vLLM engine: what it refuses, what it recovers from, and what happens during a sync."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from actors.engine import RolloutEngine
from actors.handles import EngineStats, RawRollout
from tailor_rl.errors import EngineError, WeightSyncError
from tailor_rl.weights import PackedTensor, WeightBundle, pack
from tests.integration.engine_process import (
    CANARY,
    MAX_MODEL_LEN,
    EngineProcess,
    bundle_of,
    bundle_tensors,
    load_model,
    logprobs_of,
    moved,
    worst_difference,
)
from tests.tiny import SPECIAL_TOKENS

TOLERANCE = 1e-4
SHORT = tuple(range(40, 60))
LONG = tuple(3 + i % 256 for i in range(400))  # several blocks of the prefix cache
CONTROL_IDS = set(range(len(SPECIAL_TOKENS)))


@pytest.fixture(scope="module")
def engine(student: Path) -> Iterator[EngineProcess]:
    process = EngineProcess(student)
    yield process
    process.close()


async def sample(
    engine: RolloutEngine,
    prompt: tuple[int, ...] = SHORT,
    num: int = 4,
    temperature: float = 1.0,
    max_tokens: int = 16,
    seed: int = 0,
) -> list[RawRollout]:
    return await engine.generate(
        prompt,
        num=num,
        temperature=temperature,
        top_p=1.0,
        max_tokens=max_tokens,
        seed=seed,
        stall_s=60,
    )


async def next_step(engine: RolloutEngine) -> int:
    version = engine.version()
    return version.step + 1 if version else 1


async def receive(engine: RolloutEngine, bundle: WeightBundle) -> None:
    await engine.receive(bundle, deadline_s=60)


async def stats(engine: RolloutEngine) -> EngineStats:
    return engine.stats()


def sync_good(engine: EngineProcess, student: Path, seed: int) -> Any:
    """Bring the engine to moved weights; returns the same weights in transformers."""
    model = moved(load_model(student), seed)
    engine.run(receive, bundle_of(model, engine.run(next_step)))
    return model


def test_a_seed_fixes_every_sample_and_samples_differ(engine: EngineProcess) -> None:
    first, again, other = (engine.run(sample, SHORT, 4, 1.0, 16, seed) for seed in (3, 3, 4))
    assert [r.token_ids for r in first] == [r.token_ids for r in again]
    assert len({r.token_ids for r in [*first, *other]}) == 8


def test_temperature_zero_is_greedy(engine: EngineProcess, student: Path) -> None:
    model = sync_good(engine, student, seed=1)
    greedy = engine.run(sample, SHORT, 2, 0.0, 8, 0)
    assert greedy[0].token_ids == greedy[1].token_ids
    ids = list(SHORT)
    with torch.no_grad():
        for token in greedy[0].token_ids:
            assert token == int(model(torch.tensor([ids])).logits[0, -1].argmax())
            ids.append(token)


def test_a_rollout_stops_at_the_end_of_turn_and_its_text_has_no_control_tokens(
    engine: EngineProcess, student: Path
) -> None:
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(student)
    rollouts = engine.run(sample, SHORT, 64, 1.0, 200, 0)
    stopped = [r for r in rollouts if r.finish_reason == "stop"]
    assert stopped  # 2 of 259 tokens stop it: 200 tokens without one are rare
    for rollout in rollouts:
        ended = rollout.token_ids[-1] in CONTROL_IDS
        assert ended if rollout.finish_reason == "stop" else len(rollout.token_ids) == 200
        assert len(rollout.logprobs) == len(rollout.token_ids)
        plain = [i for i in rollout.token_ids if i not in CONTROL_IDS]
        assert rollout.text == tokenizer.decode(plain)


def test_many_calls_at_once_share_the_engine_and_all_are_answered(engine: EngineProcess) -> None:
    before = engine.run(stats)
    groups = engine.run(generate_groups, 12, 5)
    after = engine.run(stats)
    assert [len(group) for group in groups] == [5] * 12  # more sequences than max_sequences
    tokens = sum(len(rollout.token_ids) for group in groups for rollout in group)
    assert after.generated_tokens - before.generated_tokens == tokens
    assert after.busy_s > before.busy_s
    assert after.sequences_in_flight == 0


async def generate_groups(engine: RolloutEngine, groups: int, num: int) -> list[list[RawRollout]]:
    return await asyncio.gather(*(sample(engine, num=num, seed=i) for i in range(groups)))


def test_an_engine_that_stands_still_is_an_error_and_goes_on_when_it_can(
    engine: EngineProcess,
) -> None:
    message, left, rollouts = engine.run(stand_still)
    assert "no decoding step within 0.3 s" in message
    assert left == 0
    assert len(rollouts) == 4


async def stand_still(engine: RolloutEngine) -> tuple[str, int, list[RawRollout]]:
    engine._steps.submit(lambda _: time.sleep(1.5))
    with pytest.raises(EngineError) as caught:
        await engine.generate(
            LONG, num=8, temperature=1.0, top_p=1.0, max_tokens=100, seed=0, stall_s=0.3
        )
    rollouts = await sample(engine)
    return str(caught.value), engine.stats().sequences_in_flight, rollouts


def test_a_prompt_longer_than_the_model_fails_its_own_call_alone(engine: EngineProcess) -> None:
    with pytest.raises(EngineError, match="refused a request"):
        engine.run(sample, (5,) * (MAX_MODEL_LEN + 1))
    assert len(engine.run(sample)) == 4


def test_no_block_of_the_old_weights_survives_in_the_prefix_cache(
    engine: EngineProcess, student: Path
) -> None:
    for seed in (2, 3):
        model = sync_good(engine, student, seed)
        for _ in range(2):  # the second time from the cache
            rollouts = engine.run(sample, LONG)
            assert worst_difference(model, LONG, rollouts, temperature=1.0) < TOLERANCE


def flipped(tensors: dict[str, PackedTensor]) -> dict[str, PackedTensor]:
    return {**tensors, "model.norm.weight": pack(-torch.ones(64))}


def missing(tensors: dict[str, PackedTensor]) -> dict[str, PackedTensor]:
    return {name: packed for name, packed in tensors.items() if name != "model.norm.weight"}


def part_missing(tensors: dict[str, PackedTensor]) -> dict[str, PackedTensor]:
    gone = "model.layers.1.self_attn.k_proj.weight"  # fused with q and v inside the engine
    return {name: packed for name, packed in tensors.items() if name != gone}


def unknown(tensors: dict[str, PackedTensor]) -> dict[str, PackedTensor]:
    return {**tensors, "model.layers.0.nonsense.weight": pack(torch.ones(2))}


def misshapen(tensors: dict[str, PackedTensor]) -> dict[str, PackedTensor]:
    return {**tensors, "model.layers.0.mlp.down_proj.weight": pack(torch.ones(3, 5))}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (flipped, r"phase: canary"),  # right checksums of the wrong weights
        (missing, r"parameter model\.norm\.weight: not in the bundle.*phase: load"),
        (part_missing, r"phase: canary"),
        (unknown, r"nonsense.*phase: load"),
        (misshapen, r"down_proj.*phase: load"),
    ],
)
def test_wrong_weights_are_refused_and_good_ones_bring_the_engine_back(
    engine: EngineProcess,
    student: Path,
    change: Callable[[dict[str, PackedTensor]], dict[str, PackedTensor]],
    sentence: str,
) -> None:
    good = bundle_of(load_model(student), engine.run(next_step))
    bad = bundle_tensors(
        change(dict(good.tensors)), step=good.version.step, canary_logprobs=good.canary_logprobs
    )
    with pytest.raises(WeightSyncError, match=sentence):
        engine.run(receive, bad)
    with pytest.raises(EngineError, match="last weight sync failed"):
        engine.run(sample)
    model = sync_good(engine, student, seed=4)
    assert worst_difference(model, SHORT, engine.run(sample), temperature=1.0) < TOLERANCE


def test_a_flipped_byte_is_refused_before_loading_and_the_engine_then_refuses_to_generate(
    engine: EngineProcess, student: Path
) -> None:
    good = bundle_of(load_model(student), engine.run(next_step))
    name = "model.layers.0.mlp.gate_proj.weight"
    data = good.tensors[name].data.copy()
    data[11] ^= 1
    tensors = {**good.tensors, name: replace(good.tensors[name], data=data)}
    with pytest.raises(WeightSyncError, match=rf"checksum is .*phase: verify, parameter: {name}"):
        engine.run(receive, replace(good, tensors=tensors))
    with pytest.raises(EngineError, match=r"last weight sync failed: checksum is"):
        engine.run(sample)
    engine.run(receive, good)
    assert len(engine.run(sample)) == 4


def test_a_wrong_canary_is_refused_with_its_figures(engine: EngineProcess, student: Path) -> None:
    good = bundle_of(load_model(student), engine.run(next_step))
    shifted = (good.canary_logprobs[0] + 2e-4, *good.canary_logprobs[1:])
    with pytest.raises(
        WeightSyncError, match=r"largest difference is 2\.\d+e-04, more than 0.0001"
    ):
        engine.run(receive, replace(good, canary_logprobs=shifted))
    engine.run(receive, good)


def test_older_weights_are_refused(engine: EngineProcess, student: Path) -> None:
    model = sync_good(engine, student, seed=5)
    step = engine.run(next_step)
    with pytest.raises(WeightSyncError, match=f"step {step - 2} is older than step {step - 1}"):
        engine.run(receive, bundle_of(model, step - 2))
    engine.run(receive, bundle_of(model, step - 1))  # the same again, as after a restart


def test_rollouts_in_flight_go_on_over_a_sync_and_say_which_weights_made_which_token(
    engine: EngineProcess, student: Path
) -> None:
    old = sync_good(engine, student, seed=6)
    new = moved(load_model(student), seed=7)
    step = engine.run(next_step)
    rollouts = engine.run(sync_under_load, bundle_of(new, step))
    spanning = [r for r in rollouts if r.first_version < r.last_version]
    assert spanning
    assert {(r.first_version, r.last_version) for r in spanning} == {(step - 1, step)}
    for rollout in spanning:
        made = torch.tensor(rollout.logprobs)
        by_old = (logprobs_of(old, SHORT, rollout.token_ids) - made).abs() < TOLERANCE
        by_new = (logprobs_of(new, SHORT, rollout.token_ids) - made).abs() < TOLERANCE
        switch = int(by_old.long().cumprod(0).sum())
        assert 0 < switch < len(made)
        assert bool(by_new[switch:].all())


async def sync_under_load(engine: RolloutEngine, bundle: WeightBundle) -> list[RawRollout]:
    calls = [
        asyncio.create_task(sample(engine, num=8, max_tokens=400, seed=seed)) for seed in range(6)
    ]
    busy_s = engine.stats().busy_s
    while engine.stats().busy_s < busy_s + 0.1 and not all(call.done() for call in calls):
        await asyncio.sleep(0.01)
    await engine.receive(bundle, deadline_s=60)
    return [rollout for group in await asyncio.gather(*calls) for rollout in group]


def test_a_failed_sync_ends_the_calls_in_flight(engine: EngineProcess, student: Path) -> None:
    good = bundle_of(moved(load_model(student), seed=8), engine.run(next_step))
    bad = replace(good, canary_logprobs=(0.0,) * (len(CANARY) - 1))
    assert engine.run(fail_under_load, bad) == ["EngineError"] * 3
    engine.run(receive, good)
    assert len(engine.run(sample)) == 4


async def fail_under_load(engine: RolloutEngine, bundle: WeightBundle) -> list[str]:
    calls = [asyncio.create_task(sample(engine, num=8, max_tokens=400, seed=i)) for i in range(3)]
    while engine.stats().sequences_in_flight < 24 and not all(call.done() for call in calls):
        await asyncio.sleep(0.005)
    with pytest.raises(WeightSyncError):
        await engine.receive(bundle, deadline_s=60)
    results = await asyncio.gather(*calls, return_exceptions=True)
    return [type(result).__name__ for result in results]


def test_an_idle_engine_uses_no_processor_time(engine: EngineProcess) -> None:
    assert engine.run(idle, 1.0) < 0.2


async def idle(engine: RolloutEngine, seconds: float) -> float:
    await sample(engine)
    begin = time.process_time()
    await asyncio.sleep(seconds)
    return time.process_time() - begin
