"""A run submitted as a Ray job, to a cluster of its own with token authentication, on loopback."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from tests.tiny import make_student

ROOT = Path(__file__).resolve().parents[2]
START_S = 90
JOB_S = 600


@dataclass(frozen=True)
class Cluster:
    address: str
    env: dict[str, str]


def free_ports(number: int) -> list[int]:
    probes = [socket.socket() for _ in range(number)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A `ray start --head` of its own; `ray stop` would stop other clusters too."""
    home = tmp_path_factory.mktemp("home")
    sessions = Path(f"/tmp/tailor-{os.getpid()}")  # the paths of Ray's sockets must be short
    gcs, dashboard, agent, agent_grpc, metrics = free_ports(5)
    env = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")} | {
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
    }
    token = home / ".ray" / "auth_token"
    token.parent.mkdir()
    token.touch(mode=0o600)
    token.write_text("5" * 64)
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    command += ["--port", str(gcs), "--dashboard-port", str(dashboard), "--num-cpus", "2"]
    command += ["--dashboard-host", "127.0.0.1", "--object-store-memory", str(256 << 20)]
    # The defaults are taken where another Ray runs: there would be no agent to run jobs.
    command += ["--dashboard-agent-listen-port", str(agent)]
    command += [
        "--dashboard-agent-grpc-port",
        str(agent_grpc),
        "--metrics-export-port",
        str(metrics),
    ]
    command += ["--temp-dir", str(sessions), "--include-dashboard", "true"]
    head = subprocess.Popen(
        command,
        env=env,
        process_group=0,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )
    try:
        wait_until_open(dashboard, head)
        yield Cluster(f"http://127.0.0.1:{dashboard}", env)
    finally:
        stop(head)
        shutil.rmtree(sessions, ignore_errors=True)


def wait_until_open(port: int, head: subprocess.Popen[bytes]) -> None:
    """Until the job server answers, whatever it says: the port may be open long before."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert head.poll() is None, f"ray start ended with {head.returncode}"
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port}/api/version", timeout=5.0, trust_env=False)
            return
        time.sleep(0.2)
    raise AssertionError(f"no job server on port {port} within {START_S} s")


def stop(head: subprocess.Popen[bytes]) -> None:
    """End this cluster's processes: the children of its `ray start`, and what those started."""
    family = psutil.Process(head.pid).children(recursive=True)
    head.send_signal(signal.SIGTERM)
    try:
        head.wait(timeout=20)
    except subprocess.TimeoutExpired:
        head.kill()
    _, alive = psutil.wait_procs(family, timeout=5)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=5)


def tailor_submit(
    env: dict[str, str], *arguments: str, recipe: str = "tiny"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tailor_rl", "submit", f"tests/recipes/{recipe}.toml", *arguments],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=JOB_S,
    )


@pytest.mark.timeout(JOB_S + START_S)
def test_a_submitted_run_ends_well_and_leaves_a_complete_run_folder(
    cluster: Cluster, tmp_path: Path
) -> None:
    student = make_student(tmp_path / "student", max_length=2048)
    runs = tmp_path / "runs"
    done = tailor_submit(
        cluster.env,
        f"student={student}",
        *["--address", cluster.address, "--runs-dir", str(runs), "--name", "as-a-job"],
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ray job submit --address" in done.stdout
    assert "rl 2/2" in done.stdout

    run = runs / "as-a-job"
    assert json.loads((run / "outcome.json").read_text())["state"] == "finished"
    stages = [json.loads(line)["stage"] for line in (run / "evaluations.jsonl").open()]
    assert list(dict.fromkeys(stages)) == ["base", "sft", "rl"]
    steps = [json.loads(line) for line in (run / "metrics.jsonl").open()]
    assert [row["step"] for row in steps if row["stage"] == "rl"] == [1, 2]
    assert list((run / "checkpoints").glob("*/model.safetensors"))
    assert (run / "report.html").stat().st_size > 0


@pytest.mark.timeout(JOB_S + START_S)
def test_a_submitted_study_runs_as_many_cells_as_the_cluster_has_room_for(
    cluster: Cluster, tmp_path: Path
) -> None:
    student = make_student(tmp_path / "student", max_length=2048)
    done = tailor_submit(
        cluster.env,
        f"student={student}",
        *["--address", cluster.address, "--runs-dir", str(tmp_path), "--name", "study"],
        recipe="tiny_study",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    places = [done.stdout.index(f"none-seed-{seed} begins") for seed in (1, 2)]
    assert max(places) < done.stdout.index("finished after")
    results = json.loads((tmp_path / "study" / "results.json").read_text())
    assert (results["num_cells"], results["missing"]) == (2, [])
    assert (tmp_path / "study" / "report.html").stat().st_size > 0


def test_a_wrong_token_is_told_in_one_sentence_and_submits_nothing(
    cluster: Cluster, tmp_path: Path
) -> None:
    other = tmp_path / "token"
    other.write_text("7" * 64)
    other.chmod(0o644)
    env = {**cluster.env, "RAY_AUTH_TOKEN_PATH": str(other)}
    where = ["--address", cluster.address, "--runs-dir", str(tmp_path)]
    done = tailor_submit(env, "student=tests", *where)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "RAY_AUTH_TOKEN_PATH" in done.stderr
    # Nor was the token left for other users of this machine to read.
    assert stat.S_IMODE(other.stat().st_mode) == 0o600
