"""Players written as policies: Python functions that zebfast compiles and calls from C.

    python examples/policies.py [--games N] [--seed N] [--plain]

Plays each against the next and prints who won how often. They are the arena's own players `random`,
`heuristic` and `heuristic2`, written once more: a test compares every play. Each can sit at any
table:

    zebfast eval examples/policies.py:heuristic2 vs zeb
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import zebfast

PIPS = np.array(zebfast.DOMINOES)  # [28, 2]; a table like this becomes part of the compiled code
SUMS = PIPS.sum(axis=1)
COUNT = np.where(SUMS % 5 == 0, SUMS, 0)  # points of a domino in a trick: 0, 5 or 10


# Plain functions that a policy calls by name are compiled with it.


def number_of(mask):
    """How many bits are set."""
    n = 0
    while mask:
        mask &= mask - 1
        n += 1
    return n


def scaled(random, n):
    """A number 0..n - 1, each as likely: the high part of a product, for n below 2**31."""
    return ((random >> 32) * n + ((random & 0xFFFFFFFF) * n >> 32)) >> 31


def least(mask, ranks):
    """The domino of a mask that has the least rank, the lowest of equals."""
    best, lowest = -1, WORST
    for domino in range(28):
        rank = ranks[domino] + WORST * (1 - (mask >> domino & 1))  # a branch would cost more
        if rank < lowest:
            best, lowest = domino, rank
    return best


WORST = 1000  # above every rank
IN_ORDER = np.arange(28)
HIGH_FIRST = -SUMS
FOLLOWING = 13 * (COUNT // 5) + SUMS  # least count, then least pips
DOUBLES = int((1 << IN_ORDER[PIPS[:, 0] == PIPS[:, 1]]).sum())


@zebfast.policy
def random(view, random):
    """Any legal domino."""
    mask = view.legal
    for _ in range(scaled(random, number_of(mask))):
        mask &= mask - 1  # without its lowest bit
    domino = 0
    while not mask & 1:
        mask >>= 1
        domino += 1
    return domino


@zebfast.policy
def heuristic(view, random):
    """Leads its highest trump, else its highest domino; follows cheap and low."""
    if view.n_table:
        return least(view.legal, FOLLOWING)
    trumps = view.legal & view.trumps
    return least(trumps if trumps else view.legal, HIGH_FIRST)


@zebfast.policy
def heuristic2(view, random):
    """Leads its first double, else its lowest domino that is no trump, else its lowest; follows
    cheap and low."""
    if view.n_table:
        return least(view.legal, FOLLOWING)
    doubles = view.legal & DOUBLES
    if doubles:
        return least(doubles, IN_ORDER)
    plain = view.legal & ~view.trumps
    return least(plain if plain else view.legal, SUMS)


# In whole games a policy bids and declares, too. This one does as the bidder `rule`: it counts its
# dominoes that may lose a trick, with the best of the suits 0 to 6 and doubles, 7, as trumps.


def suit_in_order(suit: int) -> list[int]:
    """The seven dominoes of a suit, the highest first."""
    if suit == 7:
        return [zebfast.domino_id(pip, pip) for pip in range(6, -1, -1)]
    others = [pip for pip in range(6, -1, -1) if pip != suit]
    return [zebfast.domino_id(suit, pip) for pip in (suit, *others)]


SUITS = np.array([suit_in_order(suit) for suit in range(8)])
CEILINGS = np.array([14, 13, 5, 2, 0, 0, 0, 0])  # by losers: two marks, one, 34, 31, a pass


def trumps_in(hand, suit):
    """How many dominoes of the suit are in the hand."""
    n = 0
    for domino in SUITS[suit]:
        n += hand >> domino & 1
    return n


def losers(hand, suit):
    """Dominoes that may lose a trick: all but the trumps that win or outlast, and other doubles."""
    n, top = trumps_in(hand, suit), 0
    while top < 7 and hand >> SUITS[suit, top] & 1:
        top += 1
    winners = n if top and n >= 4 else top
    for pip in range(7):
        double = pip * (pip + 3) // 2
        is_trump = suit == 7 or suit == pip
        winners += (hand >> double & 1) * (1 - is_trump)
    return 7 - winners


@heuristic2.bid
def heuristic2(view, random):
    """The lowest call up to a ceiling, by place: 0 passes, 1 to 12 bid 30 to 41, then marks."""
    fewest = 7
    for suit in range(8):
        fewest = min(fewest, losers(view.hand, suit))
    place = 1
    while place < 20 and not view.legal >> place & 1:
        place += 1
    if view.legal & 1 and (place == 20 or place > CEILINGS[fewest]):
        return 0
    return 29 + place if place <= 12 else 42 * (place - 12)


@heuristic2.declare
def heuristic2(view, random):
    """The suit with the fewest losers, then the most trumps."""
    best, most = 0, -100
    for suit in range(8):
        score = trumps_in(view.hand, suit) - 8 * losers(view.hand, suit)
        if view.legal >> suit & 1 and score > most:
            best, most = suit, score
    return best


def share_won(players: list[zebfast.GamePlayer], *, n_games: int, seed: int) -> float:
    """Share of games that the first wins, ties for half, every deal played both ways."""
    deals = zebfast.GameBatch.deal((n_games + 1) // 2, seed=seed)
    games = deals.take(np.repeat(np.arange(len(deals)), 2))
    numbers = np.arange(len(games), dtype=np.uint64)
    bids = np.full(len(games), 30, np.uint8)
    is_firsts = np.arange(len(games)) % 2  # the first player's team
    while not games.over.all():
        plays = np.empty(len(games), np.uint8)
        for player, turn in zip(players, (True, False), strict=True):
            rows = np.flatnonzero((games.to_play % 2 == is_firsts) == turn)
            plays[rows] = player.choose_many(
                games.take(rows), bids=bids[rows], numbers=numbers[rows]
            )
        games.play(plays)
    points = np.take_along_axis(games.points, is_firsts[:, None], axis=1)[:, 0]
    return float(np.where(points == 21, 0.5, points > 21).mean())


def main(argv: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--games", type=int, default=20_000, help="of each match")
    options.add_argument("--seed", type=int, default=0, help="of the deals")
    options.add_argument("--plain", action="store_true", help="as plain Python, without Numba")
    told = options.parse_args(argv)
    if told.games < 2:
        options.error("--games: at least 2 are needed, a deal both ways")
    for name, other in (("heuristic", "random"), ("heuristic2", "heuristic")):
        how = ",compiled=no" if told.plain else ""
        specs = [f"policy:{__file__}:{each}{how}" for each in (name, other)]
        try:
            players = [zebfast.load_player(spec, seed=told.seed) for spec in specs]
        except zebfast.PlayerLoadError as error:
            options.error(str(error))
        began = time.perf_counter()
        won = share_won(players, n_games=told.games, seed=told.seed)
        rate = told.games / (time.perf_counter() - began)
        print(f"{name} against {other}: won {won:.1%} of {told.games:,} ({rate:,.0f} games/s)")


if __name__ == "__main__":
    main()
