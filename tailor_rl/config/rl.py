"""What in [rl] does not go together: a key without effect is as wrong as one that does harm.

Parts of one's own are let through where only their author can say what suits them.
"""

from __future__ import annotations

from tailor_rl.algorithms import estimators, kl, losses
from tailor_rl.algorithms.algorithm import Algorithm
from tailor_rl.config.algorithms import resolve_algorithm, resolve_correction
from tailor_rl.config.learning import RLConfig
from tailor_rl.errors import ConfigError

_WITHIN_GROUPS = (
    estimators.group_normalised,
    estimators.group_centred,
    estimators.leave_one_out,
    estimators.maximum_likelihood,
    estimators.whitened_group_centred,
)
_OVER_TOKENS = (estimators.whitened_returns, estimators.generalised)
_CRITIC_KEYS = ("critic_learning_rate", "critic_warmup_steps", "value_clip")


def check_rl(rl: RLConfig) -> None:
    """Raises ConfigError in one sentence, with the keys and the fix."""
    algorithm = resolve_algorithm(rl)
    _check_groups(rl, algorithm)
    _check_clips(rl, algorithm)
    _check_correction(rl)
    _check_kl(rl, algorithm)
    _check_returns(rl, algorithm)
    _check_critic(rl, algorithm)
    _check_passes(rl, algorithm)


def _check_groups(rl: RLConfig, algorithm: Algorithm) -> None:
    if rl.group_size > 1:
        return
    if algorithm.estimate in _WITHIN_GROUPS:
        raise ConfigError(
            f"rl.group_size=1 with {_source(rl, 'advantage')} compares a rollout with itself, and "
            "every advantage is 0: set rl.group_size=2 or more, or rl.advantage to "
            '"whitened_returns" or "generalised"'
        )
    if algorithm.dynamic_sampling:
        raise ConfigError(
            f"rl.group_size=1 with {_source(rl, 'dynamic_sampling')} would wait for ever for a "
            "group whose rewards differ: set rl.group_size=2 or more, or rl.dynamic_sampling=false"
        )


def _check_clips(rl: RLConfig, algorithm: Algorithm) -> None:
    given = [key for key in ("clip_low", "clip_high", "clip_dual") if getattr(rl, key) is not None]
    if algorithm.clipping is losses.unclipped and given:
        raise ConfigError(
            f"{_shown(rl, given[0])} has no effect where {_source(rl, 'clipping')} clips nothing: "
            'leave it out, or set rl.clipping="ppo"'
        )
    if algorithm.clipping is losses.cispo and rl.clip_dual is not None:
        raise ConfigError(
            f"{_shown(rl, 'clip_dual')} has no effect with {_source(rl, 'clipping')}, whose "
            "rl.clip_high bounds bad tokens as well: leave it out"
        )
    clips = algorithm.clips
    if algorithm.clipping is not losses.ppo:
        return
    if clips.low >= 1:
        raise ConfigError(
            f"rl.clip_low={clips.low:g} would put the lower bound 1 - rl.clip_low at 0 or below, "
            "where no ratio ever is: set it below 1 (0.2 is common)"
        )
    if clips.dual is not None and clips.dual <= 1 + clips.high:
        raise ConfigError(
            f"rl.clip_dual={clips.dual:g} must be more than 1 + rl.clip_high={1 + clips.high:g}, "
            "or it holds bad tokens before good ones: raise rl.clip_dual (3 is common)"
        )


def _check_correction(rl: RLConfig) -> None:
    correction = resolve_correction(rl)
    low, high = rl.correction_low, rl.correction_high
    if correction is None:
        if low is not None or high is not None:
            key = "correction_low" if low is not None else "correction_high"
            raise ConfigError(
                f'{_shown(rl, key)} has no effect with rl.correction="none": leave it out, or '
                "choose a correction"
            )
        return
    if correction.needs_recomputed and rl.logprobs == "stored":
        raise ConfigError(
            f'rl.correction="{rl.correction}" with rl.logprobs="stored" would count the mismatch '
            "twice, for the ratio is taken to the engine's log-probabilities already: set "
            'rl.logprobs="recomputed"'
        )
    if low is not None and not correction.uses_low:
        raise ConfigError(
            f'{_shown(rl, "correction_low")} has no effect with rl.correction="{rl.correction}", '
            "which truncates from above alone: leave it out"
        )
    bounds = correction.bounds
    if bounds.low >= bounds.high:
        raise ConfigError(
            f"rl.correction_low={bounds.low:g} must be below rl.correction_high={bounds.high:g}, "
            "or no token is left: lower the one or raise the other"
        )


