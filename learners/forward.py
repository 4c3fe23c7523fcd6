"""From a micro-batch to what a loss needs: log-probabilities and entropies of the trained tokens.

The backbone reads the whole micro-batch; the output layer is applied where a trained token is
predicted and nowhere else, a chunk at a time (tailor_rl/algorithms/logprobs.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from learners.packing import Shard
from tailor_rl.algorithms.logprobs import entropies, output_scores, token_logprobs

# `PolicyModel` itself, or an engine around one: takes and returns what `PolicyModel.forward` does.
Forward = Callable[..., Any]
Scores = tuple[torch.Tensor, torch.Tensor | None]  # log-probabilities and entropies, (N,) each
Result = TypeVar("Result")


class Predictions(Protocol):
    """The distributions over the next token at N positions."""

    def logits(self, rows: slice) -> torch.Tensor:
        """Of some positions, (rows, V), in the model's own type."""
        ...

    def scores(
        self, targets_N: torch.Tensor, *, temperature: float, with_entropies: bool
    ) -> Scores: ...


@dataclass(frozen=True, slots=True)
class _FromStates:
    """By a linear output layer; logits are made when they are asked for."""

    hidden_ND: torch.Tensor
    weight_VD: torch.Tensor
    bias_V: torch.Tensor | None

    def logits(self, rows: slice) -> torch.Tensor:
        return torch.nn.functional.linear(self.hidden_ND[rows], self.weight_VD, self.bias_V)

    def scores(
        self, targets_N: torch.Tensor, *, temperature: float, with_entropies: bool
    ) -> Scores:
        return output_scores(
            self.hidden_ND,
            self.weight_VD,
            targets_N,
            bias_V=self.bias_V,
            temperature=temperature,
            with_entropies=with_entropies,
        )


@dataclass(frozen=True, slots=True)
class _FromLogits:
    """Of a model that does more after its output layer."""

    logits_NV: torch.Tensor

    def logits(self, rows: slice) -> torch.Tensor:
        return self.logits_NV[rows]

    def scores(
        self, targets_N: torch.Tensor, *, temperature: float, with_entropies: bool
    ) -> Scores:
        logprobs = token_logprobs(self.logits_NV, targets_N, temperature=temperature)
        if not with_entropies:
            return logprobs, None
        return logprobs, entropies(self.logits_NV, temperature=temperature)


class OutputLayer(torch.nn.Module):
    """The output layer's parameters, for a function that reads them.

    They are this module's own, so ZeRO-3 puts them together around each call, and once: a layer
    that is called chunk by chunk would be put together, and its gradients exchanged, for each.
    """

    def __init__(self, layer: torch.nn.Linear) -> None:
        super().__init__()
        self.weight = layer.weight
        self.bias = layer.bias

    def forward(self, hidden_ND: torch.Tensor, read: Callable[[Predictions], Result]) -> Result:
        return read(_FromStates(hidden_ND, self.weight, self.bias))


class PolicyModel(torch.nn.Module):
    """A causal language model of transformers, read at chosen positions only.

    Models that do more than apply a linear layer to the last hidden states (caps and scales of
    logits) are found by trying, and then make all logits themselves. To be built before ZeRO cuts
    the model up.
    """

    def __init__(self, language_model: Any) -> None:
        super().__init__()
        self.language_model = language_model
        layer = language_model.get_output_embeddings()
        plain = type(layer) is torch.nn.Linear and _applies_alone(layer, language_model)
        self.output_layer = OutputLayer(layer) if plain else None

    def forward(
        self,
        input_ids: torch.Tensor,
        *,
        places: torch.Tensor | None = None,
        read: Callable[[Predictions], Any] | None = None,
        **inputs: Any,
    ) -> Any:
        """`read` of the predictions after the inputs at `places` (N,), counted row by row.

        Without `places` what transformers returns, with logits everywhere.
        """
        inputs = {"input_ids": input_ids, "use_cache": False, **inputs}
        if places is None or read is None:
            return self.language_model(**inputs)
        if self.output_layer is None:
            rows, columns = places // input_ids.shape[1], places % input_ids.shape[1]
            kept, column_of = columns.unique(return_inverse=True)
            logits_BCV = self.language_model(**inputs, logits_to_keep=kept).logits
            return read(_FromLogits(logits_BCV[rows, column_of]))
        hidden_BTD = self.language_model.base_model(**inputs).last_hidden_state
        return self.output_layer(hidden_BTD.flatten(0, 1)[places], read)


