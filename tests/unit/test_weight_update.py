"""Verification of a weight bundle before a byte of it is loaded, and the canary's judgement."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from actors.engine import RolloutEngine
from actors.weight_update import Progress, load, verify
from tailor_rl.errors import EngineError, WeightSyncError
from tailor_rl.types import WeightVersion
from tailor_rl.weights import WeightBundle, combined_checksum, pack

CANARY = ((1, 2, 3), "sampling parameters")


def bundle(step: int = 5, scale: float = 1.0, dtype: torch.dtype = torch.float32) -> WeightBundle:
    tensors = {
        name: pack(torch.full((2, 3), scale * value, dtype=dtype))
        for name, value in (("a.weight", 1.0), ("b.weight", 2.0))
    }
    checksum = combined_checksum((name, packed.checksum) for name, packed in tensors.items())
    return WeightBundle(WeightVersion(step, checksum), tensors, (1, 2, 3), (-1.0, -2.0))


class FakeLLM:
    """Answers the canary with fixed log-probabilities; two others finish in the same step."""

    def __init__(self, logprobs: tuple[float, ...], *, fails_at: str = "") -> None:
        self.logprobs = logprobs
        self.fails_at = fails_at
        self.events: list[str] = []
        self.canary: Any = ()

    def collective_rpc(self, method: str, args: Any = ()) -> None:
        self.events.append(method)
        if method == self.fails_at:
            raise ValueError("parameter a.weight: too long")

    def reset_prefix_cache(self, *, reset_running_requests: bool) -> None:
        assert reset_running_requests
        self.events.append("reset_prefix_cache")

    def set_weight_version(self, version: str) -> None:
        self.events.append(f"version {version}")

    def add_request(self, request_id: str, prompt: Any, params: Any, *, priority: int) -> None:
        self.events.append(f"{request_id} at {priority}")
        self.canary = prompt

    def has_unfinished_requests(self) -> bool:
        return True

    def step(self) -> list[Any]:
        rows = [SimpleNamespace(logprob=logprob) for logprob in self.logprobs]
        answer = [None, *({t: r} for t, r in zip(self.canary[1:], rows, strict=True))]
        before, behind = (SimpleNamespace(request_id=i, finished=True) for i in ("7", "8"))
        canary = SimpleNamespace(request_id="canary", finished=True, prompt_logprobs=answer)
        return [before, canary, behind]


@pytest.mark.parametrize("current", [None, 4, 5])
def test_newer_weights_and_the_same_again_are_verified(current: int | None) -> None:
    good = bundle(step=5)
    held = None if current is None else WeightVersion(current, good.version.checksum)
    progress = Progress()
    verify(good, held, progress)
    assert str(progress) == "phase: verify"  # to its end: no parameter is left being looked at


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (bundle(step=3), r"step 3 is older than step 4 \(phase: verify\)"),
        (bundle(step=4, scale=2), "already has that step with checksum"),
        (replace(bundle(), canary_logprobs=(-1.0,)), "3 tokens and 1 log-probabilities"),
        (replace(bundle(), version=WeightVersion(5, "x")), "combined checksum is .*, not x"),
    ],
)
def test_what_is_wrong_with_a_bundle_is_said(changed: WeightBundle, sentence: str) -> None:
    with pytest.raises(WeightSyncError, match=sentence):
        verify(changed, WeightVersion(4, "held"), Progress())


def test_one_flipped_bit_names_its_parameter() -> None:
    good = bundle()
    data = good.tensors["b.weight"].data.copy()
    data[7] ^= 1
    tensors = {**good.tensors, "b.weight": replace(good.tensors["b.weight"], data=data)}
    with pytest.raises(WeightSyncError, match=r"phase: verify, parameter: b\.weight"):
        verify(replace(good, tensors=tensors), None, Progress())


def test_a_load_goes_through_its_phases_and_keeps_the_outputs_of_bystanders() -> None:
    llm = FakeLLM((-1.00005, -2.0))
    loaded = load(llm, bundle(), canary=CANARY, dtype="float32", progress=Progress())
    assert llm.events == [
        "start_weight_update",
        "update_weights",
        "finish_weight_update",
        "reset_prefix_cache",
        "version 5",
        "canary at -1",
    ]
    assert math.isclose(loaded.canary_difference, 5e-5, rel_tol=1e-3)
    assert [output.request_id for output in loaded.bystanders] == ["7", "8"]


@pytest.mark.parametrize("bad", [-2.0002, math.nan, -math.inf])
def test_a_canary_that_is_off_or_no_number_fails_with_its_figures(bad: float) -> None:
    with pytest.raises(WeightSyncError, match=r"token 2 is .*\(phase: canary\)"):
        load(FakeLLM((-1.0, bad)), bundle(), canary=CANARY, dtype="float32", progress=Progress())


def test_only_float32_on_both_sides_is_held_to_the_tight_tolerance() -> None:
    rough = (-1.01, -2.01)
    load(FakeLLM(rough), bundle(), canary=CANARY, dtype="bfloat16", progress=Progress())
    load(
        FakeLLM(rough),
        bundle(dtype=torch.bfloat16),
        canary=CANARY,
        dtype="float32",
        progress=Progress(),
    )
    with pytest.raises(WeightSyncError, match=r"1\.00e-02, more than 0\.0001"):
        load(FakeLLM(rough), bundle(), canary=CANARY, dtype="float32", progress=Progress())


def test_an_error_of_vllm_carries_the_phase() -> None:
    llm = FakeLLM((-1.0, -2.0), fails_at="update_weights")
    with pytest.raises(WeightSyncError, match=r"parameter a\.weight: too long \(phase: load\)"):
        load(llm, bundle(), canary=CANARY, dtype="float32", progress=Progress())


@pytest.mark.parametrize(
    ("files", "sentence"), [((), "has no config.json"), (("config.json",), "holds no weights")]
)
def test_a_folder_that_is_no_checkpoint_is_refused_in_one_sentence(
    tmp_path: Path, files: tuple[str, ...], sentence: str
) -> None:
    for name in files:
        (tmp_path / name).write_text("{}")
    with pytest.raises(EngineError, match=sentence) as caught:
        RolloutEngine(
            str(tmp_path),
            dtype="float32",
            max_sequences=8,
            max_model_len=64,
            kv_cache_gib=0.1,
            threads=1,
            enforce_eager=True,
            tensor_parallel=1,
            gpu_memory_utilization=0.5,
            seed=0,
            device="cpu",
        )
    assert "\n" not in str(caught.value)


def test_bytes_are_what_is_checked_not_the_object_that_holds_them() -> None:
    good = bundle()
    read_only = good.tensors["a.weight"].data.copy()
    read_only.setflags(write=False)
    assert isinstance(read_only, np.ndarray)
    tensors = {**good.tensors, "a.weight": replace(good.tensors["a.weight"], data=read_only)}
    verify(replace(good, tensors=tensors), None, Progress())
