"""What is evaluated: a checkpoint of a run, or a checkpoint folder; found, verified, identified.

demo                               the newest checkpoint of runs/demo that verifies
demo, checkpoint "sft"             runs/demo/checkpoints/sft
demo, checkpoint "student"         what the run began with
runs/demo/checkpoints/step-000030  the same as naming run and checkpoint
path/to/folder                     any Hugging Face checkpoint; brings no recipe
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tailor_rl.config.student import check_student, fetch_student
from tailor_rl.errors import ConfigError, RunFolderError
from tailor_rl.protocols import Checkpoint
from tailor_rl.runs.checkpoints import MANIFEST, CheckpointFolder, load_checkpoint
from tailor_rl.runs.folder import CONFIG, read_run_config
from tailor_rl.weights import combined_checksum

LATEST, STUDENT = "latest", "student"
_CHECKPOINTS, _RL = "checkpoints", "step-"
_IDENTIFYING = ("*.safetensors", "config.json", "tokenizer*", "chat_template*")


@dataclass(frozen=True, slots=True)
class Subject:
    """`stage` and `step` are those that the run's own rows of it carry."""

    name: str  # "demo-step-000030"
    weights: Path
    stage: str
    step: int
    checksum: str  # of the manifest, which has the hashes of all files, or of weights and tokenizer
    run: Path | None  # its folder, which brings the recipe


def find_subject(
    target: str, checkpoint: str, *, runs_dir: Path, log: Callable[[str], None]
) -> Subject:
    """Raises RunFolderError or ConfigError for what is not there, damaged, or no checkpoint."""
    path = Path(target)
    if not path.exists() and len(path.parts) == 1:
        path = runs_dir / path
    within_run = path.parent.name == _CHECKPOINTS and (path.parents[1] / CONFIG).is_file()
    is_checkpoint = path.is_dir() and any(path.glob("*.safetensors"))
    if checkpoint != LATEST and (within_run or is_checkpoint):
        raise ConfigError(
            f"--checkpoint {checkpoint} chooses among those of a run, and {path} is a checkpoint "
            "itself: leave it out"
        )
    if within_run:
        return _of_run(path.parents[1], path.name, log)
    return _of_folder(path) if is_checkpoint else _of_run(path, checkpoint, log)


def _of_folder(path: Path) -> Subject:
    check_student(str(path), ())
    folder = path.resolve()
    if (folder / MANIFEST).is_file():
        load_checkpoint(folder)
    return Subject(folder.name, folder, "checkpoint", 0, _checksum(folder), None)


def _of_run(run: Path, checkpoint: str, log: Callable[[str], None]) -> Subject:
    cfg = read_run_config(run)
    run_name = run.resolve().name
    if checkpoint == STUDENT:
        folder = fetch_student(cfg.student)
        check_student(str(folder), ())
        return Subject(f"{run_name}-{STUDENT}", folder, "base", 0, _checksum(folder), run)
    found = _latest(run, log) if checkpoint == LATEST else _named(run, checkpoint)
    weights = found.folder.resolve()
    # A run's own rows of "sft" carry step 0: it counts the steps of RL.
    is_rl = weights.name.startswith(_RL)
    stage, step = ("rl", found.step) if is_rl else (weights.name, 0)
    return Subject(f"{run_name}-{weights.name}", weights, stage, step, _checksum(weights), run)


def _latest(run: Path, log: Callable[[str], None]) -> Checkpoint:
    checkpoints = CheckpointFolder(run / _CHECKPOINTS)
    # "sft" went on to RL, and may be of an earlier step than those on the way.
    found = (
        checkpoints.latest(_RL, log=log)
        or checkpoints.named("sft", log=log)
        or checkpoints.latest("sft-", log=log)
    )
    if found is not None:
        return found
    raise RunFolderError(
        f"{run} has no checkpoint that verifies: evaluate what it began with by "
        f"--checkpoint {STUDENT}"
    )


def _named(run: Path, checkpoint: str) -> Checkpoint:
    from rapidfuzz import process

    there = sorted(path.name for path in (run / _CHECKPOINTS).glob("[!.]*") if path.is_dir())
    if checkpoint in there:
        return load_checkpoint(run / _CHECKPOINTS / checkpoint)
    names = [LATEST, STUDENT, *there]
    nearest = process.extractOne(checkpoint, names, score_cutoff=50)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    raise RunFolderError(
        f"{run} has no checkpoint {checkpoint!r}; {hint}--checkpoint is one of {', '.join(names)}"
    )


def _checksum(folder: Path) -> str:
    if (folder / MANIFEST).is_file():
        return _digest(folder / MANIFEST)
    files = {path for pattern in _IDENTIFYING for path in folder.glob(pattern) if path.is_file()}
    return combined_checksum((path.name, _digest(path)) for path in files)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
