"""How figures of a study are said: the same words in results.json, on the page and in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from tailor_rl.bench.estimates import Estimate
from tailor_rl.bench.findings import Compared, Missing
from tailor_rl.summary import split_label

NONE = "\N{EN DASH}"  # stands where there is no figure
STAGES = {"base": "base", "sft": "after SFT", "rl": "after RL", "gain": "gain in RL"}
CURVE_FIGURES = {"auc": "area under the validation curve", "plateau": "plateau of validation"}
UNITS = {
    "step": "RL steps",
    "rollouts": "rollouts",
    "generated_tokens": "generated tokens",
    "learner_tokens": "learner tokens",
    "seconds": "seconds",
    "all_tokens": "student's and teacher's tokens",
}
KINDS = {
    "rollouts": "rollouts",
    "generated_tokens": "student's tokens",
    "teacher_tokens": "teacher's tokens",
    "teacher_requests": "teacher's requests",
    "teacher_money": "teacher's money",
    "learner_tokens": "learner tokens",
    "seconds": "seconds",
}
PARTS = {"making": "making the SFT set", "sft": "SFT", "rl": "RL"}
METRICS = {
    "reward": ("Reward", "mean a rollout"),
    "entropy": ("Entropy", "nats a token"),
    "response_tokens": ("Length", "tokens an answer"),
    "informative": ("Informative groups", "share of groups whose rewards differ"),
}
FACTS = {
    "queries": "queries",
    "examples": "examples",
    "completion_tokens": "completion tokens",
    "right": "share right",
    "sft_steps": "SFT steps",
    "learner_tokens": "learner tokens",
}


def figure_label(figure: str) -> str:
    """Example: "after RL, in distribution, pass@1" for "rl test pass@1"."""
    if figure in CURVE_FIGURES:
        return CURVE_FIGURES[figure]
    stage, split, metric = figure.split(" ")
    return f"{STAGES[stage]}, {ood_label(split)}, {metric}"


def ood_label(split: str) -> str:
    return "out of distribution (mean of its axes)" if split == "ood" else split_label(split)


def setting_label(setting: str, num_settings: int) -> str:
    """Example: "all settings"; with a single setting that needs no name, "" """
    if setting == "all":
        return "all settings" if num_settings > 1 else ""
    return setting


def compared_label(each: Compared, num_settings: int) -> str:
    """As `setting_label`; over all settings, where only one has runs of both arms, that one."""
    only = list(each.seeds) if each.setting == "all" else []
    return setting_label(only[0] if len(only) == 1 else each.setting, num_settings)


def missing_label(each: Missing) -> str:
    """Example: "tailor, seed 44: stopped at starting"."""
    where = "" if each.setting == "all" else f"{each.setting}, "
    return f"{where}{each.arm}, seed {each.seed}: {each.why}"


def share_text(value: float | None) -> str:
    """Example: "15.2 %"."""
    return NONE if value is None else f"{100 * value:.1f} %".replace("-", "\N{MINUS SIGN}")


def points_text(value: float) -> str:
    """Example: "+15.2 points"; a minus sign, where it is one, is typographic."""
    return f"{signed(100 * value)} points"


def signed(value: float) -> str:
    return f"{value:+z.1f}".replace("-", "\N{MINUS SIGN}")


def bracket(estimate: Estimate, *, sign: bool = False, scale: float = 100, digits: int = 1) -> str:
    """Example: "[12.1, 18.3]"; what stands for it where there is no interval."""
    if estimate.low is None or estimate.high is None:
        return f"({estimate.caveat or 'no interval'})"
    low, high = scale * estimate.low, scale * estimate.high
    form = f"{'+' if sign else ''}z.{digits}f"  # z: nothing is below nothing
    return f"[{low:{form}}, {high:{form}}]".replace("-", "\N{MINUS SIGN}")


def points_estimate(estimate: Estimate) -> str:
    """Example: "+15.2 points [+12.1, +18.3]"."""
    return f"{points_text(estimate.value)} {bracket(estimate, sign=True)}"


def p_text(p: float | None) -> str:
    """Example: "0.013"; small ones are not said to be nothing."""
    if p is None:
        return NONE
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def p_equals(p: float) -> str:
    """Example: "p = 0.013", "p < 0.0001"."""
    said = f"p {p_text(p)}" if p < 1e-4 else f"p = {p_text(p)}"
    return said.replace(" ", "\N{NO-BREAK SPACE}")


def listed(names: Sequence[str]) -> str:
    """Example: "a, b and c"."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def seeds_named(seeds: Sequence[int]) -> str:
    """Example: "seeds 1 and 2"."""
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {listed([str(seed) for seed in seeds])}"


def settings_named(settings: Sequence[str]) -> str:
    """Example: "settings dapo and grpo"."""
    return f"{'setting' if len(settings) == 1 else 'settings'} {listed(settings)}"


def was(things: Sequence[object]) -> str:
    return "was" if len(things) == 1 else "were"


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def plural(num: int, noun: str) -> str:
    return f"{num} {noun}" if num == 1 else f"{num} {noun}s"
