"""Train a tiny network from nothing, in about a minute, on games that the solver labels.

Random games are played, and the solver says what every legal play of every decision is worth with
all hands open. The network sees only what the seat to play knows, and regresses on these values:
what it cannot see averages out, so it learns what a play is worth over all that the hidden hands
may be. This is the first stage of the recipe `fast`, without its engine room.

    python examples/train_from_nothing.py
    python examples/train_from_nothing.py --games 30000 --steps 30000 --width 256
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

import zebfast

N = 28  # dominoes, and plays of a game
FEATURES = N + 4 * N + 3 * N + 10  # own hand, plays by seat, the table in order, declaration
Choose = Callable[[zebfast.GameBatch], NDArray[np.uint8]]


def bits(masks: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Masks of dominoes u4[k] as bool[k, 28]."""
    return (masks[:, None] >> np.arange(N, dtype=np.uint32) & 1).astype(bool)


def features(games: zebfast.GameBatch) -> NDArray[np.float32]:
    """What the seats to play know, f4[k, FEATURES]; all games have as many plays."""
    rows, ply, seat = np.arange(len(games)), int(games.n_plays[0]), games.to_play
    history, seats = games.history[:, :ply], games.seats[:, :ply]
    played = np.zeros((len(games), 4, N), np.float32)
    table = np.zeros((len(games), 3, N), np.float32)
    for i in range(ply):
        played[rows, (seats[:, i] - seat) % 4, history[:, i]] = 1
    for place, i in enumerate(range(ply - ply % 4, ply)):
        table[rows, place, history[:, i]] = 1
    parts = [bits(games.held[rows, seat]), played.reshape(-1, 4 * N), table.reshape(-1, 3 * N)]
    return np.concatenate([*parts, np.eye(10)[games.decl]], axis=1).astype(np.float32)


def labelled(
    n_games: int, seed: int, solver: zebfast.Solver
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Decisions of random games: features, value of each domino, which of them are legal.

    A value is what a play brings its own side, against the mean of all that are legal: points to
    come, own minus theirs. A hand may be good or bad; what is learned is what to do with it.
    """
    games = zebfast.GameBatch.deal(n_games, seed=seed)
    found = []
    while not games.over.all():
        legal, sign = bits(games.legal()), np.where(games.to_play % 2 == 0, 1.0, -1.0)
        values = np.where(legal, solver.play_values(games.positions()), 0) * sign[:, None]
        values -= values.sum(axis=1, keepdims=True) / legal.sum(axis=1, keepdims=True)
        found.append((features(games), values.astype(np.float32), legal))
        games.play_random(seed=seed)
    x, y, legal = (np.concatenate(column) for column in zip(*found, strict=True))
    return x, y, legal


def train(network: torch.nn.Module, x: np.ndarray, y: np.ndarray, legal: np.ndarray,
          n_steps: int) -> float:  # fmt: skip
    """So many steps; the mean error of the last hundred of them, in points."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, n_steps)
    generator, errors = np.random.default_rng(0), []
    inputs, wanted, mask = torch.tensor(x), torch.tensor(y), torch.tensor(legal)
    for _ in range(n_steps):
        rows = torch.from_numpy(generator.integers(len(x), size=512))
        error = (network(inputs[rows]) - wanted[rows])[mask[rows]]
        optimizer.zero_grad()
        error.square().mean().backward()
        optimizer.step()
        schedule.step()
        errors.append(float(error.detach().abs().mean()))
    return float(np.mean(errors[-100:]))


def best_of(network: torch.nn.Module) -> Choose:
    """Plays the domino that the network values most."""

    def choose(games: zebfast.GameBatch) -> NDArray[np.uint8]:
        with torch.inference_mode():
            values = network(torch.from_numpy(features(games))).numpy()
        return np.where(bits(games.legal()), values, -np.inf).argmax(axis=1).astype(np.uint8)

    return choose


def random_play(seed: int) -> Choose:
    """Any legal domino, all equally likely."""
    generator = np.random.default_rng(seed)

    def choose(games: zebfast.GameBatch) -> NDArray[np.uint8]:
        draws = generator.random((len(games), N))
        return np.where(bits(games.legal()), draws, -1).argmax(axis=1).astype(np.uint8)

    return choose


def won(a: Choose, b: Choose, *, n_deals: int, seed: int) -> float:
    """Share of games that A wins against B by points, every deal both ways; a tie is half."""
    score = 0.0
    for team in (0, 1):
        games = zebfast.GameBatch.deal(n_deals, seed=seed)
        while not games.over.all():
            ours = games.to_play % 2 == team
            games.play(np.where(ours, a(games), b(games)))
        score += float((games.points[:, team] > 21).mean() + (games.points[:, 0] == 21).mean() / 2)
    return score / 2


def main(argv: list[str] | None = None) -> None:
    """Read the arguments; label, train, play."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--games", type=int, default=3000, help="to label (default: 3000)")
    parser.add_argument("--steps", type=int, default=5000, help="of training (default: 5000)")
    parser.add_argument("--width", type=int, default=128, help="of the network (default: 128)")
    parser.add_argument("--deals", type=int, default=2000, help="of the matches (default: 2000)")
    parser.add_argument("--seed", type=int, default=1, help="of games and weights (default: 1)")
    args = parser.parse_args(argv)
    for option in ("games", "steps", "width", "deals"):
        if getattr(args, option) < 1:
            parser.error(f"--{option}: at least 1 is needed")
    torch.set_num_threads(1)  # so small a network gains nothing from more
    torch.manual_seed(args.seed)
    network = torch.nn.Sequential(
        torch.nn.Linear(FEATURES, args.width), torch.nn.ReLU(),
        torch.nn.Linear(args.width, args.width), torch.nn.ReLU(),
        torch.nn.Linear(args.width, N),
    )  # fmt: skip
    opponent = random_play(args.seed)
    before = won(best_of(network), opponent, n_deals=args.deals, seed=args.seed + 10**9)
    x, y, legal = labelled(args.games, args.seed, zebfast.Solver())
    print(f"labelled {len(x):,} decisions of {args.games:,} games")
    error = train(network, x, y, legal, args.steps)
    print(f"trained; the value of a play is {error:.1f} points off, on average")
    after = won(best_of(network), opponent, n_deals=args.deals, seed=args.seed + 10**9)
    print(f"won against random play: {before:.1%} before, {after:.1%} after")


if __name__ == "__main__":
    main()