def _check_kl(rl: RLConfig, algorithm: Algorithm) -> None:
    if rl.kl_target is None and rl.kl_horizon != RLConfig.model_fields["kl_horizon"].default:
        raise ConfigError(
            f"{_shown(rl, 'kl_horizon')} has no effect where nothing adapts: leave it out, or set "
            "rl.kl_target"
        )
    if not algorithm.kl_coefficient:
        if rl.kl_target is not None:
            raise ConfigError(
                f"{_shown(rl, 'kl_target')} has nothing to adapt, for "
                f"{_source(rl, 'kl_coefficient')} has no KL term: set rl.kl_coefficient above 0"
            )
        for key in ("kl_estimate", "kl_in"):
            if getattr(rl, key) is not None:
                raise ConfigError(
                    f"{_shown(rl, key)} has no effect, for {_source(rl, 'kl_coefficient')} has no "
                    "KL term: leave it out, or set rl.kl_coefficient above 0"
                )
        return
    if algorithm.kl_in == "loss" and algorithm.kl_estimate is kl.k1:
        raise ConfigError(
            'rl.kl_estimate="k1" with rl.kl_in="loss" has a gradient that is 0 on average: set '
            'rl.kl_estimate="k2" or "k3", or rl.kl_in="reward"'
        )
    if algorithm.kl_in == "reward" and algorithm.estimate is estimators.maximum_likelihood:
        raise ConfigError(
            f'rl.kl_in="reward" with {_source(rl, "advantage")} would divide by a mean reward that '
            'the penalty moves, which is no pass rate any more: set rl.kl_in="loss"'
        )


def _check_returns(rl: RLConfig, algorithm: Algorithm) -> None:
    known = algorithm.estimate in (*_WITHIN_GROUPS, *_OVER_TOKENS)
    if not known:
        return
    if rl.gamma is not None and algorithm.estimate not in _OVER_TOKENS:
        raise ConfigError(
            f"{_shown(rl, 'gamma')} has no effect with {_source(rl, 'advantage')}, whose advantage "
            "is the same at every token: leave it out"
        )
    if rl.gae_lambda is not None and algorithm.estimate is not estimators.generalised:
        raise ConfigError(
            f"{_shown(rl, 'gae_lambda')} has no effect with {_source(rl, 'advantage')}, which has "
            'no critic: leave it out, or set rl.advantage="generalised"'
        )


def _check_critic(rl: RLConfig, algorithm: Algorithm) -> None:
    if algorithm.estimate is estimators.generalised and not algorithm.critic:
        raise ConfigError(
            f"{_source(rl, 'advantage')} needs the values of a critic: say critic=True in the "
            "Algorithm"
        )
    if algorithm.critic:
        if rl.critic_warmup_steps >= rl.num_steps:
            raise ConfigError(
                f"rl.critic_warmup_steps={rl.critic_warmup_steps} leaves the policy no step of "
                f"rl.num_steps={rl.num_steps}: lower rl.critic_warmup_steps"
            )
        return
    for key in _CRITIC_KEYS:
        if getattr(rl, key) != RLConfig.model_fields[key].default:
            raise ConfigError(
                f"{_shown(rl, key)} has no effect with {_source(rl, 'advantage')}, which has no "
                'critic: leave it out, or set rl.advantage="generalised"'
            )


def _check_passes(rl: RLConfig, algorithm: Algorithm) -> None:
    if rl.epochs_per_step > 1 and algorithm.clipping is losses.unclipped:
        raise ConfigError(
            f"rl.epochs_per_step={rl.epochs_per_step} goes through a batch again, and with "
            f"{_source(rl, 'clipping')} nothing bounds how far: set rl.epochs_per_step=1 or "
            'rl.clipping="ppo"'
        )
    if rl.overlong_filtering and rl.overlong_buffer:
        raise ConfigError(
            f"rl.overlong_buffer={rl.overlong_buffer} punishes an answer that ends shortly before "
            "rl.max_tokens and rl.overlong_filtering=true spares one that never ends: set "
            "rl.overlong_buffer=0 or rl.overlong_filtering=false"
        )


def _source(rl: RLConfig, key: str) -> str:
    """Where a part comes from: its own key, or the algorithm."""
    return f'rl.algorithm="{rl.algorithm}"' if getattr(rl, key) is None else _shown(rl, key)


def _shown(rl: RLConfig, key: str) -> str:
    value = getattr(rl, key)
    if isinstance(value, bool):
        return f"rl.{key}={str(value).lower()}"
    if isinstance(value, str):
        return f'rl.{key}="{value}"'
    return f"rl.{key}={value}"
