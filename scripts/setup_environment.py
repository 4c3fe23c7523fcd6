"""Make .venv: the exact versions of requirements/*.lock, checked by hash (`make setup`).

Runs on the system's Python with its standard library alone. A second run compares a stamp and
returns at once. What can be missing on a fresh machine ends in one sentence that names the remedy.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from pip_settings import uv_environment

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "requirements"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "setup.json"
LOG = VENV / "setup.log"

TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
NEEDED_GB = {"cpu": 6, "gpu": 20}
NUM_STEPS = 5
PROGRESS = ("Downloading", "Downloaded", "Building", "Built", "Prepared", "Installed", "Bytecode")
DOWNLOAD_FAILED = re.compile(
    r"dns error|failed to lookup|connect error|tcp connect|error sending request|timed out"
    r"|client error|failed to fetch|NewConnectionError|Temporary failure"
    r"|No matching distribution",  # what pip says at last when it could not connect
    re.IGNORECASE,
)


class SetupError(Exception):
    """One sentence: what is missing and the remedy."""


def check_python() -> None:
    version, machine = ".".join(map(str, sys.version_info[:2])), os.uname().machine
    if (version, sys.platform, machine) != ("3.11", "linux", "x86_64"):
        raise SetupError(
            f"Python 3.11 on x86-64 Linux is needed, found {version} on {machine} {sys.platform}: "
            "install python3.11, or name it (make PYTHON=/path/to/python3.11 ...)."
        )


def check_machine(flavour: str) -> None:
    """Find now what would otherwise fail after minutes, or in the first run."""
    try:
        import ensurepip  # noqa: F401 - Debian leaves it out of python3.11
        import venv  # noqa: F401
    except ImportError:
        remedy = "sudo apt-get install python3.11-venv"
        raise SetupError(f"Python's venv module is missing: {remedy}.") from None
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "c++"), "c++", "g++")):
        raise SetupError(
            "vLLM compiles kernels at run time, with a C++ compiler: sudo apt-get install g++."
        )
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        remedy = "sudo apt-get install python3.11-dev"
        raise SetupError(f"vLLM compiles kernels at run time, with Python's C headers: {remedy}.")
    free_gb = shutil.disk_usage(ROOT).free / 1e9
    if free_gb < NEEDED_GB[flavour]:
        raise SetupError(
            f"About {NEEDED_GB[flavour]} GB of free disk are needed in {ROOT}, "
            f"found {free_gb:.1f} GB: free some space."
        )


def has_gpu() -> bool:
    if shutil.which("nvidia-smi") is None:
        return False
    result = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    return result.returncode == 0 and "GPU " in result.stdout


def read_stamp() -> dict[str, str]:
    try:
        stamp: dict[str, str] = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp


def make_stamp(flavour: str) -> dict[str, str]:
    """All that the environment depends on; it stays as it is while this stays equal."""
    digest = hashlib.sha256()
    for name in ("bootstrap", flavour, "dev"):
        digest.update((LOCKS / f"{name}.lock").read_bytes())
    return {
        "flavour": flavour,
        "locks": digest.hexdigest(),
        "python": f"{sys.base_prefix} {sys.version}",
        "root": str(ROOT),
    }


def say(step: int, text: str) -> None:
    print(f"[setup {step}/{NUM_STEPS}] {text}", flush=True)


def run(command: list[str], *, env: dict[str, str], what: str, stdin: str = "") -> None:
    """Run one step: its output goes to .venv/setup.log, its lines of progress to the screen too."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=env,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(stdin)
    process.stdin.close()
    lines = []
    with LOG.open("a") as log:
        for line in process.stdout:
            log.write(line)
            lines.append(line)
            if line.strip().startswith(PROGRESS):
                print(f"    {line.strip()}", flush=True)
    if process.wait() != 0:
        raise SetupError(explain("".join(lines[-40:]), what=what))


def explain(output: str, *, what: str) -> str:
    """One sentence about why a step failed, from the end of its output."""
    details = f"all its output is in {LOG.relative_to(ROOT)}"
    if "No space left" in output:
        return f"{what} failed, the disk is full: free some space and run this again ({details})."
    if re.search(r"hash mismatch|DO NOT MATCH THE HASHES", output, re.IGNORECASE):
        return f"{what} failed, a downloaded file is not the one that the lock names ({details})."
    if DOWNLOAD_FAILED.search(output):
        remedy = "check the network, or the package index that pip is set to"
        return f"{what} failed, a download did not succeed: {remedy} ({details})."
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return f"{what} failed with {lines[-1] if lines else 'no output'!r} ({details})."


