"""Pieces of the networks: leaf evaluator and learner step, v1 and v2, one thread on the CPU."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.pieces import SEED, Piece, Work
from bench.pieces_core import finished_games, observations

BATCH = 32


def network(tokenizer: str, size: str) -> tuple[Any, Any]:
    """(config, module) of an untrained network, always the same one."""
    import torch

    from zebfast.net.networks import build, sized

    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    config = sized(tokenizer, size, belief_head=True)
    return config, build(config)


def weights(tokenizer: str, size: str) -> tuple[Any, Any]:
    """(config, weights) of such a network; of v1 also in a tree that knows no other."""
    if tokenizer == "v1":
        from zebfast.cli.stages import fresh_network

        return fresh_network(size)
    config, net = network(tokenizer, size)
    return config, net.state_dict()


def evaluator(tokenizer: str, size: str) -> Any:
    import torch

    from zebfast.net.evaluator import Evaluator

    torch.set_num_threads(1)
    return Evaluator(*weights(tokenizer, size))


def evaluations(_folder: Path, *, tokenizer: str, size: str) -> Work:
    ready, asked = evaluator(tokenizer, size), observations(BATCH)
    out = np.zeros((BATCH, 8), np.float32)

    def work() -> object:
        ready.evaluate(asked, out)
        return asked

    return work


def loading(_folder: Path, *, tokenizer: str, size: str) -> Work:
    """New weights into an evaluator that is there already."""
    ready, (_, new) = evaluator(tokenizer, size), weights(tokenizer, size)

    def work() -> object:
        ready.load(new)
        return sorted(new)

    return work


def trainer(tokenizer: str, size: str, batch_size: int = BATCH) -> tuple[Any, Any]:
    """(trainer, sources) with fresh weights and examples of 64 games."""
    from zebfast.cli.stages import learner_config
    from zebfast.core.observe import games_to_examples
    from zebfast.learner.data.mixture import ReplayMixture
    from zebfast.learner.train.trainer import Trainer

    config = learner_config(batch_size=batch_size, train_diagnostics_every=1000)
    sources = ReplayMixture(config)
    sources.selfplay.add(games_to_examples(finished_games(64)))
    return Trainer(network(tokenizer, size)[1], config), sources


def learner_step(_folder: Path, *, tokenizer: str, size: str) -> Work:
    training, sources = trainer(tokenizer, size)

    def work() -> object:
        return training.train(sources, n_steps=1, should_stop=lambda: False).n_steps

    return work


PIECES = (
    Piece(
        "evaluations_v1",
        f"{BATCH} positions, v1 medium",
        partial(evaluations, tokenizer="v1", size="medium"),
    ),
    Piece(
        "evaluations_v2",
        f"{BATCH} positions, v2 medium",
        partial(evaluations, tokenizer="v2", size="medium"),
    ),
    Piece("loading_v1", "new weights, v1 small", partial(loading, tokenizer="v1", size="small")),
    Piece("loading_v2", "new weights, v2 small", partial(loading, tokenizer="v2", size="small")),
    Piece(
        "learner_step_v1",
        f"a step on {BATCH} examples, v1 small",
        partial(learner_step, tokenizer="v1", size="small"),
    ),
    Piece(
        "learner_step_v2",
        f"a step on {BATCH} examples, v2 small",
        partial(learner_step, tokenizer="v2", size="small"),
    ),
)
