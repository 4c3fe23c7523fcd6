"""Fakes for the passes of one learner rank."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class CountingEngine:
    """Adds up losses where an engine would add up gradients."""

    world_size = 1
    goes_in_step = False

    def __init__(self, *, begins_again_alone: bool = True) -> None:
        self.begins_again_alone = begins_again_alone
        self.total = 0.0
        self.boundaries = 0
        self.forgotten = 0

    def backward(self, loss: torch.Tensor, *, last: bool) -> None:
        self.total += float(loss)
        self.boundaries += last

    def forget_gradients(self) -> None:
        self.total = 0.0
        self.boundaries = 0
        self.forgotten += 1


class LargestTensor(TorchDispatchMode):
    """The most elements that any tensor has had, forward and backward."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for each in tree_leaves(result):
            if isinstance(each, torch.Tensor):
                self.elements = max(self.elements, each.numel())
        return result
