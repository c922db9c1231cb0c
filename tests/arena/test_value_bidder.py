"""The bidder that weighs calls: its networks, the race to seven marks, and its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zebfast import WholeGame
from zebfast.arena.bidders.auctions import Auctions
from zebfast.arena.bidders.race import chance_after, race_table
from zebfast.arena.bidders.specs import build_bidder, parse_bidder
from zebfast.arena.bidders.value import BadBids, Bids, ValueBidder
from zebfast.arena.bidders.worth import (
    AWARDS,
    MOST_WEIGHT,
    N_CALLS,
    N_INPUTS,
    SmallNet,
    before,
    of_auction,
    standing_before,
)
from zebfast.core.whole_game import WholeGameBatch
from zebfast.net import checkpoint, shipped

EVEN = np.array([0.05, 0.4, 0.1, 0.4, 0.05])  # of AWARDS


@pytest.fixture(scope="module")
def bidder() -> ValueBidder:
    found = build_bidder(parse_bidder("value"))
    assert isinstance(found, ValueBidder)
    return found


def auctions(n: int, *, seed: int, steps: int) -> Auctions:
    games = WholeGameBatch(n, seed=seed)
    for _ in range(steps):
        games.play_random(np.flatnonzero(games.phase == 1))
    return Auctions.of_games(games, np.flatnonzero(games.phase == 1))


@given(seed=st.integers(0, 2**32), steps=st.integers(0, 3))
@settings(max_examples=15, deadline=None)
def test_what_calls_are_worth_does_not_depend_on_the_batch(
    bidder: ValueBidder, seed: int, steps: int
) -> None:
    seats = auctions(40, seed=seed, steps=steps)
    worth, stated = bidder.worth(seats), bidder.stated(seats)
    for i in range(0, len(seats), 7):
        one = seats.take(np.array([i]))
        assert np.array_equal(bidder.worth(one)[0], worth[i])
        assert np.array_equal(bidder.stated(one)[0], stated[i])
    assert ((worth >= 0) & (worth <= 1)).all()
    assert (np.diff(stated, axis=1) <= 0).all()


def test_the_best_call_is_made_and_people_are_told_its_chance(bidder: ValueBidder) -> None:
    strong = WholeGame(shaker=3)
    fives = [27, 26, 25, 20, 19, 18, 17]  # 6-6, 6-5, 6-4 and the high fives
    rest = [domino for domino in range(28) if domino not in fives]
    strong.deal([fives, rest[:7], rest[7:14], rest[14:]])
    view = strong.seen_by(0)
    told = bidder.chances(view)
    assert list(told) == [call for call in view.legal if call]
    assert told[30] >= told[36] >= told[42] == told[84]
    assert told[30] > 0.5
    assert bidder.call(Auctions.of_view(view))[0] > 0
    weak = WholeGame(shaker=3)
    weak.deal([rest[:7], fives, rest[7:14], rest[14:]])
    assert bidder.chances(weak.seen_by(0))[42] < told[42]


@given(seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_a_declarer_is_seen_as_it_was_when_it_bid(seed: int) -> None:
    games = WholeGameBatch(8, seed=seed)
    seen: dict[tuple[int, int], np.ndarray] = {}
    for _ in range(4):
        rows = np.flatnonzero(games.phase == 1)
        table = Auctions.of_games(games, rows)
        for row, seat, one in zip(rows, games.seat[rows], of_auction(table), strict=True):
            seen[int(row), int(seat)] = one
        bid, bidder = standing_before(table)
        assert np.array_equal(bid, table.bid)
        assert np.array_equal(bidder, table.bidder)
        games.play_random(rows)
    rows = np.flatnonzero(games.phase == 2)
    table = Auctions.of_games(games, rows)
    for row, seat, one in zip(rows, games.seat[rows], of_auction(table), strict=True):
        assert np.array_equal(seen[int(row), int(seat)], one)
    assert not before(table, 1)[table.position == 0].any()


def test_the_race_is_even_for_even_hands_and_knows_its_ends() -> None:
    table = race_table(EVEN)
    assert np.allclose(table[..., 0] + table.swapaxes(0, 1)[..., 1], 1)  # one of the sides wins
    assert table[0, 6, 0] > 0.9 > 0.1 > table[6, 0, 0]
    assert np.allclose(np.diagonal(table[..., 0]), 0.5)
    assert (np.diff(table, axis=0) < 0).all()  # who lacks more
    assert (np.diff(table, axis=1) > 0).all()


def test_the_race_agrees_with_games_that_are_drawn() -> None:
    hands = np.array([0.02, 0.3, 0.08, 0.55, 0.05])
    rng, won, n = np.random.default_rng(1), 0, 20_000
    awards = rng.choice(AWARDS, size=(n, 60), p=hands)
    for game in awards:
        own = other = 0
        for i, award in enumerate(game):
            mine = award if i % 2 == 0 else -award  # the own side shakes first
            own, other = own + max(mine, 0), other + max(-mine, 0)
            if own >= 7 or other >= 7:
                break
        won += own >= 7
    assert won / n == pytest.approx(race_table(hands)[6, 6, 1], abs=0.015)


@pytest.mark.parametrize(
    "hands", [np.zeros(5), np.array([0, 0, 1.0, 0, 0]), np.full(4, 0.25), np.full(5, 0.3)]
)
def test_hands_that_are_no_chances_are_refused(hands: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"chances of 5 awards|never end"):
        race_table(hands)


def test_awards_are_counted_to_the_end_of_the_game() -> None:
    games = WholeGameBatch(4, seed=1)
    seats = Auctions.of_games(games, np.arange(4))
    table = race_table(EVEN)
    after = chance_after(table, seats)
    assert np.allclose(after[:, 2], table[6, 6, 1])  # the shaker's left shakes next
    assert (np.diff(after, axis=1) > 0).all()
    close = Auctions(**{**vars(seats), "marks": np.tile(np.int32([6, 5]), (4, 1))})
    assert chance_after(table, close)[:, [0, 3, 4]].tolist() == [[0, 1, 1]] * 4


def test_sums_of_a_small_network_are_exact() -> None:
    rng = np.random.default_rng(3)
    tensors = {
        "net.0.weight": rng.normal(size=(96, N_INPUTS)), "net.0.bias": rng.normal(size=96),
        "net.1.weight": rng.normal(size=(5, 96)), "net.1.bias": rng.normal(size=5),
    }  # fmt: skip
    net = SmallNet.of(tensors, "net", n_out=5)
    x = rng.normal(size=(3, N_INPUTS))
    assert np.array_equal(net(x), net(np.tile(x, (100, 1)))[-3:])
    order = rng.permutation(N_INPUTS)
    shuffled = SmallNet((net.weights[0][order], net.weights[1]), net.biases)
    assert np.array_equal(shuffled(x[:, order]), net(x))


def changed(tmp_path: Path, **tensors: np.ndarray | None) -> Path:
    held, facts = checkpoint.read_tensors(shipped.BIDS)
    names = {name.replace("__", "."): array for name, array in tensors.items()}
    kept = {name: names.get(name, array) for name, array in held.items()}
    path = tmp_path / "bids.safetensors"
    checkpoint.write_tensors({n: a for n, a in kept.items() if a is not None}, facts, path)
    return path


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"race": None}, "its race table is missing"),
        ({"race": np.full((7, 7, 2), 2.0, np.float32)}, "what is no chance"),
        ({"race": np.full((7, 7, 2), np.nan, np.float32)}, "what is no chance"),
        ({"worth__0__weight": np.zeros((4, 3), np.float32)}, r"'worth.0.weight' has the shape"),
        ({"worth__1__bias": None}, r"'worth.1.bias' is missing"),
        ({"price__0__weight": None}, "instead of 13"),
        ({"price__0__bias": np.full(64, 2 * MOST_WEIGHT, np.float32)}, "a number beyond"),
        ({"price__0__bias": np.full(64, np.nan, np.float32)}, "a number beyond"),
    ],
)
def test_a_file_of_bids_that_cannot_be_used_is_named(
    tmp_path: Path, tensors: dict[str, np.ndarray | None], words: str
) -> None:
    path = changed(tmp_path, **tensors)
    with pytest.raises(BadBids, match=rf"cannot use the file of bids .*bids\.safetensors.*{words}"):
        Bids.load(path)


def test_the_bids_that_come_along_are_of_the_network_that_comes_along() -> None:
    from zebfast.arena.players.build import weights_digest
    from zebfast.arena.players.specs import parse_spec

    facts = Bids.load().provenance
    assert facts["network"] == weights_digest(parse_spec(f"zeb:source={shipped.PATH}"))
    assert facts["command"].startswith("python tools/bids.py fit")
    assert {"deals", "rounds", "awards_to_the_shaking_side"} <= set(facts["fit"])
    assert shipped.BIDS.stat().st_size < 200_000
    assert N_CALLS == 15
