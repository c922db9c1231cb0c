"""Whole games of everyone against everyone."""

from __future__ import annotations

from itertools import count

import pytest

from zebfast.arena.table.ladder import Ladder, play_ladder, play_whole_pairing
from zebfast.arena.table.match import play_table_match
from zebfast.arena.table.players import table_player
from zebfast.rules import RuleSet

NAMES = ("rule+heuristic2", "jump+random", "rule+random")


def ladder(n_pairs: int = 3) -> Ladder:
    return Ladder(NAMES, n_pairs=n_pairs, seed=4, rule_set=RuleSet())


def test_every_pairing_is_the_match_that_it_names() -> None:
    played, told = ladder(), []
    players = [table_player(name) for name in NAMES]
    play_ladder(played, players, clock=count().__next__, finished=told.append)
    assert told == played.pairs == [(0, 1), (0, 2), (1, 2)]
    margins, won, hands = play_whole_pairing(
        players[0], players[2], n_pairs=3, seed=4, rule_set=RuleSet()
    )
    one = played.result(0, 2)
    assert one.margins.tolist() == margins.tolist()
    assert one.won.tolist() == won.tolist() == (margins > 0).tolist()
    assert (one.hands, one.seconds) == (hands, 1)
    back = played.result(2, 0)
    assert back.as_dict()["marks_a_game"] == -one.as_dict()["marks_a_game"]
    assert back.as_dict()["win_rate"] == 1 - one.as_dict()["win_rate"]
    found = played.as_dict()
    assert [rating["player"] for rating in found["elo"]["ratings"]] == list(NAMES)
    assert found["elo"]["ratings"][0]["elo"] == 0
    assert [pair["games"] for pair in found["pairs"]] == [6, 6, 6]


def test_what_is_played_is_not_played_again() -> None:
    first, second = ladder(1), ladder(1)
    players = [table_player(name) for name in NAMES]
    play_ladder(first, players, clock=count().__next__)
    second.played[0, 1] = first.played[0, 1]
    told: list[tuple[int, int]] = []
    play_ladder(second, players, clock=count().__next__, finished=told.append)
    assert told == [(0, 2), (1, 2)]
    assert second.as_dict()["elo"] == first.as_dict()["elo"]


def test_games_are_the_same_however_many_are_played_at_once() -> None:
    players = [table_player("value+heuristic2"), table_player("open:0.75,n=4+heuristic2")]
    found = []
    for at_once in (1, 5):
        seen: list[tuple[int, int, bytes]] = []
        play_table_match(
            players[0], players[1], n_pairs=3, seed=9, at_once=at_once,
            seen=lambda one, seen=seen: seen.append((one.number, one.half, one.actions)),
        )  # fmt: skip
        found.append(seen)
    assert found[0] == found[1]
    assert len(found[0]) == 6


def test_a_ladder_needs_two_players() -> None:
    with pytest.raises(ValueError, match="two different players"):
        Ladder(("rule+random",) * 2, n_pairs=1, seed=0, rule_set=RuleSet())