def make_venv(stamp: dict[str, str]) -> None:
    """An empty .venv, unless the one that stands there can be brought up to date in place."""
    old = read_stamp()
    changed = any(key in old and old[key] != stamp[key] for key in ("flavour", "python"))
    probe = [str(PYTHON), "-c", "import sys, pip; sys.exit(sys.version_info[:2] != (3, 11))"]
    usable = PYTHON.exists() and subprocess.run(probe, capture_output=True).returncode == 0
    if usable and not changed:
        say(1, f"bringing {VENV} up to date")
        STAMP.unlink(missing_ok=True)
        return
    say(1, f"making {VENV} with Python {sys.version.split()[0]}")
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise SetupError(explain(result.stdout + result.stderr, what="Making .venv"))


def install_uv(env: dict[str, str]) -> None:
    say(2, "installing uv")
    pip = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-deps"]
    run(
        [*pip, "--require-hashes", "-r", str(LOCKS / "bootstrap.lock")],
        env=env,
        what="Installing uv",
    )


def install_torch(lock: Path, *, uv: list[str], env: dict[str, str]) -> None:
    """torch before the rest: its CPU build may have to come from an index of its own."""
    found = re.search(r"^torch==(\S+)(?:.*\\\n)*.*$", lock.read_text(), re.MULTILINE)
    assert found, f"no torch in {lock}"
    pin, version = found.group(), found.group(1)
    say(3, f"installing torch {version}")
    index, source = list[str](), ""
    if "+cpu" in version:
        probe = [*uv, "--dry-run", f"torch=={version}"]
        if subprocess.run(probe, cwd=ROOT, env=env, capture_output=True).returncode != 0:
            source = f" from {TORCH_CPU_INDEX}"
            print(f"    pip's settings lead to no such wheel: taking it{source}", flush=True)
            index = ["--default-index", TORCH_CPU_INDEX]
            env = {key: value for key, value in env.items() if key != "UV_INDEX"}
    command = [*uv, "--require-hashes", *index, "-r", "-"]
    run(command, env=env, what=f"Installing torch {version}{source}", stdin=pin)


def install_packages(locks: list[Path], *, uv: list[str], env: dict[str, str]) -> None:
    text = "".join(lock.read_text() for lock in locks)
    count = len(set(re.findall(r"^([^\s#=]+)==", text, re.MULTILINE)))
    say(4, f"installing and compiling {count} packages (minutes where nothing is cached)")
    # DeepSpeed comes as source; without isolation it is built by the locked setuptools.
    command = [*uv, "--require-hashes", "--no-build-isolation", "--compile-bytecode"]
    command += [argument for lock in locks for argument in ("-r", str(lock))]
    run(command, env=env, what="Installing the packages")


def link_checkout(*, uv: list[str], env: dict[str, str]) -> None:
    """Put the checkout on .venv's path (all four packages), and the `tailor` command into it."""
    say(5, "linking this checkout")
    mode = ["--no-build-isolation", "--config-settings", "editable_mode=compat"]
    run([*uv, *mode, "--editable", str(ROOT)], env=env, what="Linking this checkout")


def setup(flavour: str) -> None:
    check_python()
    if flavour == "auto":
        flavour = read_stamp().get("flavour") or ("gpu" if has_gpu() else "cpu")
    stamp = make_stamp(flavour)
    if read_stamp() == stamp:
        print(f"[setup] .venv is up to date ({flavour})", flush=True)
        return
    check_machine(flavour)
    start = time.monotonic()
    make_venv(stamp)
    outside = ("PYTHONHOME", "PYTHONPATH")
    env = {key: value for key, value in os.environ.items() if key not in outside}
    install_uv(env)
    env = uv_environment(PYTHON, env) | {"DS_BUILD_OPS": "0"}
    uv = [str(VENV / "bin" / "uv"), "pip", "install", "--python", str(PYTHON), "--no-deps"]
    locks = [LOCKS / f"{flavour}.lock", LOCKS / "dev.lock"]
    install_torch(locks[0], uv=uv, env=env)
    install_packages(locks, uv=uv, env=env)
    link_checkout(uv=uv, env=env)
    STAMP.write_text(json.dumps(stamp, indent=1) + "\n")
    print(f"[setup] .venv is ready ({flavour}), {time.monotonic() - start:.0f} s", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--flavour",
        choices=["auto", "cpu", "gpu"],
        default="auto",
        help="builds of torch and vLLM; auto: as before, else gpu where nvidia-smi lists one",
    )
    arguments = parser.parse_args()
    lock = os.open(LOCKS, os.O_RDONLY)
    try:
        # Two makes at once in one checkout: the second waits, then finds the stamp.
        fcntl.flock(lock, fcntl.LOCK_EX)
        setup(arguments.flavour)
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    finally:
        os.close(lock)
    return 0


if __name__ == "__main__":
    sys.exit(main())
