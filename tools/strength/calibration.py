"""Calibration of what networks say: of decisions given 70 %, how many were won?

Reliability in ten bins, the expected calibration error (mean gap of the bins, weighted by how much
is in them; Naeini, Cooper & Hauskrecht, AAAI 2015) and the Brier score (mean squared error). That
error is above 0 by chance alone, so beside it stands what a perfectly calibrated network would stay
below 19 times in 20: the gaps of every deal, whose decisions share what came of it, with random
signs (wild bootstrap; Cameron, Gelbach & Miller 2008).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strength.states import Answers, States
from zebfast.rules import HALF_POINTS, N_TRICKS

BINS = 10
RESAMPLES = 500
_SEED = 42  # of the resampling, which is the same for the same games


@dataclass(frozen=True)
class Forecast:
    """Chances f8[n] that something comes about, and what did, f8[n] in 0..1."""

    chance: NDArray[np.float64]
    happened: NDArray[np.float64]


def forecasts(answers: Answers, states: States) -> dict[str, Forecast]:
    """What the network's value says of the game, and its points of the contract.

    "won": more points than the others, a tie half of it. "contract": the own side gets its way
    with the contract, makes it if it declared and sets it if not; of networks with points only.
    """
    won = (np.sign(states.final - HALF_POINTS) + 1) / 2
    found = {"won": Forecast((1 + answers.value) / 2, won)}
    if answers.points is not None:
        # Chance of at least so many points, f8[n, 44]; the last column is never asked for.
        least = answers.points[:, ::-1].cumsum(axis=1)[:, ::-1]
        chance = np.take_along_axis(least, states.needed[:, None], axis=1)[:, 0].clip(0, 1)
        found["contract"] = Forecast(chance, (states.final >= states.needed).astype(np.float64))
    return found


def calibration(forecast: Forecast, states: States) -> dict[str, Any]:
    """The figures of one forecast: overall, by bin and by trick."""
    return {
        "decisions": len(states),
        **_scores(forecast, states.deals),
        "bins": _bins(forecast, states.deals),
        "tricks": [
            {"trick": trick, "decisions": int(of.sum()), **_scores(_part(forecast, of), deals)}
            for trick in range(1, N_TRICKS + 1)
            if (of := states.tricks == trick).any()
            for deals in [states.deals[of]]
        ],
    }


def _part(forecast: Forecast, of: NDArray[np.bool_]) -> Forecast:
    return Forecast(forecast.chance[of], forecast.happened[of])


def _scores(forecast: Forecast, deals: NDArray[np.int64]) -> dict[str, Any]:
    chance, happened = forecast.chance, forecast.happened
    rate = float(happened.mean())
    gaps, counts = _table(forecast, deals)
    n = counts.sum()
    return {
        "ece": round(float(np.abs(gaps.sum(axis=0)).sum() / n), 5),
        "ece_by_chance": round(float(np.percentile(_with_random_signs(gaps), 95) / n), 5),
        "brier": round(float(((chance - happened) ** 2).mean()), 5),
        "brier_of_rate": round(float(((rate - happened) ** 2).mean()), 5),
        "mean_chance": round(float(chance.mean()), 5),
        "rate": round(rate, 5),
    }


def bin_of(chance: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bin 0..9 of each chance; 1 belongs to the last."""
    return np.minimum((chance * BINS).astype(np.int64), BINS - 1)


def _table(
    forecast: Forecast, deals: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What happened less what was said, and how often, f8[deals, 10] by deal and bin."""
    numbers, row = np.unique(deals, return_inverse=True)
    cell = row * BINS + bin_of(forecast.chance)
    shape = (len(numbers), BINS)
    gap = forecast.happened - forecast.chance
    gaps, counts = (
        np.bincount(cell, what, minlength=len(numbers) * BINS).astype(np.float64).reshape(shape)
        for what in (gap, np.ones_like(gap))
    )
    return gaps, counts


def _with_random_signs(gaps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over bins of absolute gaps, f8[RESAMPLES], with a random sign for each deal."""
    signs = np.random.default_rng(_SEED).integers(0, 2, size=(RESAMPLES, len(gaps))) * 2.0 - 1.0
    total: NDArray[np.float64] = np.abs(signs @ gaps).sum(axis=1)
    return total


def _bins(forecast: Forecast, deals: NDArray[np.int64]) -> list[dict[str, Any]]:
    """The bins that hold something, with the standard error of their gap by deals."""
    gaps, counts = _table(forecast, deals)
    where, found = bin_of(forecast.chance), []
    for number in range(BINS):
        n = int(counts[:, number].sum())
        if not n:
            continue
        here = where == number
        gap = gaps[:, number].sum() / n
        residual = gaps[:, number] - gap * counts[:, number]
        found.append(
            {
                "from": number / BINS,
                "to": (number + 1) / BINS,
                "decisions": n,
                "said": round(float(forecast.chance[here].mean()), 4),
                "happened": round(float(forecast.happened[here].mean()), 4),
                "se": round(float(np.sqrt((residual**2).sum())) / n, 5),
            }
        )
    return found
