"""Compare two players over paired deals, with a confidence interval.

Every deal is played twice, with the teams swapped, so that luck of the deal cancels. The two games
of a deal share it and are not independent: the interval is over deals, not over games.

    python examples/compare_players.py zeb heuristic2
    python examples/compare_players.py search:ms=10 zeb --deals 100 --seed 5

`zebfast eval A vs B` does the same many times faster, many games side by side; this program shows
how it is done, and can be changed to count something else.
"""

from __future__ import annotations

import argparse
import math
import sys

import numpy as np

import zebfast


def margin(players: tuple[zebfast.GamePlayer, zebfast.GamePlayer], *, seed: int, deal: int) -> int:
    """Points of team 0 minus those of team 1, where ``players[0]`` plays both seats of team 0."""
    game = zebfast.Game.deal(seed=seed, game=deal)
    while not game.over:
        game.play(players[game.to_play % 2].choose(game, number=deal))
    return game.points[0] - game.points[1]


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean of independent values and its 95 % interval, by the normal approximation."""
    mean = float(values.mean())
    half = 1.96 * float(values.std(ddof=1)) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, play, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("a", help="one player: zeb, heuristic2, eq:n=10, search:ms=10, ...")
    parser.add_argument("b", help="the other")
    parser.add_argument("--deals", type=int, default=50, help="two games each (default: 50)")
    parser.add_argument("--seed", type=int, default=0, help="of deals and players (default: 0)")
    args = parser.parse_args(argv)
    if args.deals < 2:
        parser.error("--deals: an interval needs two deals at least")
    try:
        a = zebfast.load_player(args.a, seed=args.seed)
        b = zebfast.load_player(args.b, seed=args.seed + 1)  # else both would draw alike
    except ValueError as error:
        parser.error(str(error))
    margins = np.empty((args.deals, 2))
    for deal in range(args.deals):
        margins[deal, 0] = margin((a, b), seed=args.seed, deal=deal)
        margins[deal, 1] = -margin((b, a), seed=args.seed, deal=deal)  # as A sees it
        print(f"\rdeal {deal + 1} of {args.deals}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    score = (np.sign(margins) + 1) / 2  # won 1, tied 0.5, lost 0
    share, low, high = interval(score.mean(axis=1))
    print(f"{args.a} scores {share:.1%} against {args.b} (95 %: {low:.1%} to {high:.1%})")
    points, low, high = interval(margins.mean(axis=1))
    print(f"points a game: {points:+.2f} (95 %: {low:+.2f} to {high:+.2f}), {args.deals} deals")


if __name__ == "__main__":
    main()