@torch.no_grad()
def _applies_alone(layer: Any, language_model: Any) -> bool:
    """Whether logits are the layer applied to the last hidden states, bit by bit."""
    training = language_model.training
    language_model.eval()
    tokens = torch.arange(2, device=layer.weight.device)[None]
    logits = language_model(input_ids=tokens, use_cache=False).logits
    hidden = language_model.base_model(input_ids=tokens, use_cache=False).last_hidden_state
    language_model.train(training)
    # Where all logits are zero, a scale would not show.
    return bool(logits.any()) and torch.equal(logits, layer(hidden))


def model_inputs(micro: Shard, *, device: torch.device) -> dict[str, torch.Tensor]:
    """What a model reads of a micro-batch, and `places` (N,): after which of those tokens, counted
    row by row, the trained tokens come.

    No attention mask. Padding is on the right, where the earlier tokens of a causal model cannot
    see it; packed sequences are told apart by positions that begin again.
    """
    lengths = micro.input_lengths
    width = int(lengths.max())
    tokens = micro.tokens[:, :width]
    starts = np.arange(micro.num_sequences) * width
    arrays: dict[str, np.ndarray] = {}
    if micro.packed:
        columns = np.arange(width)
        real = columns < lengths[:, None]
        arrays["position_ids"] = np.broadcast_to(columns, real.shape)[real][None]
        tokens = tokens[real][None]
        starts = np.cumsum(lengths) - lengths
    rows, at = np.nonzero(micro.mask)
    arrays |= {"input_ids": tokens, "places": starts[rows] + at - 1}
    return {
        name: torch.from_numpy(np.ascontiguousarray(array)).to(device)
        for name, array in arrays.items()
    }


@dataclass(frozen=True, slots=True)
class TrainedTokens:
    """The N trained tokens of a micro-batch, row by row. A fill-in has one, of weight 0."""

    logprobs: torch.Tensor  # (N,) float32
    entropies: torch.Tensor | None  # (N,) float32, where they were asked for
    sequences: torch.Tensor  # (N,) int64: the row of each

    def of(self, micro: Shard, name: str) -> torch.Tensor | None:
        """The column `name` of the micro-batch at the trained tokens, (N,); None where it is."""
        values = getattr(micro, name)
        if values is None:
            return None
        if values.ndim == 1:  # one a sequence
            values = np.broadcast_to(values[:, None], micro.mask.shape)
        return torch.from_numpy(values[micro.mask]).to(self.sequences.device)

    def must(self, micro: Shard, name: str) -> torch.Tensor:
        values = self.of(micro, name)
        assert values is not None, name
        return values


def trained_tokens(
    forward: Forward,
    micro: Shard,
    *,
    temperature: float,
    with_entropies: bool = False,
    device: torch.device,
) -> TrainedTokens:
    """What the model says of the trained tokens (`mask[t]` speaks of predicting tokens[t])."""
    read = partial(
        _scores,
        targets_N=torch.from_numpy(micro.tokens[micro.mask]).to(device),
        temperature=temperature,
        with_entropies=with_entropies,
    )
    logprobs, spread = forward(**model_inputs(micro, device=device), read=read)
    return TrainedTokens(
        logprobs=logprobs,
        entropies=spread,
        sequences=torch.from_numpy(np.nonzero(micro.mask)[0]).to(device),
    )


def _scores(
    predictions: Predictions,
    *,
    targets_N: torch.Tensor,
    temperature: float,
    with_entropies: bool,
) -> Scores:
    return predictions.scores(targets_N, temperature=temperature, with_entropies=with_entropies)


def by_sequence(
    forward: Forward,
    micro: Shard,
    visit: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    *,
    device: torch.device,
) -> list[torch.Tensor]:
    """`visit(logits (T, V), token ids (T,))` of the trained tokens of each sequence, in turn."""
    ends = np.cumsum(micro.mask.sum(axis=1)).tolist()
    rows = [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    targets_N = torch.from_numpy(micro.tokens[micro.mask]).to(device)

    def read(predictions: Predictions) -> list[torch.Tensor]:
        return [visit(predictions.logits(each), targets_N[each]) for each in rows]

    visited: list[torch.Tensor] = forward(**model_inputs(micro, device=device), read=read)
    return visited


def token_row_logprobs(
    forward: Forward, tokens: tuple[int, ...], *, device: torch.device
) -> torch.Tensor:
    """Entry t: log-probability of tokens[t + 1] given those before it, at temperature 1."""
    row = torch.tensor(tokens, device=device)
    read = partial(_scores, targets_N=row[1:], temperature=1.0, with_entropies=False)
    places = torch.arange(len(tokens) - 1, device=device)
    logprobs, _ = forward(input_ids=row[None, :-1], places=places, read=read)
    said: torch.Tensor = logprobs
    return said
