"""The Ray that a run uses: the job's own, one at an address, or one started here and stopped again.

Token authentication is always on, and the token can be read by its owner only.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import secrets
import signal
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import stamina

from cluster.placement import Node, Plan
from tailor_rl.errors import ConfigError, TailorError

CHECKOUT = Path(__file__).resolve().parents[1]
CONNECT_S = 5.0
OBJECT_STORE_BYTES = 512 << 20
STARTS = 3
PAUSE_S = 5.0


def in_ray_job() -> bool:
    """Whether this process is the entrypoint of a submitted Ray job."""
    return "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ


def resolve_address(address: str) -> str:
    """ "auto" is the Ray of the job or of RAY_ADDRESS, else a local one."""
    if address == "auto":
        return "auto" if in_ray_job() or os.environ.get("RAY_ADDRESS") else "local"
    return address


@contextlib.contextmanager
def ray_session(address: str, plan: Plan) -> Iterator[bool]:
    """Connected to Ray inside the block; yields whether it was started here (and will be stopped).

    Raises ConfigError naming the address and the cause when there is no Ray or it refuses the
    token.
    """
    where = resolve_address(address)
    if os.environ.get("RAY_AUTH_MODE", "token") == "token":
        secure_token()
    import ray

    handler = signal.getsignal(signal.SIGTERM)
    try:
        if where == "local":
            _start(plan)
        else:
            _join(where)
        # ray.init sets a handler of its own, which would exit without any of our clean-up.
        signal.signal(signal.SIGTERM, handler)
        yield where == "local"
    finally:
        # Of a Ray that was joined this only leaves; of one started here it stops every process.
        ray.shutdown()


def _start(plan: Plan) -> None:
    """Start a Ray of this process's own, again where the machine was too busy for it.

    A node of Ray ends itself when its agents need more than 15 s to start, and no setting changes
    that (ray-project/ray#65983); the next try finds their files in memory.
    """
    logging.getLogger("stamina").setLevel(logging.ERROR)
    try:
        for attempt in stamina.retry_context(
            on=_was_too_slow, attempts=STARTS, timeout=None,
            wait_initial=PAUSE_S, wait_max=PAUSE_S, wait_jitter=0,
        ):  # fmt: skip
            with attempt:
                _start_once(plan)
    except Exception as error:
        if not _was_too_slow(error):
            raise
        raise TailorError(
            f"Ray did not start in {STARTS} tries: this machine is too busy, and Ray gives its "
            "agents 15 s; run fewer things beside it, or join a Ray that runs (cluster.address)"
        ) from error


def _start_once(plan: Plan) -> None:
    import ray

    before = set(_children())
    try:
        ray.init(
            address="local",
            # Not the machine's cores: threads are limited for each actor, and one core can carry a
            # small plan.
            num_cpus=max(1, math.ceil(plan.cpus)),
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            object_store_memory=OBJECT_STORE_BYTES,
            runtime_env={"env_vars": {"PYTHONPATH": str(CHECKOUT)}},
        )
    except Exception:
        # Ray leaves what it had started to this process's exit.
        for child in set(_children()) - before:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        raise


def _children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def _was_too_slow(error: Exception) -> bool:
    return "timed out during startup" in str(error)


def _join(address: str) -> None:
    import ray

    address = os.environ.get("RAY_ADDRESS", "auto") if address == "auto" else address
    _check_listening(address)
    # A job's working directory is set by whoever submitted it; setting it twice is an error in Ray.
    code = None if in_ray_job() else {"working_dir": str(CHECKOUT)}
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", runtime_env=code)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise ConfigError(
            f"cannot join Ray at cluster.address={address!r}: {first_sentence(error)}; "
            "check that it runs there, that RAY_AUTH_MODE and RAY_AUTH_TOKEN_PATH are those "
            'it was started with, or set cluster.address="local"'
        ) from error


def _check_listening(address: str) -> None:
    """Raise ConfigError within seconds where nothing listens; Ray itself would try for minutes."""
    url = urlsplit(f"//{address}")
    if "://" in address:
        raise ConfigError(
            f"cluster.address={address!r} is no address of a Ray cluster itself: give HOST:PORT of "
            "its head (`ray start` prints it), or send the run there with `tailor submit`"
        )
    try:
        host, port = url.hostname, url.port
    except ValueError as error:
        raise ConfigError(f"cluster.address={address!r} is no HOST:PORT: {error}") from error
    if host is None or port is None:
        return  # "auto": Ray looks for a cluster on this machine, and answers at once
    try:
        socket.create_connection((host, port), timeout=CONNECT_S).close()
    except OSError as error:
        raise ConfigError(
            f"no Ray at cluster.address={address!r} ({error.strerror or error}): start one there "
            'with `ray start --head`, or set cluster.address="local"'
        ) from error


def first_sentence(error: BaseException) -> str:
    """Ray's errors are paragraphs, which begin with what happened."""
    lines = str(error).strip().splitlines()
    return lines[0].split(". ")[0].rstrip(".") if lines else type(error).__name__


def cluster_nodes() -> list[Node]:
    """The machines of the Ray that this process is connected to."""
    import ray

    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [Node(cpus=each.get("CPU", 0.0), gpus=each.get("GPU", 0.0)) for each in alive]


def token_path() -> Path:
    """Where Ray looks for its token: RAY_AUTH_TOKEN_PATH, else ~/.ray/auth_token."""
    given = os.environ.get("RAY_AUTH_TOKEN_PATH")
    return Path(given).expanduser() if given else Path.home() / ".ray" / "auth_token"


def secure_token() -> None:
    """Make sure there is a token that only its owner can read.

    Ray itself would write it world-readable: any user of the machine could then run code as this
    one.
    """
    if os.environ.get("RAY_AUTH_TOKEN"):
        return
    path = token_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        _create_once(path, secrets.token_hex(32))
    if stat.S_IMODE(path.stat().st_mode) & 0o077 and path.stat().st_uid == os.getuid():
        path.chmod(0o600)


def _create_once(path: Path, text: str) -> None:
    """Of two processes that do this at once one wins, and neither ever sees half a file."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:  # 0600 from its first moment
        file.write(text)
        file.flush()
        with contextlib.suppress(FileExistsError):
            os.link(file.name, path)
