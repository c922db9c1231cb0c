"""Card games, searches and solvers of others beside ours, in turns on one core.

    python -m bench.peers [--python FILE] --output bench/records/peers/DATE-SLUG.json

The peers run in a Python of their own: --python, with what PEERS names installed, or else an
environment that is made in build/peers, which fetches some hundred megabytes.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.in_turns import ROOT, Stages, record, run
from zebfast import Game, GameBatch, Solver
from zebfast.core.observe import uniform_evaluate
from zebfast.core.options import SearchOptions
from zebfast.core.records import OBS_DTYPE
from zebfast.core.selfplay import SelfPlayForest

PEERS = ("open_spiel==2.0.2", "pettingzoo[classic]==1.27.0", "endplay==0.5.12")
#: What is compared; nothing is wanted.
BESIDE = (
    ("one", "pettingzoo_leduc", None),
    ("one", "pettingzoo_texas", None),
    ("one", "spiel_dominoes", None),
    ("one", "spiel_hearts", None),
    ("many", "spiel_hearts", None),
    ("tree", "spiel_mcts", None),
    ("tree", "spiel_ismcts", None),
    ("tree", "spiel_python_ismcts", None),
    ("solver", "endplay", None),
)


class Peers:
    """The process that does the work of others. Use it as a context."""

    def __init__(self, python: Path) -> None:
        command = [str(python), str(ROOT / "bench" / "peer_work.py")]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        told = self._line()
        self.stages: dict[str, list[str]] = told["stages"]
        self.versions: dict[str, str] = told["versions"]

    def __enter__(self) -> Peers:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the peers' process has ended; see what it says above")
        found: dict[str, Any] = json.loads(line)
        return found

    def work(self, key: str) -> Callable[[], tuple[int, float]]:
        """What it does for a key: how much, in how many seconds of its own."""

        def work() -> tuple[int, float]:
            assert self._process.stdin is not None
            print(key, file=self._process.stdin, flush=True)
            answer = self._line()
            return answer["done"], answer["seconds"]

        return work


def one(n_games: int) -> Callable[[], int]:
    """Hands played from Python, a domino a call, any that is legal."""
    draw = random.Random(1)

    def work() -> int:
        for number in range(n_games):
            game = Game.deal(1, number)
            while not game.over:
                game.play(draw.choice(game.legal()))
        return 28 * n_games

    return work


def many(n_games: int) -> Callable[[], int]:
    """Hands side by side, a play of each a call."""

    def work() -> int:
        games = GameBatch.deal(n_games, seed=1)
        for _ in range(28):
            games.play_random(seed=1)
        return 28 * n_games

    return work


def tree(n_trees: int, n_steps: int) -> Callable[[], int]:
    """Simulations of self-play on 16 sampled layouts, all choices alike to the evaluator."""
    options = SearchOptions(n_simulations=200, exact_tricks=0)
    forest = SelfPlayForest(n_trees, options=options, seed=1, worlds="sampled")
    leaves, evals = np.zeros(n_trees, OBS_DTYPE), np.zeros((n_trees, 8), np.float32)

    def work() -> int:
        before = forest.counts()
        forest.allow(before["games"] + n_trees * (2 + n_steps // 200))
        for _ in range(n_steps):
            n = forest.select(leaves)
            uniform_evaluate(leaves[:n], evals[:n])
            forest.update(evals[:n])
        forest.take()
        return forest.counts()["simulations"] - before["simulations"]

    return work


def solver(n_deals: int) -> Callable[[], int]:
    """Every play of the first trick of deals of 28 dominoes, all hands open."""
    positions = GameBatch.deal(n_deals, seed=1).positions()
    return lambda: len(Solver().play_values(positions))  # one that remembers nothing


def ours() -> Stages:
    """What peers stand beside."""
    return {
        "one": ("Texas 42 by zebfast, a hand from Python", "steps/s", one(100)),
        "many": ("Texas 42 by zebfast, 4,096 hands at once", "steps/s", many(4096)),
        "tree": ("zebfast, tree search on sampled layouts of Texas 42", "simulations/s",
                 tree(64, 300)),
        "solver": ("zebfast, the plays of deals of 28 dominoes", "boards/s", solver(20)),
    }  # fmt: skip


def environment(folder: Path) -> Path:
    """The Python of an environment that has the peers, made if it is not there."""
    python = folder / "bin" / "python"
    if not python.is_file():
        venv.create(folder, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PEERS], check=True)
    return python


def main(argv: list[str] | None = None) -> int:
    """See in_turns.run."""
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--python", type=Path, help="of an environment that has the peers")

    def make(turns: int) -> dict[str, Any]:
        python = own.parse_known_args(argv)[0].python
        with Peers(python or environment(ROOT / "build" / "peers")) as peers:
            theirs: Any = {
                key: (what, unit, peers.work(key)) for key, (what, unit) in peers.stages.items()
            }
            found = record(
                {**ours(), **theirs}, BESIDE, libraries=(), turns=turns,
                command="python -m bench.peers",
            )  # fmt: skip
            found["versions"] |= peers.versions
            found["libraries"] = list(peers.versions)
            return found

    return run(__doc__ or "", argv, turns=15, make=make, parents=[own])


if __name__ == "__main__":
    raise SystemExit(main())
