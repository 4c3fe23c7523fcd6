"""A checkpoint folder: an ordinary Hugging Face model, and beside it all that is needed to go on.

    FOLDER/model.safetensors, config.json, tokenizer files   loadable by transformers and vLLM; in
                                                             shards with an index above 5 GB
    FOLDER/learner/learner.json                      counters, weight version, layout
    FOLDER/learner/random-0.safetensors, ...         random states, a file a rank
    FOLDER/learner/policy-optimizer-0-0.safetensors  NAME/master, NAME/exp_avg, ...: whole tensors
    FOLDER/learner/critic.safetensors                further weights: "critic", "reference";
                                                     "adapted": LoRA's base and adapters, apart

Optimizer tensors are whole and shared out over the ranks' files, so any number of ranks at any ZeRO
stage can go on. All ranks write to one folder: on several hosts it has to be on a shared file
system. Tensors and JSON only: nothing in it is ever unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from huggingface_hub import save_torch_state_dict
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tailor_rl.errors import LearnerError
from tailor_rl.types import WeightVersion

SHARD_BYTES = 5_000_000_000  # of the model: above, several files and an index
PART_BYTES = 1 << 30  # of optimizer tensors that a rank collects before it writes them


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a recipe may change between two sittings, and what rounding depends on."""

    ranks: int
    zero_stage: int
    dtype: str
    micro_batch_tokens: int
    packing: bool
    attention: str
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """`step` counts from the student, `stage_step` from the beginning of `stage` ("sft", "rl")."""

    stage: str
    step: int
    stage_step: int
    version: WeightVersion
    layout: Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomState:
    """Of one rank's torch generators."""

    cpu: torch.Tensor
    device: torch.Tensor | None


def save_model(
    folder: Path,
    weights: Mapping[str, torch.Tensor],
    *,
    model: Any,
    tokenizer: Any,
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Write weights, config and tokenizer under their Hugging Face names."""
    folder.mkdir(parents=True, exist_ok=True)
    save_torch_state_dict(dict(weights), folder, max_shard_size=shard_bytes)
    model.config.save_pretrained(folder)
    if model.generation_config is not None:
        model.generation_config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def save_weights(folder: Path, name: str, weights: Mapping[str, torch.Tensor]) -> None:
    """Weights beside the model: of the KL "reference", of the "critic"."""
    save_file(dict(weights), _made(_weights_file(folder, name)))


def load_weights(folder: Path, name: str, *, needed_by: str) -> dict[str, torch.Tensor]:
    """Raises LearnerError when the checkpoint was written without them."""
    path = _weights_file(folder, name)
    if not path.is_file():
        raise LearnerError(
            f"{folder} holds no {name}, but this run uses one ({needed_by}): "
            "resume with the setting that it was written with"
        )
    return load_file(path)


def save_counters(folder: Path, counters: Counters) -> None:
    path = _made(folder / "learner" / "learner.json")
    path.write_text(json.dumps(asdict(counters), indent=2) + "\n", encoding="utf-8")


def load_counters(folder: Path) -> Counters:
    """Raises LearnerError where there are none, or those of another version of tailor_rl."""
    path = folder / "learner" / "learner.json"
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        return Counters(
            stage=str(saved["stage"]),
            step=int(saved["step"]),
            stage_step=int(saved["stage_step"]),
            version=WeightVersion(**saved["version"]),
            layout=Layout(**saved["layout"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LearnerError(
            f"{folder} holds no learner state to go on from ({path}: {error!r}): name a checkpoint "
            "of a run made by this version of tailor_rl"
        ) from error


def check_stage(folder: Path, counters: Counters, *, stage: str) -> None:
    """Raises LearnerError for a checkpoint of the other stage: its moments are of other losses."""
    if counters.stage != stage:
        raise LearnerError(
            f"{folder} is a checkpoint of {counters.stage}, and {stage} cannot go on from its "
            "optimizer: name a checkpoint of the same stage"
        )


def changes(written: Layout, now: Layout) -> str | None:
    """A sentence on what is cut otherwise than it was, so that rounding differs; None: nothing.

    Raises LearnerError for another dtype: the weights would not be the same.
    """
    if written.dtype != now.dtype:
        raise LearnerError(
            f"the checkpoint was written with learner.dtype = {written.dtype!r}, this run has "
            f"{now.dtype!r}: set it back"
        )
    before, after = asdict(written), asdict(now)
    differing = [key for key in before if before[key] != after[key]]
    if not differing:
        return None
    listed = ", ".join(f"learner.{key} was {before[key]} and is {after[key]}" for key in differing)
    return (
        f"{listed}: the run goes on from the same weights and optimizer, though no longer bit for "
        "bit as it would have"
    )


def save_random_state(folder: Path, state: RandomState, *, rank: int) -> None:
    tensors = {"cpu": state.cpu} | ({} if state.device is None else {"device": state.device})
    save_file(tensors, _made(_random_file(folder, rank)))


def load_random_state(folder: Path, *, rank: int) -> RandomState | None:
    """None for a rank that did not exist when the checkpoint was written."""
    path = _random_file(folder, rank)
    if not path.is_file():
        return None
    tensors = load_file(path)
    return RandomState(cpu=tensors["cpu"], device=tensors.get("device"))


def save_optimizer(
    folder: Path,
    states: Iterable[tuple[str, Mapping[str, torch.Tensor]]],
    *,
    model: str,
    rank: int,
    ranks: int,
    part_bytes: int = PART_BYTES,
) -> None:
    """Write this rank's share of the states, which are whole and valid one at a time.

    Every rank walks through all of them: gathering one is a meeting of all ranks.
    """
    kept: dict[str, torch.Tensor] = {}
    part = 0
    for index, (name, state) in enumerate(states):
        if index % ranks != rank:
            continue
        for key, tensor in state.items():
            kept[f"{name}/{key}"] = tensor.detach().to("cpu", copy=True).contiguous()
        if sum(tensor.nbytes for tensor in kept.values()) >= part_bytes:
            save_file(kept, _made(_optimizer_file(folder, model, rank, part)))
            kept, part = {}, part + 1
    if kept:
        save_file(kept, _made(_optimizer_file(folder, model, rank, part)))


class SavedOptimizer:
    """Optimizer tensors by parameter name, read from the files one parameter at a time."""

    def __init__(self, folder: Path, *, model: str) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._files: dict[str, Any] = {}  # "NAME/exp_avg" -> the open file that holds it
        for path in sorted((folder / "learner").glob(f"{model}-optimizer-*.safetensors")):
            file = self._stack.enter_context(safe_open(path, framework="pt"))
            self._files |= dict.fromkeys(file.keys(), file)

    def __getitem__(self, name: str) -> dict[str, torch.Tensor]:
        """Raises LearnerError for a parameter that the checkpoint does not know."""
        keys = ("master", "exp_avg", "exp_avg_sq", "step")
        found = {k: f"{name}/{k}" for k in keys if f"{name}/{k}" in self._files}
        if not found:
            raise LearnerError(
                f"{self._folder} holds no optimizer state of the parameter {name}: it was written "
                "for another model, or with other trained parameters"
            )
        return {key: self._files[entry].get_tensor(entry) for key, entry in found.items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()


def _optimizer_file(folder: Path, model: str, rank: int, part: int) -> Path:
    return folder / "learner" / f"{model}-optimizer-{rank}-{part}.safetensors"


def _random_file(folder: Path, rank: int) -> Path:
    return folder / "learner" / f"random-{rank}.safetensors"


def _weights_file(folder: Path, name: str) -> Path:
    return folder / "learner" / f"{name}.safetensors"


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
