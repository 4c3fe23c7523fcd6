"""The model of a run as an ordinary Hugging Face folder, with a card that says where it comes from.

    model.safetensors, config.json, tokenizer files, chat template, generation config
    README.md    the card: front matter of the Hugging Face hub, figures, data, recipe, versions

Copies files whose hashes the checkpoint's manifest vouches for; loads no model and runs nothing
that lies in the run folder.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tailor_rl.errors import ConfigError, RunFolderError, TailorError
from tailor_rl.protocols import Checkpoint
from tailor_rl.runs.checkpoints import STATE, CheckpointFolder, load_checkpoint
from tailor_rl.runs.files import read_json, resume_command, sync_folder
from tailor_rl.runs.folder import read_resolved
from tailor_rl.runs.journal import read_stages

Stage = Literal["sft", "rl"]
# What a model folder may hold. Anything else, code above all, stays behind.
_SUFFIXES = frozenset({".safetensors", ".json", ".jinja", ".txt", ".model"})
_PREFIXES = {"sft": "sft-", "rl": "step-"}


@dataclass(frozen=True, slots=True)
class Exported:
    """What was chosen: `final` is False for a checkpoint on the way, of `--best`."""

    run: Path
    stage: Stage
    checkpoint: Checkpoint
    final: bool


def export_model(run: Path, out: Path | None, *, stage: Stage | None, best: bool) -> Path:
    """Write the model of a finished stage (the last one by default), or with `best` its checkpoint
    that was best on validation, to `out` (default: RUN/export-STAGE). All of it or nothing.

    Raises RunFolderError or ConfigError, in one sentence, for a run that has nothing to export and
    for a folder that exists.
    """
    chosen = choose(run, stage=stage, best=best)
    suffix = "" if chosen.final else "-best"
    out = out or run / f"export-{chosen.stage}{suffix}"
    if out.exists():
        raise ConfigError(f"{out} exists already: remove it, or choose another folder with --to")
    beside = out.parent / f".tmp-{out.name}-{os.getpid()}"
    try:
        beside.mkdir(parents=True)
        _fill(beside, chosen)
        beside.rename(out)
        sync_folder(out.parent)
    except OSError as error:
        raise TailorError(
            f"the model cannot be written to {out} ({error.strerror or error}): free some space, "
            "make the folder above it writable, or choose another with --to; nothing was left there"
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return out


def choose(run: Path, *, stage: Stage | None, best: bool) -> Exported:
    """The checkpoint to export, every file of it verified."""
    read_resolved(run)  # says whether it is a run at all
    stage = stage or _last_stage(run)
    _check_finished(run, stage)
    checkpoints = CheckpointFolder(run / "checkpoints")
    final = load_checkpoint(_final_folder(run, stage))
    if not best:
        return Exported(run, stage, final, final=True)
    step = _best_step(run, stage)
    if step is None:
        raise RunFolderError(
            f"{run} measured nothing during {stage}, so none of its checkpoints is the best: leave "
            f"--best out, or start a run with {'rl.keep_best' if stage == 'rl' else 'sft.keep'}"
        )
    if step == final.step:
        return Exported(run, stage, final, final=True)
    name = f"{_PREFIXES[stage]}{step:06d}"
    said: list[str] = []
    found = checkpoints.named(name, log=said.append)
    if found is None:
        reason = said[0] if said else f"{run} kept no checkpoint {name}"
        raise RunFolderError(
            f"{reason}: step {step} was the best of {stage} on validation, and is kept by runs "
            f"with {'rl.keep_best = true' if stage == 'rl' else 'sft.evaluate_every'}; leave "
            "--best out for the last"
        )
    return Exported(run, stage, found, final=False)


def _last_stage(run: Path) -> Stage:
    """RL, which every whole run ends with."""
    stages = read_stages(run)
    if "finished" in stages.get("rl", {}) or "finished" not in stages.get("sft", {}):
        return "rl"
    raise RunFolderError(
        f"{run} has finished SFT but not RL: go on with `{resume_command(run)}`, or export the "
        "model after SFT with --stage sft"
    )


def _check_finished(run: Path, stage: Stage) -> None:
    stages = read_stages(run)
    if "finished" in stages.get(stage, {}):
        return
    if stage == "sft" and "finished" in stages.get("rl", {}):
        raise RunFolderError(
            f"{run} had no SFT, so there is nothing of it to export: use --stage rl"
        )
    raise RunFolderError(
        f"{run} has not finished {stage}, so there is nothing to export: go on with "
        f"`{resume_command(run)}`"
    )


def _final_folder(run: Path, stage: Stage) -> Path:
    if stage == "sft":
        return run / "checkpoints" / "sft"
    num_steps = read_resolved(run).config.rl.num_steps
    return run / "checkpoints" / f"{_PREFIXES['rl']}{num_steps:06d}"


def _best_step(run: Path, stage: Stage) -> int | None:
    from tailor_rl.stages.best import lowest_loss_step, most_accurate_step
    from tailor_rl.summary import read_evaluations, read_rows

    best = most_accurate_step(read_evaluations(run), stage=stage)
    return best or lowest_loss_step(read_rows(run / "metrics.jsonl"), stage=stage)


def _fill(folder: Path, chosen: Exported) -> None:
    from tailor_rl.export_card import write_card

    source = chosen.checkpoint.folder
    manifest = read_json(source / "MANIFEST.json")["files"]
    names = [name for name in manifest if "/" not in name and Path(name).suffix in _SUFFIXES]
    for name in sorted(set(names) - {STATE}):
        shutil.copyfile(source / name, folder / name)
    write_card(folder / "README.md", chosen)
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    sync_folder(folder)
