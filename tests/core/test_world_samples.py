"""Worlds drawn: uniform or as weighted, always possible, and a function of known things only."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from world_games import batch_after, relaid, single

from zebfast import rules
from zebfast.core.engine import GameBatch
from zebfast.core.worlds import WorldSet, sample_worlds, world_counts, world_positions
from zebfast.rules import Stream


def chi_square_excess(observed: np.ndarray, expected: np.ndarray) -> float:
    """Pearson's statistic, in standard deviations above its mean if the expectation is right."""
    statistic = float((((observed - expected) ** 2) / expected).sum())
    dof = len(observed) - 1
    return (statistic - dof) / math.sqrt(2 * dof)


def constrained(n: int, low: int, high: int) -> list[tuple[GameBatch, int]]:
    """Random games and viewers with voids shown and from low to high worlds."""
    found: list[tuple[GameBatch, int]] = []
    for plies in range(6, 22):
        games = batch_after(60, plies, seed=100 + plies)
        counts = world_counts(games)
        for row in np.flatnonzero((counts >= low) & (counts <= high))[:2].tolist():
            known = WorldSet(games, row)
            if any(known.barred):
                found.append((games, row))
    assert len(found) >= n
    return found[:n]


# The seeds are fixed, so nothing here depends on luck; with seeds drawn anew, a right sampler would
# exceed this in less than one of 5,000 positions with 20 worlds, and more rarely with more worlds.
LIMIT = 5.0


def test_samples_are_uniform() -> None:
    excesses = []
    for games, row in constrained(16, 20, 3000):
        known = WorldSet(games, row)
        ranks = known.rank(known.sample(60 * known.count, seed=8, game=row))
        observed = np.bincount(ranks.astype(np.int64), minlength=known.count)
        excesses.append(chi_square_excess(observed, np.full(known.count, 60.0)))
    assert max(excesses) < LIMIT
    assert abs(sum(excesses)) / math.sqrt(len(excesses)) < LIMIT  # neither too even, in the sum


def greedy_filler(known: WorldSet, sizes: list[int], own: int, rng: random.Random) -> np.ndarray:
    """A wrong sampler: each domino to a random seat that may hold it; anew if it gets stuck."""
    while True:
        room, hands = [0 if s == known.viewer else n for s, n in enumerate(sizes)], [0] * 4
        hands[known.viewer] = own
        for domino in known.hidden:
            open_to = [s for s in range(4) if room[s] and domino not in known.barred[s]]
            if not open_to:
                break
            seat = rng.choice(open_to)
            room[seat] -= 1
            hands[seat] |= 1 << domino
        else:
            return np.array(hands, np.uint32)


def test_the_test_of_uniformity_sees_a_greedy_filler() -> None:
    rng, excesses = random.Random(1), []
    for games, row in constrained(4, 20, 60):
        known, held = WorldSet(games, row), games.held[row]
        sizes = [bin(m).count("1") for m in held.tolist()]
        drawn = [greedy_filler(known, sizes, int(held[known.viewer]), rng) for _ in range(1500)]
        observed = np.bincount(known.rank(np.array(drawn)).astype(int), minlength=known.count)
        excesses.append(chi_square_excess(observed, np.full(known.count, 1500 / known.count)))
    assert max(excesses) > 4 * LIMIT


def brute_probabilities(hands: np.ndarray, viewer: int, weights: np.ndarray) -> np.ndarray:
    """Products of the weights over all layouts [m, 4], made to sum to 1."""
    bits = ((hands[..., None] >> np.arange(28, dtype=np.uint32)) & 1).astype(bool)
    bits[:, viewer] = False
    products = np.where(bits, weights.T[None], 1.0).prod(axis=(1, 2))
    return products / products.sum()


def test_weighted_samples_follow_their_probabilities() -> None:
    rng, excesses = np.random.default_rng(3), []
    for games, row in constrained(12, 20, 600):
        weights = rng.exponential(size=(28, 4)) ** 2 * 10.0 ** rng.integers(-3, 4, (28, 1))
        known = WorldSet(games, row, weights=weights)
        everything = known.enumerate()
        want = brute_probabilities(everything, known.viewer, weights)
        assert known.probability(everything) == pytest.approx(want, rel=1e-9)
        hands = known.sample(400_000, seed=4, game=row)
        observed = np.bincount(known.rank(hands).astype(int), minlength=known.count)
        often = want * len(hands) >= 10
        expected = np.append(want[often], want[~often].sum() + 1e-12) * len(hands)
        excesses.append(
            chi_square_excess(np.append(observed[often], observed[~often].sum()), expected)
        )
        batch = sample_worlds(
            games, [row], 50, seed=4, game_numbers=[row], first=7, weights=weights[None]
        )
        assert (batch[0] == hands[7:57]).all()
    assert max(excesses) < LIMIT


