"""Play one hand of Texas 42 against the network that comes with zebfast.

You sit at seat 0 and your partner at seat 2; the network plays the other three seats, and each of
them sees only its own hand. Type a domino as its two ends, 6-4 or 64; ? asks the network.

    python examples/play_a_hand.py
    python examples/play_a_hand.py --seed 3 --opponents search:ms=50
    python examples/play_a_hand.py --auto        (somebody else plays your seat)
"""

from __future__ import annotations

import argparse
import random

import zebfast

YOU = 0
SEATS = ("you", "left", "partner", "right")


def name(domino: int) -> str:
    """``6-4`` for the domino with these ends."""
    return zebfast.domino_name(domino)


def ask(game: zebfast.Game, adviser: zebfast.GamePlayer) -> int:
    """The domino that a person chooses: asked again until it is one that may be played."""
    legal = game.legal()
    print("  your hand:", " ".join(name(d) for d in game.hands[YOU]))
    while True:
        try:
            answer = input(f"  play one of {' '.join(name(d) for d in legal)}: ").strip()
        except (EOFError, KeyboardInterrupt):
            raise SystemExit("\nyou left the table") from None
        if answer == "?":
            chances = adviser.probabilities(game)
            print("  " + ", ".join(f"{name(d)} {p:.0%}" for d, p in chances.items()))
            continue
        ends = [int(sign) for sign in answer if sign in "0123456"]
        if len(ends) == 2 and zebfast.domino_id(*ends) in legal:
            return zebfast.domino_id(*ends)
        print(f"  {answer!r} is none of them")


def play(game: zebfast.Game, opponents: zebfast.GamePlayer, auto: random.Random | None) -> None:
    """Play the game to its end; ``auto`` plays your seat at random where nobody is asked."""
    while not game.over:
        seat = game.to_play
        if seat != YOU:
            domino = opponents.choose(game)
        elif auto is not None:
            domino = auto.choice(game.legal())
        else:
            domino = ask(game, opponents)
        game.play(domino)
        print(f"{SEATS[seat]:>8}: {name(domino)}")
        if len(game.plays) % 4 == 0:
            ours, theirs = game.points
            print(f"          {SEATS[game.to_play]} took it; you {ours}, they {theirs}\n")


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, play, say who won."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1, help="number of the deal (default: 1)")
    parser.add_argument("--opponents", default="zeb", help="who plays the others (default: zeb)")
    parser.add_argument("--auto", action="store_true", help="let your seat play at random")
    args = parser.parse_args(argv)
    try:
        opponents = zebfast.load_player(args.opponents, seed=args.seed)
    except ValueError as error:
        parser.error(str(error))
    game = zebfast.Game.deal(seed=args.seed)
    print(f"{SEATS[game.leader]} declared {game.decl.label} and leads\n")
    play(game, opponents, random.Random(args.seed) if args.auto else None)
    ours, theirs = game.points
    print("a tie" if ours == theirs else "you won" if ours > theirs else "they won")


if __name__ == "__main__":
    main()
