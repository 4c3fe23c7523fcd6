"""The algorithm of a recipe: the named one, with the parts that the recipe replaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
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
from tailor_rl.algorithms.losses import NO_CLIPS, Clips, unclipped
from tailor_rl.config.learning import RLConfig
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
    replaced = {name: part for name, part in parts.items() if part is not None}
    algorithm = replace(algorithm, **replaced)
    return replace(algorithm, clips=_clips(rl, algorithm))


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


def algorithm_in_words(rl: RLConfig) -> str:
    """Every part that will run, in one line.

    Example: "dapo: group_normalised, token ratio, ppo clip 0.2/0.28, token_mean, no KL, dynamic
    sampling".
    """
    algorithm = resolve_algorithm(rl)
    parts = [
        _name(ESTIMATORS, algorithm.estimate),
        f"{_name(RATIOS, algorithm.ratio)} ratio",
        _clip_in_words(algorithm),
        _name(AGGREGATIONS, algorithm.aggregate),
        _kl_in_words(rl, algorithm),
    ]
    if algorithm.critic:
        parts.append(f"critic (gamma {algorithm.gamma:g}, lambda {algorithm.lam:g})")
    if (correction := resolve_correction(rl)) is not None:
        bounds = correction.bounds
        parts.append(f"correction {rl.correction} {bounds.low:g}/{bounds.high:g}")
    switches = {
        "recomputed log-probabilities": rl.logprobs == "recomputed",
        "dynamic sampling": algorithm.dynamic_sampling,
        f"overlong buffer {rl.overlong_buffer}": rl.overlong_buffer > 0,
        "overlong filtering": rl.overlong_filtering,
        f"entropy bonus {rl.entropy_coefficient:g}": rl.entropy_coefficient > 0,
        f"method {rl.method}": bool(rl.method),
    }
    parts += [words for words, on in switches.items() if on]
    name = rl.algorithm.rpartition("/")[2]  # of a file, without its folders
    return f"{name}: {', '.join(parts)}"


def _clip_in_words(algorithm: Algorithm) -> str:
    clips, name = algorithm.clips, _name(CLIPPINGS, algorithm.clipping)
    if clips == NO_CLIPS:
        return "no clip"
    dual = "" if clips.dual is None else f", dual {clips.dual:g}"
    if clips.low >= 1:  # a ratio is never below 0
        return f"{name} clip from above {clips.high:g}{dual}"
    return f"{name} clip {clips.low:g}/{clips.high:g}{dual}"


def _kl_in_words(rl: RLConfig, algorithm: Algorithm) -> str:
    if not algorithm.kl_coefficient:
        return "no KL"
    name = _name(KL_ESTIMATES, algorithm.kl_estimate)
    target = "" if rl.kl_target is None else f" towards {rl.kl_target:g} nats a token"
    return f"KL {name} x {algorithm.kl_coefficient:g} in the {algorithm.kl_in}{target}"


def _name(known: Mapping[str, Any], part: Any) -> str:
    """The recipe's word for a part; of a part of one's own, the name of its function."""
    words = [name for name, function in known.items() if function is part]
    return words[0] if words else str(getattr(part, "__name__", type(part).__name__))


def _clips(rl: RLConfig, algorithm: Algorithm) -> Clips:
    """Those of the algorithm, in the parts that the recipe does not say."""
    if algorithm.clipping is unclipped:
        return NO_CLIPS
    clips = algorithm.clips
    return Clips(
        low=_or(rl.clip_low, clips.low),
        high=_or(rl.clip_high, clips.high),
        dual=clips.dual if rl.clip_dual is None else rl.clip_dual,
    )


@cache
def _find(name: str) -> Algorithm:
    """A file is read once in a process: ranks ask at every step, and must be told the same."""
    if name in NAMES:
        return named(name)
    if ":" not in name:
        from rapidfuzz import process

        nearest = process.extractOne(name.lower(), NAMES, score_cutoff=60)
        meant = f' (did you mean "{nearest[0]}"?)' if nearest else ""
        raise ConfigError(
            f'rl.algorithm = "{name}" is unknown{meant}: choose one of {", ".join(NAMES)}, or '
            'write "path/to/file.py:NAME"'
        )
    own = load_attribute(name, key="rl.algorithm")
    if not isinstance(own, Algorithm):
        raise ConfigError(
            f'rl.algorithm = "{name}" is of type {type(own).__name__}: it must name an Algorithm '
            "(tailor_rl.algorithms.algorithm.Algorithm)"
        )
    return own


def _part(known: Mapping[str, Any], name: str | None) -> Any:
    return None if name is None else known[name]


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