def test_weights_alone_do_not_change_what_is_possible() -> None:
    games = batch_after(30, 13, seed=6)
    for row in range(30):
        known = WorldSet(games, row, weights=np.full((28, 4), 3.0))
        plain = WorldSet(games, row)
        hands = plain.sample(20, seed=1)
        assert known.count == plain.count
        assert known.probability(hands) == pytest.approx(1 / plain.count)
        assert plain.probability(hands) == pytest.approx(1 / plain.count)
        # A belief that is sure of the truth draws nothing else, however small its numbers are.
        sure = ((games.held[row] >> np.arange(28, dtype=np.uint32)[:, None]) & 1) * 1e-300
        known = WorldSet(games, row, weights=sure)
        assert (known.sample(9, seed=1) == games.held[row]).all()
        assert known.probability(games.held[row : row + 1])[0] == 1.0


def test_weights_far_apart_keep_their_ratios() -> None:
    games, _ = single(3, 16)
    weights = np.where(np.arange(28)[:, None] % 3 == np.arange(4), 1.0, 1e-12)
    known = WorldSet(games, 0, weights=weights)
    want = brute_probabilities(known.enumerate(), known.viewer, weights)
    assert known.probability(known.enumerate()) == pytest.approx(want, rel=1e-9)


def test_every_play_is_legal_in_every_sampled_world() -> None:
    """336,000 positions and worlds: each is dealt, and the game played in it from its start."""
    games = GameBatch.deal(1000, seed=21)
    numbers = np.arange(1000, dtype=np.uint64)
    checked = 0
    for ply in range(28):
        viewers = (numbers + ply) % 4
        hands = sample_worlds(
            games, None, 12, seed=ply, game_numbers=numbers, viewers=viewers
        ).reshape(-1, 4)
        rows = np.repeat(np.arange(1000), 12)
        again = relaid(games, rows, hands)  # raises where sizes, owners or a play are wrong
        assert (again.held == hands).all()
        assert (again.points == games.points[rows]).all()
        own = hands[np.arange(len(rows)), viewers[rows]]
        assert (own == games.held[rows, viewers[rows]]).all()
        checked += len(rows)
        games.play_random(seed=22)
    assert checked == 336_000


def test_hidden_hands_do_not_enter() -> None:
    """Games that differ only in what the viewer cannot see have the same worlds."""
    for ply in range(0, 28, 3):
        games = batch_after(200, ply, seed=31)
        numbers, rows = np.arange(200, dtype=np.uint64), np.arange(200)
        hands = sample_worlds(games, None, 1, seed=5, game_numbers=numbers)[:, 0]
        others = relaid(games, rows, hands)
        assert ply > 24 or (others.held != games.held).any()
        assert (world_counts(others) == world_counts(games)).all()
        drawn = [sample_worlds(g, None, 20, seed=6, game_numbers=numbers) for g in (games, others)]
        assert (drawn[0] == drawn[1]).all()


def test_world_i_depends_on_seed_game_ply_and_i_only() -> None:
    games = batch_after(50, 9, seed=41)
    numbers = np.arange(1000, 1050, dtype=np.uint64)
    whole = sample_worlds(games, None, 37, seed=7, game_numbers=numbers)
    for row in (0, 13, 49):
        known = WorldSet(games, row)
        key = rules.stream_key(7, Stream.EVAL_WORLDS, 1000 + row)
        ranks = [rules.bounded(key, (9 << 32) + i, known.count) for i in range(37)]
        assert known.rank(whole[row]).tolist() == ranks
        assert (known.sample(37, seed=7, game=1000 + row) == whole[row]).all()
    order = np.array([49, 3, 3, 0])
    for first, n in ((0, 1), (5, 32), (36, 1), (8, 8), (20, 0)):
        part = sample_worlds(games, order, n, seed=7, game_numbers=numbers[order], first=first)
        assert (part == whole[order, first : first + n]).all()
    other = sample_worlds(games, None, 37, seed=7, game_numbers=numbers, stream=Stream.WORLDS)
    assert (other != whole).any(axis=(1, 2)).all()


def test_positions_of_worlds_are_those_of_the_games() -> None:
    for ply in (0, 1, 6, 11, 26):
        games = batch_after(20, ply, seed=51)
        numbers = np.arange(20, dtype=np.uint64)
        hands = sample_worlds(games, None, 3, seed=1, game_numbers=numbers)
        got = world_positions(games, None, hands)
        assert got.shape == (20, 3)
        rows = np.repeat(np.arange(20), 3)
        assert (relaid(games, rows, hands.reshape(-1, 4)).positions() == got.reshape(-1)).all()
        hands[7, 2, 0] ^= 1
        with pytest.raises(ValueError, match="game 7: layout 2 does not deal out the dominoes"):
            world_positions(games, None, hands)
