"""The forward pass: the model's own log-probabilities, without all its logits; running out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from learners.accumulate import accumulate, look
from learners.budget import Budget, is_out_of_memory
from learners.forward import PolicyModel, by_sequence, trained_tokens
from learners.model_loading import check_attention
from learners.packing import Shard, micro_batches, shard_batch
from tailor_rl.algorithms.aggregation import token_mean
from tailor_rl.algorithms.logprobs import CHUNK_ELEMENTS
from tailor_rl.errors import ConfigError, LearnerError
from tests.learner_fakes import CountingEngine, LargestTensor
from tests.learner_reference import PlainLearner, make_batch
from tests.tiny import make_student

CPU = torch.device("cpu")
BATCH = make_batch(0)


def shard_of(batch: Any = BATCH, *, packed: bool = False) -> Shard:
    """A whole batch as one micro-batch."""
    (shard,) = shard_batch(batch, token_mean(batch.mask), num_ranks=1)
    (micro,) = micro_batches(shard, max_tokens=1_000_000, packed=packed, pass_tokens=1_000_000)
    return micro


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize(("family", "tied"), [("qwen2", True), ("llama", False)])
def test_packed_or_padded_it_says_what_the_model_says_of_each_sequence_alone(
    tmp_path: Path, family: Literal["qwen2", "llama"], tied: bool, attention: str, packed: bool
) -> None:
    plain = PlainLearner(make_student(tmp_path, family=family, tied=tied))
    plain.model.set_attn_implementation(attention)
    model, micro = PolicyModel(plain.model), shard_of(packed=packed)
    assert model.output_layer is not None
    said = trained_tokens(model, micro, temperature=0.8, with_entropies=True, device=CPU)
    assert said.entropies is not None
    with torch.no_grad():
        distributions = plain.distributions(BATCH, 0.8)[micro.rows]
    mask = torch.from_numpy(BATCH.mask[micro.rows])
    targets = torch.from_numpy(BATCH.tokens[micro.rows])[..., None]
    expected = distributions.gather(-1, targets)[..., 0][mask]
    torch.testing.assert_close(said.logprobs, expected, rtol=0, atol=1e-5)
    entropies = -(distributions.exp() * distributions).sum(-1)[mask]
    torch.testing.assert_close(said.entropies, entropies, rtol=0, atol=1e-5)


def gemma(**changes: Any) -> Any:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    shape: dict[str, Any] = {
        "vocab_size": 300,
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "num_key_value_heads": 1,
        "head_dim": 32,
        "pad_token_id": 0,
    }
    torch.manual_seed(0)
    return Gemma2ForCausalLM(Gemma2Config(**shape, **changes)).eval()


def test_a_model_that_caps_its_logits_is_left_to_make_them_itself() -> None:
    model = PolicyModel(gemma(final_logit_softcapping=0.05))
    assert model.output_layer is None
    micro = shard_of()
    said = trained_tokens(model, micro, temperature=1.0, with_entropies=True, device=CPU)
    logits = model.language_model(input_ids=torch.from_numpy(micro.tokens)).logits
    assert logits.abs().max() <= 0.05  # the cap acts
    logprobs = logits[:, :-1].log_softmax(-1)
    targets = torch.from_numpy(micro.tokens)[:, 1:, None]
    expected = logprobs.gather(-1, targets)[..., 0][torch.from_numpy(micro.mask[:, 1:])]
    torch.testing.assert_close(said.logprobs, expected, rtol=0, atol=1e-6)


def test_a_model_that_caps_nothing_is_read_by_its_output_layer() -> None:
    assert PolicyModel(gemma(final_logit_softcapping=None)).output_layer is not None


def test_an_output_layer_of_zeros_shows_no_scale_and_is_not_trusted() -> None:
    model = gemma(final_logit_softcapping=None)
    torch.nn.init.zeros_(model.lm_head.weight)
    assert PolicyModel(model).output_layer is None


def test_names_of_weights_stay_those_of_the_model(tmp_path: Path) -> None:
    language_model = PlainLearner(make_student(tmp_path, tied=True)).model
    model = PolicyModel(language_model)
    ours = {name.removeprefix("language_model.") for name, _ in model.named_parameters()}
    assert ours == {name for name, _ in language_model.named_parameters()}


def wide_model() -> Any:
    """1 layer of width 32 under a vocabulary of 60,000."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=60_000,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    return Qwen2ForCausalLM(config).eval()


def test_a_pass_holds_no_tensor_of_all_logits_and_has_their_gradient() -> None:
    batch = make_batch(3, sequences=26, longest=48)
    language_model, micro = wide_model(), shard_of(batch)
    num_logits = batch.num_trained_tokens * 60_000
    assert num_logits > 1.5 * CHUNK_ELEMENTS
    model = PolicyModel(language_model)
    with LargestTensor() as ours:
        tokens = trained_tokens(model, micro, temperature=0.7, with_entropies=True, device=CPU)
        assert tokens.entropies is not None
        (tokens.logprobs + 0.1 * tokens.entropies).mean().backward()
    assert ours.elements <= CHUNK_ELEMENTS
    gradient = language_model.lm_head.weight.grad.clone()

    language_model.zero_grad()
    with LargestTensor() as whole:
        logits = language_model(input_ids=torch.from_numpy(micro.tokens)).logits[:, :-1]
        logprobs = (logits[torch.from_numpy(micro.mask[:, 1:])] / 0.7).log_softmax(-1)
        targets = torch.from_numpy(micro.tokens[micro.mask])
        chosen = logprobs.gather(-1, targets[:, None])[:, 0]
        entropies = -(logprobs.exp() * logprobs).sum(-1)
        (chosen + 0.1 * entropies).mean().backward()
    assert whole.elements >= num_logits
    torch.testing.assert_close(tokens.logprobs, chosen, rtol=0, atol=1e-5)
    expected = language_model.lm_head.weight.grad
    assert (gradient - expected).norm() < 1e-5 * expected.norm()


