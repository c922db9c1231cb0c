"""Pieces of what is written and read: examples, weights, and their way through a directory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.pieces import Piece, Work
from bench.pieces_core import finished_games
from zebfast.rules import N_PLIES

N_GAMES = {"safetensors": 2048, "pt": 32}  # by suffix: pieces of about the same time


def writer(suffix: str) -> Callable[[Path], None]:
    """Writes an example file of this format; a file does not mind that its games repeat."""
    from zebfast.selfplay.examples import write_native
    from zebfast.selfplay.examples_pt import write_pt

    n = N_GAMES[suffix]
    games = np.tile(finished_games(32), n // 32)
    metadata = {
        "worker_id": "bench",
        "model_step": 0,
        "n_games": n,
        "timestamp": 0.0,
        "source": "selfplay-mcts",
    }
    write = write_pt if suffix == "pt" else write_native
    return lambda path: write(path, games, metadata)


def written(folder: Path, *, suffix: str) -> Work:
    path, write = folder / f"b_0_00.{suffix}", writer(suffix)

    def work() -> object:
        write(path)
        return path.stat().st_size

    return work


def read(folder: Path, *, suffix: str) -> Work:
    from zebfast.selfplay.example_files import read_examples

    path = folder / f"b_0_00.{suffix}"
    writer(suffix)(path)
    return lambda: len(read_examples(path).records)


def ingest(folder: Path) -> Work:
    """Four files found, read and counted by the reader's thread and the ingestor."""
    from zebfast.cli.stages import learner_config
    from zebfast.exchange import Namespace
    from zebfast.exchange.local import LocalExampleStore
    from zebfast.learner.data.ingest import Ingestor
    from zebfast.learner.data.mixture import ReplayMixture
    from zebfast.learner.data.reader import ExampleReader, Pace
    from zebfast.learner.state import Progress

    store = LocalExampleStore(folder, Namespace())
    write, n_games = writer("safetensors"), 4 * N_GAMES["safetensors"]
    for number in range(4):
        store.put(f"b_{number}_00.safetensors", write)
    config = learner_config(replay_buffer_size=N_PLIES * n_games)
    pace = Pace(poll_seconds=60, prune_seconds=60, squash_after=0)

    def work() -> object:
        reader = ExampleReader(store, known=(), expected={}, pace=pace)
        taken = Ingestor(
            reader,
            ReplayMixture(config),
            Progress(lineage="bench"),
            held=(),
            has_belief_head=True,
            has_points_head=False,
        )
        while taken.progress.total_games < n_games:
            taken.adopt(wait=10.0)
        reader.close(10.0)
        return taken.progress.total_games

    return work


def exchanged(folder: Path, *, publish: bool) -> Work:
    """Weights of a medium network into the exchange, or out of it again."""
    from bench.pieces_net import weights as fresh
    from zebfast.exchange import Namespace
    from zebfast.exchange.local import LocalWeightStore

    config, weights = fresh("v1", "medium")
    store = LocalWeightStore(folder, Namespace())

    def work() -> object:
        store.publish(weights, config.to_dict(), {"step": 1, "total_games": 1})
        return sorted(weights)

    def pull() -> object:
        pulled: Any = store.pull()
        return sorted(pulled.state_dict)

    work()
    return work if publish else pull


PIECES = (
    Piece(
        "write_native", "2,048 games into a compact file", partial(written, suffix="safetensors")
    ),
    Piece("write_pt", "32 games into a .pt file", partial(written, suffix="pt")),
    Piece("read_native", "2,048 games from a compact file", partial(read, suffix="safetensors")),
    Piece("read_pt", "32 games from a .pt file", partial(read, suffix="pt")),
    Piece("ingest", "4 compact files through reader and ingestor", ingest),
    Piece("publish", "medium weights into a directory", partial(exchanged, publish=True)),
    Piece("pull", "medium weights from a directory", partial(exchanged, publish=False)),
)
