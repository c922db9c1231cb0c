"""Fixed pieces of work that several benchmarks and gates are about."""

from __future__ import annotations

from typing import Any

import numpy as np

from zebfast import rules
from zebfast.cli import stages
from zebfast.core.observe import games_to_examples, uniform_evaluate
from zebfast.core.options import SearchOptions
from zebfast.core.records import OBS_DTYPE
from zebfast.core.selfplay import SelfPlayForest
from zebfast.learner.data.mixture import ReplayMixture
from zebfast.learner.train.trainer import Trainer
from zebfast.net.v1 import V1Net

N_GAMES = 64
METADATA = {
    "worker_id": "bench",
    "model_step": 0,
    "n_games": N_GAMES,
    "timestamp": 0.0,
    "source": "selfplay-mcts",
}


class Constant:
    """The constant evaluator as an object."""

    def evaluate(self, obs: np.ndarray, out: np.ndarray) -> None:
        uniform_evaluate(obs, out)


def trainer(size: str, batch_size: int = 64) -> tuple[Trainer, ReplayMixture]:
    """A trainer with fresh weights on the CPU and replay buffers with self-play games."""
    config, weights = stages.fresh_network(size)
    net = V1Net(config)
    net.load_state_dict(weights)
    learner = stages.learner_config(batch_size=batch_size)
    sources = ReplayMixture(learner)
    sources.selfplay.add(games_to_examples(stages.some_games(N_GAMES)))
    return Trainer(net, learner), sources


PUBLISHED_WAY: dict[str, Any] = {"worlds": "true", "exact_tricks": 0}
SAMPLED: dict[str, Any] = {"worlds": "sampled", "n_worlds": 16, "exact_tricks": 4}
#: What saves evaluations, each alone on the sampled worlds of above, and all of it together.
SAVINGS: dict[str, dict[str, Any]] = {
    "cache": {"cache_mb": 8},
    "transpositions": {"transpositions": True},
    "early stop": {"early_stop": True},
    "fast searches": {"full_share": 0.25, "fast_simulations": 16},
    "decided hands skipped": {"skip_decided": True},
    "gumbel root": {"root": "gumbel", "n_simulations": 32},
}
SAVINGS["everything"] = {
    name: value for saving in SAVINGS.values() for name, value in saving.items()
}


def search_counts(
    n_simulations: int = stages.N_SIMULATIONS, *, worlds: str, cache_mb: int = 0, **search: Any
) -> dict[str, int]:
    """What the forest did in N_GAMES fixed games with the constant evaluator."""
    options = SearchOptions(n_simulations=n_simulations, **search)
    forest = SelfPlayForest(
        N_GAMES, options=options, seed=stages.SEED, worlds=worlds, cache_mb=cache_mb
    )
    forest.allow(N_GAMES)
    leaves, evals = np.zeros(N_GAMES, OBS_DTYPE), np.zeros((N_GAMES, 8), np.float32)
    batches = 0
    while n := forest.select(leaves):
        uniform_evaluate(leaves[:n], evals[:n])
        forest.update(evals[:n])
        batches += 1
    assert len(forest.take()) == N_GAMES
    return {"batches": batches, **forest.counts()}


def python_random_game(game: int) -> int:
    """Points of team 0 in one random game by the plain-Python law, as core.random_games plays."""
    position = rules.Position(*rules.deal(stages.SEED, game))
    key = rules.stream_key(stages.SEED, rules.Stream.PLAY, game)
    while not position.over:
        legal = position.legal()
        position.play(legal[rules.bounded(key, len(position.plays), len(legal))])
    return position.points[0]


def forest_bytes(n_trees: int, max_nodes: int) -> int:
    """Memory of a forest on true deals, without a solver."""
    options = SearchOptions(max_nodes=max_nodes, exact_tricks=0)
    return SelfPlayForest(n_trees, options=options, seed=0, worlds="true").nbytes


def default_forest_bytes(n_games: int) -> int:
    """The same of games on sampled worlds with every ending solved, as they are by default."""
    return SelfPlayForest(n_games, options=SearchOptions(), seed=0).nbytes


def one_batch(work: Trainer, sources: ReplayMixture) -> Any:
    """uint8[batch, 64]: a batch as it would be drawn for the first step, as a tensor."""
    import torch

    drawn = sources.draw(n_steps=1, batch_size=work.batch_size, seed=0, step=0)
    return torch.from_numpy(drawn.rows[0])


def plain_step(work: Trainer, raw: Any) -> None:
    """The optimizer step of ``work`` with the module's own forward over all 36 tokens."""
    from torch import autograd, nn

    from zebfast.learner.train.losses import compute_losses, unpack_batch

    batch = unpack_batch(raw, work.net.prepare)
    losses = compute_losses(work.net(*batch.inputs[:3]), batch)
    work.optimizer.zero_grad(set_to_none=True)
    autograd.backward(losses.total)
    nn.utils.clip_grad_norm_(work.net.parameters(), work.config.max_grad_norm)
    work.optimizer.step()
