"""How strong the network is now: matches against the plain players, every deal both ways."""

from __future__ import annotations

from zebfast.arena.match import evaluate_network
from zebfast.arena.stats import MatchResult
from zebfast.learner.config import LearnerConfig
from zebfast.learner.trainer import Trainer
from zebfast.net.evaluator import Evaluator

OPPONENTS = ("random", "heuristic")


def evaluate(trainer: Trainer, config: LearnerConfig) -> dict[str, MatchResult]:
    """``config.eval_games`` games against each opponent, from deals fixed by ``config.seed``.

    The deals are the same at every evaluation, so that points of a curve compare. The network is
    evaluated as workers run it (published weights, folded, without dropout).
    """
    evaluator = Evaluator(trainer.net.config, trainer.weights(), device=config.device)
    return {
        name: evaluate_network(
            evaluator, opponent=name, n_games=config.eval_games, seed=config.seed
        )
        for name in OPPONENTS
    }
