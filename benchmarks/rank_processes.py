"""Processes that are ranks of one learner, and students with random weights, for measurements."""

from __future__ import annotations

import multiprocessing
import socket
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]


def in_ranks(function: Callable[..., Any], num_ranks: int, *args: Any) -> list[Any]:
    """`function(common, *args)` in `num_ranks` new processes at once; their results by rank.

    `common` are the settings of a `LearnerRank` that say where it stands. Raises RuntimeError with
    the traceback of a process that failed.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    started = []
    for rank in range(num_ranks):
        common = {
            "rank": rank,
            "world_size": num_ranks,
            "master_addr": "127.0.0.1",
            "master_port": port,
            "threads": 1,
            "device": "cpu",
            "seed": 0,
        }
        ours, theirs = context.Pipe()
        process = context.Process(target=_run, args=(theirs, function, common, args), daemon=True)
        process.start()
        theirs.close()
        started.append((process, ours))
    results = []
    try:
        for process, pipe in started:
            try:
                ok, value = pipe.recv()
            except EOFError:
                process.join()
                ok, value = False, f"a rank died: exit code {process.exitcode}"
            if not ok:
                raise RuntimeError(value)
            results.append(value)
    finally:
        for process, _ in started:
            process.kill()
            process.join()
    return results


def _run(
    pipe: Connection, function: Callable[..., Any], common: dict[str, Any], args: tuple[Any, ...]
) -> None:
    try:
        pipe.send((True, function(common, *args)))
    except Exception:
        pipe.send((False, traceback.format_exc()))


def random_student(folder: Path, **shape: Any) -> Path:
    """A Qwen2 with random weights and the tokenizer of a shipped student; `shape` goes to its
    configuration.
    """
    import torch
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    values = {
        "tie_word_embeddings": True,
        "max_position_embeddings": 4096,
        "pad_token_id": 0,
        "bos_token_id": None,
        "eos_token_id": 1,
        **shape,
    }
    Qwen2ForCausalLM(Qwen2Config(**values)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(PROJECT / "students/knights-qwen2").save_pretrained(folder)
    return folder
