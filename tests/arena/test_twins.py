"""The plain players against a second writing of them: one position at a time, plainest Python."""

import random
from collections import Counter

import numpy as np
import pytest

from zebfast import rules
from zebfast.arena.match import play_deals, play_match
from zebfast.arena.pairs import PlayRng
from zebfast.arena.players.base import plain_player
from zebfast.arena.players.heuristics import (
    Preference,
    choose_preferred,
    heuristic2_preference,
    heuristic_preference,
)
from zebfast.core.masks import domino_bits

PLAYERS = ("random", "heuristic", "heuristic2")


def pip_sum(domino: int) -> int:
    return sum(rules.DOMINOES[domino])


def is_trump(domino: int, decl: int) -> bool:
    high, low = rules.DOMINOES[domino]
    if decl <= 6:
        return decl in (high, low)
    return decl == 7 and high == low


def lead_heuristic(hand: list[int], decl: int) -> int:
    trumps = [d for d in hand if is_trump(d, decl)]
    best = None
    for domino in trumps or hand:
        if best is None or pip_sum(domino) > pip_sum(best):
            best = domino
    assert best is not None
    return best


def lead_heuristic2(hand: list[int], decl: int) -> int:
    for domino in hand:
        high, low = rules.DOMINOES[domino]
        if high == low:
            return domino
    others = [d for d in hand if not is_trump(d, decl)]
    return min(others or hand, key=pip_sum)


def follow_cheaply(legal: list[int]) -> int:
    return min(legal, key=lambda d: (rules.COUNT[d], pip_sum(d)))


def choose(name: str, position: rules.Position, *, seed: int, game: int) -> int:
    """What the player called `name` plays; random draws as stream 4 of (seed, game, ply)."""
    legal = position.legal()
    if name == "random":
        key = rules.stream_key(seed, rules.Stream.EVAL_PLAY, game)
        return legal[rules.bounded(key, len(position.plays), len(legal))]
    if position.trick:
        return follow_cheaply(legal)
    lead = lead_heuristic if name == "heuristic" else lead_heuristic2
    return lead(legal, position.decl)


def play_slowly(name_a: str, name_b: str, *, seed: int, deal: int) -> list[rules.Position]:
    """The two finished games of one deal, A first as team 0, then as team 1."""
    found = []
    for way in range(2):
        position = rules.Position(*rules.deal(seed, deal, rules.Stream.EVAL_DEAL))
        while not position.over:
            name = name_a if position.to_play % 2 == way else name_b
            position.play(choose(name, position, seed=seed, game=2 * deal + way))
        found.append(position)
    return found


@pytest.mark.parametrize("name_a", PLAYERS)
@pytest.mark.parametrize("name_b", PLAYERS)
def test_whole_games_are_the_same(name_a: str, name_b: str) -> None:
    found = play_deals(
        plain_player(name_a), plain_player(name_b), seed=11, first_deal=5, n_deals=12
    )
    games = [play_slowly(name_a, name_b, seed=11, deal=deal) for deal in range(5, 17)]
    assert found.points.tolist() == [[g.points[way] for way, g in enumerate(two)] for two in games]
    assert found.margins.tolist() == [
        [g.points[way] - g.points[1 - way] for way, g in enumerate(two)] for two in games
    ]


@pytest.mark.parametrize("bid", [None, 30, 42])
def test_every_figure_of_a_match_is_the_plain_arithmetic(bid: int | None) -> None:
    """Contracts: the leader's team declared; it wins by taking its bid, else the others win."""
    count: Counter[str] = Counter()
    for deal in range(80):
        key = rules.stream_key(4, rules.Stream.EVAL_DEAL, deal)
        wanted = 30 + rules.bounded(key, 29, 13) if bid is None else bid
        for way, game in enumerate(play_slowly("heuristic2", "random", seed=4, deal=deal)):
            declarers = game.leader % 2
            made = game.points[declarers] >= wanted
            count["points won"] += game.points[way] > game.points[1 - way]
            count["tied"] += game.points == [21, 21]
            count["declared"] += declarers == way
            count["made"] += declarers == way and made
            count["set"] += declarers != way and not made
            count["made by both"] += made
    players = plain_player("heuristic2"), plain_player("random")
    result = play_match(*players, n_games=160, seed=4, bid=bid)
    assert (result.wins, result.ties) == (count["points won"], count["tied"])
    assert (result.declared, result.defended) == (count["declared"], 160 - count["declared"])
    assert (result.made, result.set_opponent) == (count["made"], count["set"])
    assert result.contract_wins == count["made"] + count["set"]
    assert result.contract_rate == result.contract_wins / 160
    assert result.made_rate == count["made"] / 80
    assert result.set_rate == count["set"] / 80
    assert result.made_rate_all == count["made by both"] / 160
    assert 0 < count["made"] < 80 - count["set"] + count["made"]  # both kinds occur
    assert result.bid == ("random" if bid is None else bid)


