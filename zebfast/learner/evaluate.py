"""How strong the network is now: matches against the random player, every deal both ways."""

from __future__ import annotations

from dataclasses import dataclass

from zebfast.arena.match import evaluate_network
from zebfast.learner.config import LearnerConfig
from zebfast.net.evaluator import Evaluator
from zebfast.net.v1 import V1Net


@dataclass(frozen=True)
class Evaluation:
    """Share of games won (a tie is not won) and its 95 % interval."""

    win_rate: float
    low: float
    high: float
    n_games: int


def evaluate_against_random(net: V1Net, config: LearnerConfig) -> Evaluation:
    """``config.eval_games`` games from deals fixed by ``config.seed``, so curves compare.

    The network is evaluated as workers run it (folded, without dropout); ``net`` is only read.
    """
    evaluator = Evaluator(net.config, net.state_dict(), device=config.device)
    result = evaluate_network(
        evaluator, opponent="random", n_games=config.eval_games, seed=config.seed
    )
    return Evaluation(result.win_rate, result.win_rate_low, result.win_rate_high, result.games)
