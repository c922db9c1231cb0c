"""What hands are played for: contracts of games, of records, of whole games, and what follows."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zebfast.core.engine import Game, GameBatch
from zebfast.core.observe import games_to_examples
from zebfast.core.records import CONTRACT_DTYPE, GAME_DTYPE, contract_of_record, contract_record
from zebfast.core.whole_game import WholeGame, WholeGameBatch
from zebfast.rules import (
    MARK,
    BadNotation,
    Contract,
    ImpossibleDeal,
    RuleSet,
    aim_of,
    call_of,
    check_contract,
)


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    """A contract that seat 0 or 2 has."""
    bid, bidder = draw(st.integers(30, 48)), draw(st.sampled_from([0, 2]))
    calls = [draw(st.sampled_from([0, 1, *range(30, bid + 1)])) for _ in range(4)]
    calls[bidder] = draw(st.sampled_from([0, bid]))
    marks = draw(st.tuples(st.integers(0, 15), st.integers(0, 15)))
    told = (calls[0], calls[1], calls[2], calls[3])
    return Contract(bid, bidder, draw(st.integers(0, 3)), marks, told)


def dealt(seed: int, contract: Contract | None = None) -> Game:
    game = Game.deal(seed)
    return Game(game.dealt, game.decl, game.leader & 2, contract=contract)


def played(games: GameBatch, seed: int) -> np.ndarray:
    """GAME_DTYPE[n]: the games, played out at random."""
    records = np.zeros(len(games), GAME_DTYPE)
    records["hands"], records["decl"] = games.hands, games.decl
    records["leader"], records["contract"] = games.leader, games.contracts
    for _ in range(28):
        games.play_random(seed=seed)
    records["plays"] = games.history
    return records


@given(contract=contracts(), seed=st.integers(0, 1000), n=st.integers(0, 27))
@settings(max_examples=100, deadline=None)
def test_a_game_keeps_its_contract(contract: Contract, seed: int, n: int) -> None:
    game = dealt(seed, contract)
    for _ in range(n):
        game.play(game.legal()[0])
    assert game.contract == contract
    assert game != dealt(seed)
    for other in (Game.from_text(str(game)), pickle.loads(pickle.dumps(game)), copy.copy(game)):
        assert other == game
        assert other.contract == contract
    if n:
        other.undo()
        assert other.contract == contract
    seen = game.observation()["contract"]
    assert contract_of_record(seen) == contract.seen_by(game.to_play)
    assert contract_of_record(contract_record(contract)) == contract


@given(contract=contracts(), seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_examples_are_worth_what_the_contract_says(contract: Contract, seed: int) -> None:
    games = GameBatch.deal(4, seed=seed)
    record = contract_record(contract)
    games = GameBatch(games.hands, games.decl, games.leader & 2, contracts=record)
    assert (games.contracts == record).all()
    assert pickle.loads(pickle.dumps(games)) == games
    records = played(games, seed)
    seats, points = games.seats, games.points
    examples = games_to_examples(records).reshape(4, 28)
    for game in range(4):
        for ply in range(28):
            team = int(seats[game, ply]) % 2
            won, lost = aim_of(contract, team)
            own = int(points[game, team])
            assert examples["value"][game, ply] == int(own >= won) - int(own <= lost)
            assert examples["flags"][game, ply] >> 8 == own
            seen = contract_of_record(examples["obs"]["contract"][game, ply])
            assert seen == contract.seen_by(int(seats[game, ply]))
    assert (games.aims == [aim_of(contract, 0), aim_of(contract, 1)]).all()
    assert (GameBatch.deal(3, seed=1).aims == [[22, 20], [22, 20]]).all()


BAD: list[tuple[dict[str, Any], str]] = [
    ({"bid": 29}, "bid 29: a contract is 30 to 41 points"),
    ({"bid": 49}, "bid 49"),
    ({"bidder": 4}, "bidder 4: seats run"),
    ({"shaker": -1}, "shaker -1: seats run"),
    ({"marks": (0, 16)}, "marks"),
    ({"calls": (0, 0, 2, 0)}, "call 2 of seat 2 is none"),
    ({"calls": (0, 0, 0)}, "3 calls"),
    ({"bidder": 1}, "leads, but seat 1 has bid"),
    ({"calls": (0, 35, 0, 0)}, "seat 1 has bid 35, over the contract"),
    ({"calls": (30, 0, 0, 0)}, "seat 0 has the contract, but called otherwise"),
    ({"calls": (1, 0, 0, 0)}, "seat 0 has the contract, but called otherwise"),
]
GOOD: dict[str, Any] = {
    "bid": 34,
    "bidder": 0,
    "shaker": 1,
    "marks": (2, 3),
    "calls": (34, 30, 0, 1),
}


@pytest.mark.parametrize(("wrong", "sentence"), BAD)
def test_what_no_contract_can_be_is_named(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ImpossibleDeal, match=sentence):
        dealt(1, Contract(**{**GOOD, **wrong}))


@pytest.mark.parametrize(("wrong", "sentence"), BAD)
def test_a_record_with_such_a_contract_is_refused(wrong: dict[str, Any], sentence: str) -> None:
    if "marks" in wrong or len(wrong.get("calls", "1234")) != 4 or wrong.get("shaker") == -1:
        return  # a record cannot say so
    games = GameBatch.deal(3, seed=1)
    games = GameBatch(games.hands, games.decl, games.leader & 2)
    record = np.zeros(3, CONTRACT_DTYPE)
    for name, value in {**GOOD, "marks": 2, **wrong}.items():
        record[name][1] = value
    with pytest.raises(ImpossibleDeal, match=f"game 1: .*{sentence}"):
        games.playing_for(record)
    records = played(games, 1)
    records["contract"] = record
    with pytest.raises(ValueError, match="game 1 has no contract that can be: "):
        games_to_examples(records)


def test_a_contract_without_a_bid_says_nothing_else() -> None:
    games = GameBatch.deal(3, seed=1)
    record = np.zeros(3, CONTRACT_DTYPE)
    record["shaker"][2] = 1
    with pytest.raises(ImpossibleDeal, match="game 2: a contract without a bid says"):
        games.playing_for(record)
    with pytest.raises(TypeError, match="CONTRACT_DTYPE"):
        games.playing_for(np.zeros(3))
    with pytest.raises(ValueError, match="contracts has shape"):
        games.playing_for(record[:2])
    with pytest.raises(TypeError, match="is a zebfast"):
        Game(Game.deal(1).dealt, 1, 1, contract=record[0])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("31:2:3:0-4", "is no contract: expected bid, bidder"),
        ("31:2:3:0:-,-,-,-", "is no marks"),
        ("31:2:3:0-4:pass,30", "expected 4 calls"),
        ("thirty:2:3:0-4:-,-,-,-", "is no call"),
        ("31:4:3:0-4:-,-,-,-", "is no seat"),
    ],
)
def test_text_that_is_no_contract(text: str, sentence: str) -> None:
    with pytest.raises(BadNotation, match=sentence):
        Game.from_text(f"{dealt(1)} {text}")


def test_whole_games_tell_their_hands_what_they_are_played_for() -> None:
    """Every hand that is in play, of many games at random: by the rules in Python."""
    rules = RuleSet(plunge=4, splash=2, all_pass="force")
    batch = WholeGameBatch(40, seed=3, rule_set=rules)
    seen = 0
    for _ in range(300):
        rows = np.flatnonzero((batch.phase == 3) & (batch.decl < 10))
        if len(rows):
            games = batch.hand_games(rows)
            for at, row in enumerate(rows[:3]):
                told = batch.calls[row, : batch.n_calls[row]].tolist()
                first = int(batch.shaker[row]) + 1
                contract = Contract.from_calls(
                    [((first + i) % 4, call) for i, call in enumerate(told)],
                    bid=int(batch.bid[row]),
                    bidder=int(batch.bidder[row]),
                    shaker=int(batch.shaker[row]),
                    marks=batch.marks[row].tolist(),
                )
                assert contract_of_record(games.contracts[at]) == contract
                check_contract(contract, int(games.leader[at]))
                seen += 1
        batch.play_random()
    assert seen > 300


def test_one_whole_game_does_likewise_and_points_are_no_marks() -> None:
    for rules, marks in ((RuleSet(), (0, 0)), (RuleSet(target=250, scoring="points"), (0, 0))):
        game = WholeGame(rules, shaker=3, seed=1)
        for call in ("pass", "31", "84", "pass"):
            game.call(call_of(call))
        game.declare(4)
        assert game.hand_game().contract == Contract(43, 2, 3, marks, (1, 31, 43, 1))
        assert game.bid == 2 * MARK
