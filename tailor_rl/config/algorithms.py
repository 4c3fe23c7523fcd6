"""The algorithm of a recipe: the named one, with the parts that the recipe replaces."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tailor_rl.algorithms.algorithm import (
    AGGREGATIONS,
    CLIPPINGS,
    ESTIMATORS,
    KL_ESTIMATES,
    NAMES,
    RATIOS,
    Algorithm,
    named,
)
from tailor_rl.algorithms.corrections import PRESETS, Bounds, Preset
from tailor_rl.algorithms.losses import Clips
from tailor_rl.config.schema import RLConfig
from tailor_rl.errors import ConfigError
from tailor_rl.plugins import load_attribute


def resolve_algorithm(rl: RLConfig) -> Algorithm:
    """Raises ConfigError in one sentence for a name that is neither known nor a file's."""
    algorithm = _find(rl.algorithm)
    parts: dict[str, Any] = {
        "estimate": _part(ESTIMATORS, rl.advantage),
        "ratio": _part(RATIOS, rl.ratio),
        "clipping": _part(CLIPPINGS, rl.clipping),
        "aggregate": _part(AGGREGATIONS, rl.aggregation),
        "kl_coefficient": rl.kl_coefficient,
        "kl_estimate": _part(KL_ESTIMATES, rl.kl_estimate),
        "kl_in": rl.kl_in,
        "dynamic_sampling": rl.dynamic_sampling,
        "gamma": rl.gamma,
        "lam": rl.gae_lambda,
        "critic": None if rl.advantage is None else rl.advantage == "generalised",
    }
    clips = Clips(
        low=_or(rl.clip_low, algorithm.clips.low),
        high=_or(rl.clip_high, algorithm.clips.high),
        dual=rl.clip_dual or algorithm.clips.dual,
    )
    replaced = {name: part for name, part in parts.items() if part is not None}
    return replace(algorithm, clips=clips, **replaced)


def resolve_correction(rl: RLConfig) -> Preset | None:
    """What multiplies the loss of each token; None for no correction."""
    if rl.correction == "none":
        return None
    preset = PRESETS[rl.correction]
    bounds = Bounds(
        low=_or(rl.correction_low, preset.bounds.low),
        high=_or(rl.correction_high, preset.bounds.high),
    )
    return replace(preset, bounds=bounds)


def _find(name: str) -> Algorithm:
    if name in NAMES:
        return named(name)
    if ":" not in name:
        from rapidfuzz import process

        nearest = process.extractOne(name, NAMES, score_cutoff=60)
        meant = f"; did you mean {nearest[0]!r}?" if nearest else ":"
        raise ConfigError(
            f"rl.algorithm = {name!r} is none of {', '.join(NAMES)}{meant}"
            ' choose one, or write "path/to/file.py:NAME"'
        )
    own = load_attribute(name, key="rl.algorithm")
    if not isinstance(own, Algorithm):
        raise ConfigError(
            f"rl.algorithm = {name!r} must name an Algorithm"
            " (tailor_rl.algorithms.algorithm.Algorithm)"
        )
    return own


def _part(known: dict[str, Any], name: str | None) -> Any:
    return None if name is None else known[name]


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
