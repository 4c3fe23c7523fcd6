"""Joining the other ranks: environment, threads and DeepSpeed's process group.

Each process sees at most one GPU: whoever starts ranks has set CUDA_VISIBLE_DEVICES.
"""

from __future__ import annotations

import os
from typing import Literal

Device = Literal["cpu", "cuda"]


def join(
    *, rank: int, world_size: int, master_addr: str, master_port: int, threads: int, device: Device
) -> None:
    """Set up this process as `rank` of `world_size`; returns when all of them have joined.

    Uses gloo on CPU and NCCL on CUDA. Changes the environment: one rank a process.
    """
    os.environ.update(
        RANK=str(rank),
        WORLD_SIZE=str(world_size),
        MASTER_ADDR=master_addr,
        MASTER_PORT=str(master_port),
        # One process a host, as far as DeepSpeed can tell: one device, no shared memory.
        LOCAL_RANK="0",
        LOCAL_SIZE="1",
        OMP_NUM_THREADS=str(threads),
    )
    if device == "cpu":
        os.environ["DS_ACCELERATOR"] = "cpu"  # also on hosts that have GPUs
    import torch

    torch.set_num_threads(threads)
    import deepspeed

    # Else every first start compiles a shared-memory operation that only inference would call, and
    # a rank killed meanwhile leaves a lock file on which all later starts wait for ever.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    backend = "gloo" if device == "cpu" else "nccl"
    deepspeed.init_distributed(dist_backend=backend, auto_mpi_discovery=False, verbose=False)
