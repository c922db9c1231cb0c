"""How good the policy targets and plays of a method are, and what they cost.

On given decisions, in matches as a player, and in whole games of self-play.

Times are CPU seconds of this process with torch on one thread, so that others on the machine do
not count; searches run side by side in batches, as in self-play.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from timed_player import TimedPlayer

from quality.methods import NO_SEARCH, Method, at_its_best
from quality.positions import EQUAL, Positions, Reference
from zebfast.arena.match import MatchProgress, play_match
from zebfast.arena.players.base import Player
from zebfast.arena.players.search import SearchPlayer, search
from zebfast.arena.players.specs import search_deals_per_chunk
from zebfast.arena.stats import wilson_interval
from zebfast.core.forest import Forest
from zebfast.core.options import SearchOptions
from zebfast.rules import HAND_SIZE
from zebfast.selfplay.config import SelfPlay

if TYPE_CHECKING:
    from zebfast.selfplay.groups import BatchEvaluator

TREES = 128  # searched side by side, as self-play does when nothing else is said
DEEPER = 10
PACE_MS = 1000  # a time is measured for so long, or once
PACE_ROUNDS = 6  # times are made equal in so many steps at most,
PACE_CLOSE = 0.05  # or until they are as close as this;
PACE_LEAP = 16  # no step changes the simulations by a larger factor
Say = Callable[[str], None]
COUNTED = ("evaluations", "transposed", "solver_calls", "simulations")


@dataclass(frozen=True)
class Searched:
    """What searches of n positions came to. policy: f8[n, 7], rows add up to 1. slots: intp[n].

    counts and ms are means a position.
    """

    policy: NDArray[np.float64]
    slots: NDArray[np.intp]
    counts: Mapping[str, float]
    ms: float


def searched(
    options: SearchOptions, worlds: str, evaluator: BatchEvaluator, positions: Positions
) -> Searched:
    """Search every position; `slots` is what is played at temperature 0 without noise."""
    if worlds == NO_SEARCH:
        return _priors(evaluator, positions)
    found = _searched(options, worlds, evaluator, positions)
    if options.noise_fraction == options.gumbel_scale == 0 or options.root == "puct":
        return found
    quiet = _searched(at_its_best(options), worlds, evaluator, positions)
    return replace(found, slots=quiet.slots)


def _searched(
    options: SearchOptions, worlds: str, evaluator: BatchEvaluator, positions: Positions
) -> Searched:
    weights, slots, counts = [], [], dict.fromkeys(COUNTED, 0)
    began = time.process_time()
    for start in range(0, len(positions), TREES):
        rows = np.arange(start, min(start + TREES, len(positions)))
        forest = Forest(
            positions.games.take(rows),
            options=options,
            seed=positions.seed,
            game_numbers=positions.numbers[rows],
            worlds=worlds,
        )
        search(forest, evaluator)
        weights.append(forest.policy().astype(np.float64))
        slots.append(forest.choices().astype(np.intp))
        totals = forest.counts()
        counts = {name: counts[name] + totals[name] for name in COUNTED}
    n = len(positions)
    ms = 1000 * (time.process_time() - began) / n
    policy = np.concatenate(weights)
    return Searched(
        policy=policy / policy.sum(axis=1, keepdims=True),
        slots=np.concatenate(slots),
        counts={name: total / n for name, total in counts.items()},
        ms=ms,
    )


def _priors(evaluator: BatchEvaluator, positions: Positions) -> Searched:
    """What the network says by itself."""
    began = time.process_time()
    answers = np.empty((len(positions), 8), np.float32)
    for start in range(0, len(positions), TREES):
        rows = np.arange(start, min(start + TREES, len(positions)))
        evaluator.evaluate(positions.games.observe(rows), answers[rows[0] : rows[-1] + 1])
    ms = 1000 * (time.process_time() - began) / len(positions)
    policy = answers[:, :7].astype(np.float64)
    counts = {name: float(name == "evaluations") for name in COUNTED}
    return Searched(policy, policy.argmax(axis=1), counts, ms)


@dataclass(frozen=True)
class Judged:
    """A method on n positions. Regrets f8[n] are expected ones, against the best play.

    recorded_share: of decisions, that have a policy target. counts and ms: means a decision.
    """

    target_regrets: NDArray[np.float64]
    play_regrets: NDArray[np.float64]
    recorded_share: float
    full: Searched
    counts: Mapping[str, float]
    ms: float


def judge(
    method: Method, evaluator: BatchEvaluator, positions: Positions, reference: Reference
) -> Judged:
    """Search the positions as self-play by this method would.

    Where only a share is searched in full, plays and costs are the mixture's. Decided hands that
    are skipped cost nothing.
    """
    options, share = method.search, method.search.full_share
    rows = np.arange(len(positions))
    full = searched(options, method.worlds, evaluator, positions)
    plays, counts, ms = reference.regrets[rows, full.slots], dict(full.counts), full.ms
    if share < 1:
        fast = searched(method.fast, method.worlds, evaluator, positions)
        plays = share * plays + (1 - share) * reference.regrets[rows, fast.slots]
        ms = share * ms + (1 - share) * fast.ms
        counts = {name: share * counts[name] + (1 - share) * fast.counts[name] for name in counts}
    if options.skip_decided:
        left = 1 - float(positions.decided.mean())
        ms, share = left * ms, left * share
        counts = {name: left * count for name, count in counts.items()}
    targets = (full.policy * reference.regrets).sum(axis=1)
    return Judged(targets, plays, share, full, counts, ms)


def targets(
    judged: Judged, base: Judged, positions: Positions, reference: Reference
) -> dict[str, Any]:
    """Quality of policy targets and plays, and their costs, as figures.

    Regrets are means over the decisions of hands that no side has won yet: in the others no play
    can lose anything. Of the target's favourite is asked where it matters what is played.
    """
    kept = ~positions.decided
    top = judged.full.policy.argmax(axis=1)
    right = np.take_along_axis(reference.regrets, top[:, None], 1)[:, 0] <= EQUAL
    return {
        "positions": int(kept.sum()),
        "target_regret": mean_of(judged.target_regrets[kept]),
        "target_regret_less_base": mean_of((judged.target_regrets - base.target_regrets)[kept]),
        "play_regret": mean_of(judged.play_regrets[kept]),
        "play_regret_less_base": mean_of((judged.play_regrets - base.play_regrets)[kept]),
        "favourite_is_best": share_of(right[reference.matters]),
        "recorded_share": round(judged.recorded_share, 4),
        **{name: round(count, 3) for name, count in judged.counts.items()},
        "ms": round(judged.ms, 4),
        "ms_per_target": round(judged.ms / judged.recorded_share, 4),
    }


def deeper(
    method: Method, evaluator: BatchEvaluator, positions: Positions, reference: Reference
) -> dict[str, Any]:
    """How often the target's favourite is that of the same method with ten times as much.

    Over positions where it matters what is played; a play of the same value counts as the same. The
    deeper search draws other worlds and other noise.
    """
    rows = np.flatnonzero(reference.matters)
    deep_method = method.times(DEEPER)
    others = replace(positions, seed=positions.seed + DEEPER)
    found, deep = (
        searched(one.search, one.worlds, evaluator, at).policy.argmax(axis=1)
        for one, at in ((method, positions), (deep_method, others))
    )
    values = reference.values
    same = np.abs(values[rows, found[rows]] - values[rows, deep[rows]]) <= EQUAL
    return {
        "n_simulations": deep_method.search.n_simulations,
        "n_worlds": deep_method.search.n_worlds,
        "same_favourite": share_of(same),
    }


def pace(method: Method, evaluator: BatchEvaluator, positions: Positions) -> float:
    """Milliseconds that a decision takes: the least of as many goes as fit into PACE_MS."""
    some = positions.first(TREES)
    nothing = Reference(np.zeros((len(some), HAND_SIZE)), 0)
    goes: list[float] = []
    while not goes or sum(goes) * len(some) < PACE_MS:
        goes.append(judge(method, evaluator, some, nothing).ms)
    return min(goes)


def paced(
    method: Method, evaluator: BatchEvaluator, positions: Positions, *, ms: float
) -> tuple[Method, float]:
    """The method with as many simulations and worlds as take so long a decision, and how long.

    By secants, because a search costs something before its first simulation.
    """
    factor, before = 1.0, (0.0, 0.0)
    for _ in range(PACE_ROUNDS):
        found = method.times(factor)
        took = pace(found, evaluator, positions)
        if abs(took / ms - 1) < PACE_CLOSE:
            break
        slope = (took - before[1]) / (factor - before[0]) if factor != before[0] else 0.0
        before = (factor, took)
        wanted = factor + (ms - took) / slope if slope > 0 else factor * ms / took
        factor = min(max(wanted, factor / PACE_LEAP), factor * PACE_LEAP)
    return found, took


def match(
    method: Method,
    evaluator: BatchEvaluator,
    opponent: Player,
    *,
    n_games: int,
    seed: int,
    say: Say,
) -> dict[str, Any]:
    """The method, making its best plays, against an opponent over the same deals as any other."""
    player = TimedPlayer(SearchPlayer(name=method.name, evaluator=evaluator, options=method.player))
    other = TimedPlayer(opponent)

    def progress(at: MatchProgress) -> None:
        say(f"{at.done:,} of {at.total:,} games, {100 * at.wins / at.done:.1f} % won")

    result = play_match(
        player,
        other,
        n_games=n_games,
        seed=seed,
        deals_per_chunk=search_deals_per_chunk(method.search.n_simulations),
        progress=progress,
    )
    return {
        "opponent": opponent.name,
        "games": result.games,
        "won": interval(result.win_rate, result.win_rate_low, result.win_rate_high),
        "margin": {"mean": round(result.mean_margin, 4), "se": round(result.margin_se, 4)},
        "seconds_a_game": round(player.seconds / result.games, 5),
        "opponent_seconds_a_game": round(other.seconds / result.games, 5),
    }


def selfplay(
    method: Method, evaluator: BatchEvaluator, *, n_games: int, seed: int
) -> dict[str, Any]:
    """What a game of self-play costs with every option of the method, caches included."""
    at_once = min(TREES, n_games)
    play = SelfPlay(evaluator, config=method.selfplay(at_once), seed=seed)
    play.play(at_once)  # until as many games end as begin
    began = time.process_time()
    _, stats = play.play(n_games)
    seconds = time.process_time() - began
    return {
        "games": stats.finished,
        "seconds_a_game": round(seconds / stats.finished, 5),
        **{
            name: round(getattr(stats, name) / stats.finished, 2)
            for name in ("searches", "cache_hits", *COUNTED)
        },
    }


def mean_of(numbers: NDArray[np.float64]) -> dict[str, float]:
    error = float(numbers.std(ddof=1)) / math.sqrt(len(numbers)) if len(numbers) > 1 else 0.0
    return {"mean": round(float(numbers.mean()), 5), "se": round(error, 5)}


def share_of(found: NDArray[np.bool_]) -> dict[str, float]:
    low, high = wilson_interval(wins=int(found.sum()), games=len(found))
    return interval(float(found.mean()), low, high)


def interval(share: float, low: float, high: float) -> dict[str, float]:
    return {"share": round(share, 4), "low": round(low, 4), "high": round(high, 4)}
