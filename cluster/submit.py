"""Hands a run to a Ray cluster as a job, and shows its log until it ends.

The checkout travels as the job's working directory, without what .rayignore and .gitignore name. It
is a temporary copy over there, so the run folder must be outside of it: an absolute path that the
cluster can write.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import stamina

from cluster.local import CHECKOUT, first_sentence, secure_token
from tailor_rl.bench.cells import make_cells
from tailor_rl.bench.study import is_study_file, read_study
from tailor_rl.config.load import load_config
from tailor_rl.config.schema import RunConfig
from tailor_rl.errors import ConfigError, TailorError

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

START_S = 60.0  # a cluster that was just started takes its first job within this time
# They tell of every file that is not uploaded and of every attempt; some set a level of their own.
CHATTERERS = (
    "ray",
    "ray.dashboard.modules.job.sdk",
    "ray.dashboard.modules.dashboard_sdk",
    "stamina",
)
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Job:
    """What is submitted: one command and the two environment variables it may need. No secrets."""

    entrypoint: str
    env: dict[str, str]

    @property
    def runtime_env(self) -> dict[str, object]:
        return {"working_dir": str(CHECKOUT), "env_vars": self.env}

    def as_command(self, address: str) -> str:
        """The same submission by hand."""
        details = json.dumps({"env_vars": self.env})
        return (
            f"RAY_AUTH_MODE=token ray job submit --address {shlex.quote(address)} "
            f"--working-dir {shlex.quote(str(CHECKOUT))} "
            f"--runtime-env-json {shlex.quote(details)} -- {self.entrypoint}"
        )


def submit(
    config: Path,
    overrides: Sequence[str] = (),
    *,
    address: str,
    runs_dir: Path | None,
    name: str | None,
    follow: bool,
    echo: Callable[[str], None],
) -> int:
    """Submit `tailor run CONFIG ...`, or `tailor bench` of a study, to the job server at `address`
    (http://HOST:8265).

    Returns the exit code of the job, or 0 at once where `follow` is off. `runs_dir` may be left out
    for a cluster on this host only. Raises ConfigError before anything is sent where the recipe is
    wrong, and where the cluster does not answer or refuses the token.
    """
    command, cfgs = _work(config, overrides)
    job = make_job(
        config,
        overrides,
        command=command,
        cfgs=cfgs,
        address=address,
        runs_dir=runs_dir,
        name=name,
    )
    client = _connect(address)
    echo(f"equivalent to: {job.as_command(address)}")
    submission = _send(client, job)
    echo(f"submitted as {submission}")
    if not follow:
        return 0
    return asyncio.run(_follow(client, submission, echo))


def make_job(
    config: Path,
    overrides: Sequence[str],
    *,
    command: str,
    cfgs: Sequence[RunConfig],
    address: str,
    runs_dir: Path | None,
    name: str | None,
) -> Job:
    """`tailor COMMAND` of these recipes, and its environment. Raises ConfigError for what the
    cluster could not see.
    """
    same_host = urlsplit(address).hostname in LOOPBACK
    if runs_dir is None and not same_host:
        raise ConfigError(
            f"a job at {address} needs --runs-dir: an absolute path that every machine of the "
            "cluster can write, for its working directory is deleted after the job"
        )
    folder = runs_dir or Path("runs").resolve()
    if not folder.is_absolute():
        raise ConfigError(
            f"--runs-dir {folder} is not absolute; a job has another working directory"
        )
    words = ["python", "-m", "tailor_rl", command, _shipped(config, same_host), *overrides]
    words += ["--plain", "--runs-dir", str(folder)]
    words += ["--name", name] if name else []
    return Job(entrypoint=shlex.join(words), env=_env(cfgs))


def _work(config: Path, overrides: Sequence[str]) -> tuple[str, list[RunConfig]]:
    """What a file asks for: ("run", its recipe) or ("bench", those of a study's cells)."""
    if not is_study_file(config):
        return "run", [load_config(config, overrides)]
    return "bench", [cell.config for cell in make_cells(read_study(config), config, overrides)]


def _shipped(config: Path, same_host: bool) -> str:
    """The recipe's path as the job sees it: relative if it travels with the working directory."""
    path = config.resolve()
    if path.is_relative_to(CHECKOUT):
        return str(path.relative_to(CHECKOUT))
    if not same_host:
        raise ConfigError(f"{path} is outside of {CHECKOUT} and would not travel; copy it there")
    return str(path)


def _env(cfgs: Sequence[RunConfig]) -> dict[str, str]:
    endpoints = (each for cfg in cfgs for each in cfg.teacher.endpoints.values())
    variables = dict.fromkeys(each.api_key_env for each in endpoints)
    env = {}
    for variable in variables:
        if path := os.environ.get(f"{variable}_FILE"):
            env[f"{variable}_FILE"] = path
        elif os.environ.get(variable):
            raise ConfigError(
                f"the key in {variable} stays on this machine, since a job's environment can be "
                "read by everyone who can reach the cluster; write it to a file (mode 0600) over "
                f"there and set {variable}_FILE to its path"
            )
    return env


def _connect(address: str) -> JobSubmissionClient:
    if os.environ.get("RAY_AUTH_MODE", "token") == "token":
        secure_token()
    from ray.exceptions import RayError
    from ray.job_submission import JobSubmissionClient

    try:
        client = JobSubmissionClient(address)
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        raise ConfigError(
            f"no job server at {address}: {first_sentence(error)}; start one with "
            "`ray start --head`, and use the same token (RAY_AUTH_TOKEN_PATH) on both sides"
        ) from error
    for library in CHATTERERS:
        logging.getLogger(library).setLevel(logging.ERROR)
    return client


def _send(client: JobSubmissionClient, job: Job) -> str:
    """The job's id. A cluster that has just started says "try again later", and is asked again."""
    try:
        for attempt in stamina.retry_context(on=_too_early, attempts=None, timeout=START_S):
            with attempt:
                return str(
                    client.submit_job(entrypoint=job.entrypoint, runtime_env=job.runtime_env)
                )
    except RuntimeError as error:
        raise TailorError(f"the cluster refused the job: {first_sentence(error)}") from error
    raise AssertionError("stamina returns or raises")


def _too_early(error: Exception) -> bool:
    return "No available agent" in str(error)


async def _follow(client: JobSubmissionClient, submission: str, echo: Callable[[str], None]) -> int:
    try:
        async for lines in client.tail_job_logs(submission):
            echo(lines.rstrip("\n"))
    except (KeyboardInterrupt, asyncio.CancelledError):
        echo(f"the job goes on; stop it with: ray job stop {submission}")
        raise
    info = client.get_job_info(submission)
    echo(f"{submission} {info.status}")
    if info.driver_exit_code is not None:
        return int(info.driver_exit_code)
    return 0 if info.status == "SUCCEEDED" else 3
