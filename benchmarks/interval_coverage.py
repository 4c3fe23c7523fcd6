"""How often do 95 % intervals over a few seeds hold the truth? Student's t, and the bootstrap of
the mean and of the interquartile mean, on normal scores; and of differences on the same problems in
every seed, Student's t and the interval over seeds and problems.

    python -m benchmarks.interval_coverage --out benchmarks/results/interval-coverage.json
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tailor_rl.bench.crossed import Differences, crossed_interval
from tailor_rl.bench.estimates import Estimate, aggregate
from tailor_rl.bench.student import student_mean
from tailor_rl.runs.environment import describe_environment
from tailor_rl.runs.files import write_json
from tailor_rl.seeds import derive_seed

TRUTH, SPREAD = 0.5, 0.05
RESAMPLES = 500
# Standard deviations of a difference over seeds, over problems, and of the rest.
SPREADS = ((0.03, 0.3, 0.4), (0.1, 0.1, 0.4), (0.0, 0.5, 0.2), (0.05, 0.0, 0.4), (0.05, 0.2, 0.5))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 3, 5, 10])
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    found = {}
    for num in args.seeds:
        scores_SN = np.random.default_rng(derive_seed(0, "coverage", num)).normal(
            TRUTH, SPREAD, size=(args.studies, num)
        )
        found[str(num)] = {name: _coverage(how, scores_SN) for name, how in INTERVALS.items()}
        print(num, found[str(num)], flush=True)
    crossed = {
        f"{num} seeds, {problems} problems, spreads {spreads}": _crossed(
            num, problems, spreads, args.studies
        )
        for num, problems in ((3, 40), (3, 150), (5, 40), (5, 150))
        for spreads in SPREADS
    }
    for name, shares in crossed.items():
        print(name, shares, flush=True)
    write_json(
        args.out,
        {
            "command": "python -m benchmarks.interval_coverage --studies "
            f"{args.studies} --seeds {' '.join(map(str, args.seeds))} --out {args.out}",
            "environment": describe_environment(),
            "resamples": RESAMPLES,
            "share_of_intervals_that_hold_the_mean_by_number_of_seeds": found,
            "share_of_intervals_that_hold_the_mean_difference_over_seeds_and_problems": crossed,
        },
    )


def _bootstrap(statistic: str) -> Callable[[np.ndarray], Estimate]:
    def interval(scores_N: np.ndarray) -> Estimate:
        return aggregate({"all": list(scores_N)}, statistic, seed=0, num_resamples=RESAMPLES)  # type: ignore[arg-type]

    return interval


INTERVALS: dict[str, Callable[[np.ndarray], Estimate]] = {
    "t": lambda scores_N: student_mean(list(scores_N)).estimate,
    "bootstrap of the mean": _bootstrap("mean"),
    "bootstrap of the interquartile mean": _bootstrap("iqm"),
}


def _coverage(interval: Callable[[np.ndarray], Estimate], scores_SN: np.ndarray) -> float:
    held = 0
    for scores_N in scores_SN:
        found = interval(scores_N)
        assert found.low is not None and found.high is not None
        held += found.low <= TRUTH <= found.high
    return held / len(scores_SN)


def _crossed(
    num: int, problems: int, spreads: tuple[float, float, float], studies: int
) -> dict[str, float]:
    rng = np.random.default_rng(derive_seed(0, "crossed", num, problems, *map(str, spreads)))
    held = {"t over seeds": 0, "over seeds and problems": 0}
    for _ in range(studies):
        values_SP = sum(
            rng.normal(scale=spread, size=shape)
            for spread, shape in zip(
                spreads, ((num, 1), (1, problems), (num, problems)), strict=True
            )
        )
        seeds, families = tuple(range(num)), tuple(range(problems))
        both = crossed_interval([{"test": Differences(values_SP, seeds, families, "")}])
        alone = student_mean(values_SP.mean(axis=1)).estimate
        for name, found in (("t over seeds", alone), ("over seeds and problems", both)):
            assert found and found.low is not None and found.high is not None
            held[name] += found.low <= 0 <= found.high
    return {name: count / studies for name, count in held.items()}


if __name__ == "__main__":
    main()
