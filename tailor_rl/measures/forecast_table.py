"""Forecasts and gains side by side, for people."""

from __future__ import annotations

from tailor_rl.measures.forecast import ForecastCheck
from tailor_rl.sheets import Sheet


def to_sheet(check: ForecastCheck) -> Sheet:
    """A row for each initialisation, the highest forecast first."""
    if check.rho is None:
        said = "the forecasts, or the gains, are all the same: they rank nothing"
    else:
        said = (
            f"Spearman's rank correlation of forecast and gain {check.rho:+.2f} over "
            f"{len(check.points)} initialisations, permutation p = {check.p:.3f}"
        )
    return Sheet(
        "forecast of RL's gain and what came of it, points of pass@1",
        ("", "runs", "forecast", "gain"),
        tuple(
            (
                f"{point.initialisation} ({', '.join(point.runs)})",
                str(len(point.runs)),
                f"{100 * point.forecast:+.1f}",
                f"{100 * point.gain:+.1f}",
            )
            for point in sorted(check.points, key=lambda point: -point.forecast)
        ),
        note=said,
    )