@pytest.mark.parametrize("packed", [False, True])
def test_a_method_sees_the_logits_of_one_sequence_at_a_time(tmp_path: Path, packed: bool) -> None:
    plain = PlainLearner(make_student(tmp_path))
    micro = shard_of(packed=packed)
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def visit(logits_TV: torch.Tensor, token_ids_T: torch.Tensor) -> torch.Tensor:
        seen.append((logits_TV.log_softmax(-1), token_ids_T))
        return logits_TV.sum()

    with torch.no_grad():
        assert len(by_sequence(PolicyModel(plain.model), micro, visit, device=CPU)) == 7
        expected = plain.distributions(BATCH, 1.0)
    for row, (logprobs, token_ids) in zip(micro.rows.tolist(), seen, strict=True):
        mask = BATCH.mask[row]
        assert token_ids.tolist() == BATCH.tokens[row][mask].tolist()
        torch.testing.assert_close(
            logprobs, expected[row][torch.from_numpy(mask)], rtol=0, atol=1e-5
        )


REFUSALS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate"
                 " memory: you tried to allocate 4096 bytes."),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 4096 bytes."),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    MemoryError(),
]  # fmt: skip


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: str(error)[:30])
def test_every_allocators_refusal_is_known(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), ValueError("out of memory")])
def test_no_other_error_is_taken_for_one(error: Exception) -> None:
    assert not is_out_of_memory(error)


def failing(at: int) -> Callable[[Shard], tuple[torch.Tensor, int]]:
    """A loss of which the `at`-th runs out of memory; measures the sequences."""
    count = [0]

    def loss_of(micro: Shard) -> tuple[torch.Tensor, int]:
        count[0] += 1
        if count[0] == at:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return torch.tensor(float(micro.weights.sum())), micro.num_sequences

    return loss_of


def test_a_pass_begins_again_with_half_of_what_did_not_fit() -> None:
    (shard,) = shard_batch(BATCH, token_mean(BATCH.mask), num_ranks=1)
    engine, budget = CountingEngine(), Budget(10_000, pass_tokens=10_000)
    whole = shard_of().num_computed_tokens
    done = accumulate(engine, shard, loss_of=failing(1), budget=budget, device=CPU)
    assert budget.tokens == whole // 2
    assert done.passes.lowered_budget == whole // 2
    assert engine.forgotten == 1
    assert sum(done.measured) == 7
    assert engine.total == pytest.approx(1.0)  # every weight once: nothing of the first try is left
    assert engine.boundaries == 1


def test_what_was_measured_before_memory_ran_out_is_not_counted_twice() -> None:
    (shard,) = shard_batch(BATCH, token_mean(BATCH.mask), num_ranks=1)
    engine, budget = CountingEngine(), Budget(60)
    done = accumulate(engine, shard, loss_of=failing(2), budget=budget, device=CPU)
    assert sum(done.measured) == 7
    assert engine.total == pytest.approx(1.0)


def test_one_sequence_that_does_not_fit_is_one_sentence_and_no_endless_loop() -> None:
    (shard,) = shard_batch(BATCH, token_mean(BATCH.mask), num_ranks=1)

    def never(micro: Shard) -> tuple[torch.Tensor, None]:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    budget = Budget(10_000)
    with pytest.raises(LearnerError, match=r"one sequence, and learner.micro_batch_tokens = \d+ "):
        accumulate(CountingEngine(), shard, loss_of=never, budget=budget, device=CPU)


def test_where_ranks_meet_inside_a_pass_the_sentence_names_the_value_to_set() -> None:
    (shard,) = shard_batch(BATCH, token_mean(BATCH.mask), num_ranks=1)
    engine = CountingEngine(begins_again_alone=False)
    budget = Budget(60)
    half = max(piece.num_computed_tokens for piece in budget.cut(shard)) // 2
    with pytest.raises(LearnerError, match=rf"learner.micro_batch_tokens = {half} \(it is 60\)"):
        accumulate(engine, shard, loss_of=failing(1), budget=budget, device=CPU)
    assert (budget.tokens, budget.lowered) == (60, False)


def test_another_error_of_a_pass_rises_at_once() -> None:
    (shard,) = shard_batch(BATCH, token_mean(BATCH.mask), num_ranks=1)

    def wrong(micro: Shard) -> tuple[torch.Tensor, None]:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        accumulate(CountingEngine(), shard, loss_of=wrong, budget=Budget(60), device=CPU)


def test_looking_again_visits_every_sequence_once() -> None:
    (shard,) = shard_batch(BATCH, token_mean(BATCH.mask), num_ranks=1)
    fail, budget = failing(2), Budget(60)
    visited = look(shard, lambda micro: fail(micro)[1], budget=budget, in_step=False, device=CPU)
    rows = np.concatenate([micro.rows for micro, _ in visited])
    assert sorted(rows.tolist()) == list(range(7))
    assert budget.lowered


def test_flash_attention_is_refused_where_it_cannot_run() -> None:
    with pytest.raises(ConfigError, match=r"learner.attention = .flash_attention_2. runs on GPUs"):
        check_attention("flash_attention_2", dtype="bfloat16", on_gpu=False)
    with pytest.raises(ConfigError, match=r"learner\.dtype"):
        check_attention("flash_attention_2", dtype="float32", on_gpu=True)
    with pytest.raises(ConfigError, match="flash-attn, which is not installed"):
        check_attention("flash_attention_2", dtype="bfloat16", on_gpu=True)
    check_attention("sdpa", dtype="float32", on_gpu=False)