@pytest.mark.parametrize(
    ("name", "preference"),
    [("heuristic", heuristic_preference()), ("heuristic2", heuristic2_preference())],
)
@pytest.mark.parametrize("leading", [True, False])
def test_tables_choose_as_the_plain_code(name: str, preference: Preference, leading: bool) -> None:
    """Any set of dominoes, also ones that no rule would leave."""
    rng = random.Random(3)
    hands = [sorted(rng.sample(range(28), rng.randint(1, 7))) for _ in range(600)]
    decls = [rng.randrange(10) for _ in hands]
    found = choose_preferred(
        preference=preference,
        legal=np.array([sum(1 << d for d in hand) for hand in hands], dtype=np.uint32),
        decl=np.array(decls, dtype=np.uint8),
        leading=np.full(len(hands), leading),
    )
    lead = lead_heuristic if name == "heuristic" else lead_heuristic2
    expected = [
        lead(hand, decl) if leading else follow_cheaply(hand)
        for hand, decl in zip(hands, decls, strict=True)
    ]
    assert found.tolist() == expected


@pytest.mark.parametrize(
    ("name", "hand", "decl", "expected"),
    [
        ("heuristic", ["6-6", "4-1", "3-1"], 1, "4-1"),  # its best trump, though 6-6 is higher
        ("heuristic", ["6-3", "5-4", "2-0"], 1, "5-4"),  # no trump: 9 pips twice, lower slot
        ("heuristic", ["6-5", "2-2"], 8, "6-5"),  # doubles as a plain suit are no trumps
        ("heuristic", ["6-5", "2-2"], 7, "2-2"),
        ("heuristic2", ["6-6", "3-3", "1-0"], 0, "3-3"),  # the first double, not the best
        ("heuristic2", ["6-0", "3-1", "2-1"], 1, "6-0"),  # lowest that is no trump
        ("heuristic2", ["3-1", "2-1"], 1, "2-1"),  # only trumps: the lowest
    ],
)
def test_leads_worked_by_hand(name: str, hand: list[str], decl: int, expected: str) -> None:
    ids = sorted(rules.domino_id(int(d[0]), int(d[2])) for d in hand)
    lead = lead_heuristic if name == "heuristic" else lead_heuristic2
    assert rules.domino_name(lead(ids, decl)) == expected


def test_draws_are_the_shared_generator() -> None:
    rng = random.Random(8)
    games = [0, 1, 2**40, *(rng.randrange(2**63) for _ in range(60))]
    plies = [rng.randrange(28) for _ in games]
    limits = [rng.randint(1, 7) for _ in games]
    for seed in (0, 1, 2**63 + 5):
        rng = PlayRng(seed, np.array(games, dtype=np.uint64), np.array(plies, dtype=np.uint8))
        keys = [rules.stream_key(seed, rules.Stream.EVAL_PLAY, game) for game in games]
        bits = [rules.bits(key, ply) for key, ply in zip(keys, plies, strict=True)]
        assert rng.bits().tolist() == bits
        assert rng.below(np.array(limits)).tolist() == [
            (number * limit) >> 64 for number, limit in zip(bits, limits, strict=True)
        ]
        assert rng.uniform().tolist() == [(number >> 11) / 2**53 for number in bits]


def test_domino_bits() -> None:
    bits = domino_bits(np.array([1 << 27 | 1], dtype=np.uint32))
    assert np.flatnonzero(bits[0]).tolist() == [0, 27]
