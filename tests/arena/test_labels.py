"""Played games as training records: whole, legal, and with the targets that were asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from zebfast import rules
from zebfast.arena.labels import WEIGHT, label_games, slot_values
from zebfast.arena.pairs import PairedGames
from zebfast.arena.players.base import RandomPlayer
from zebfast.core.engine import GameBatch
from zebfast.core.observe import games_to_examples
from zebfast.rules import Stream


def finished(n: int, *, until: int = 28) -> GameBatch:
    batch = GameBatch.deal(n, seed=3)
    for _ in range(until):
        batch.play_random(seed=5)
    return batch


def test_records_are_the_games_that_were_played() -> None:
    batch = finished(20)
    games = label_games(batch)
    assert (games["hands"] == batch.hands).all()
    assert (games["plays"] == batch.history).all()
    assert (games["decl"] == batch.decl).all()
    assert (games["leader"] == batch.leader).all()
    examples = games_to_examples(games).reshape(20, 28)  # which checks that they are legal
    margin = np.sign(batch.points[:, 0].astype(int) - batch.points[:, 1])
    team = batch.seats % 2
    assert (examples["value"] == np.where(team == 0, margin[:, None], -margin[:, None])).all()


def test_without_values_the_target_is_what_was_played() -> None:
    batch = finished(20)
    policy = label_games(batch)["policy"]
    for row in range(20):
        for ply in range(28):
            hand = batch.hands[row, batch.seats[row, ply]].tolist()
            slot = hand.index(batch.history[row, ply])
            assert policy[row, ply].tolist() == [WEIGHT * (s == slot) for s in range(7)]


def test_values_become_a_softmax_where_there_are_any() -> None:
    batch = finished(2)
    values = np.full((2, 28, 7), np.nan)
    first = label_games(batch)["policy"][0, 0].argmax()
    other = (first + 1) % 7
    values[0, 0, first], values[0, 0, other] = 20.0, 21.5
    policy = label_games(batch, values=values, temperature=0.75)["policy"]
    ratio = math.exp(-1.5 / 0.75)
    shares = policy[0, 0] / WEIGHT
    assert shares[first] == pytest.approx(ratio / (1 + ratio), abs=1e-4)
    assert shares[other] == pytest.approx(1 / (1 + ratio), abs=1e-4)
    assert np.count_nonzero(shares) == 2
    rest = label_games(batch)["policy"]
    rest[0, 0] = policy[0, 0]
    assert (policy == rest).all()


def test_values_far_apart_and_large_do_not_overflow() -> None:
    values = np.full((1, 28, 7), np.nan)
    values[0, 3] = [0.0, 42.0, 41.0, 1e6, 0.0, 0.0, 0.0]
    policy = label_games(finished(1), values=values, temperature=0.01)["policy"]
    assert policy[0, 3].tolist() == [0, 0, 0, WEIGHT, 0, 0, 0]


def test_values_by_domino_are_sorted_into_slots() -> None:
    batch = finished(6, until=9)
    rows = np.array([4, 1])
    by_domino = np.arange(2 * 28, dtype=np.float64).reshape(2, 28)
    found = slot_values(batch, rows, by_domino)
    for i, row in enumerate(rows):
        hand = batch.hands[row, batch.to_play[row]]
        assert found[i].tolist() == [by_domino[i, domino] for domino in hand]


def test_training_deals_are_none_of_a_match() -> None:
    """Deals and bids come from the stream that was asked for, and from no other."""
    player = RandomPlayer()
    paired = {
        stream: PairedGames(seed=7, first_deal=30, n_deals=5, stream=stream)
        for stream in (Stream.EVAL_DEAL, Stream.LABEL_DEAL)
    }
    bids = {}
    for stream, games in paired.items():
        for i in range(10):
            hands, decl, leader = rules.deal(7, 30 + i // 2, stream)
            assert games.batch.hands[i].tolist() == hands
            assert (games.batch.decl[i], games.batch.leader[i]) == (decl, leader)
        while not games.over:
            games.advance(player.choose, player.choose)
        bids[stream] = games.played().bids.tolist()
        keys = [rules.stream_key(7, stream, deal) for deal in range(30, 35)]
        assert bids[stream] == [30 + rules.bounded(key, 29, 13) for key in keys]
    match, training = (paired[stream].batch.hands.tolist() for stream in paired)
    assert all(hands not in match for hands in training)
