"""Whole games: the engine against the plain law, recorded games, and many games at once."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from whole_games import GOLDEN, RULE_SETS, Both, deal, do, doing, legal, outcome, played, recorded

from zebfast import WholeGame, WholeGameBatch, dominoes_of, rules
from zebfast.core.records import HAND_RESULT_DTYPE
from zebfast.core.whole_game_batch import random_whole_games
from zebfast.core.whole_rules import NoStraightHand
from zebfast.rules import CALLS, PHASES, PLUNGE_BIT, RuleSet

seeds = st.integers(0, 2**64 - 1)
kinds = st.sampled_from(list(RULE_SETS))


@given(seed=seeds, kind=kinds, moves=st.lists(st.integers(0, 400), max_size=80))
@settings(max_examples=60, deadline=None)
def test_game_equals_twin(seed: int, kind: str, moves: list[int]) -> None:
    """Legal actions, and now and then one that is illegal or out of place: the same sentences."""
    both = Both(RULE_SETS[kind], seed)
    both.same()
    for move in moves:
        choices = both.legal()
        if move < 300 and choices:
            assert both.step(doing(both.twin.phase), choices[move % len(choices)])
        else:
            what = ("call", "declare", "play")[move % 3]
            both.step(what, move % 97 - 3)
        if move % 50 == 7:
            both.step("end_hand")


@given(seed=seeds, moves=st.lists(st.integers(0, 400), max_size=90), early=st.booleans())
@settings(max_examples=60, deadline=None)
def test_forced_hands_equal_twin(seed: int, moves: list[int], early: bool) -> None:
    """Three pass whenever they may, so that the shaker must bid; hands are ended now and then."""
    both = Both(replace(RULE_SETS["by force"], early_end=early), seed)
    for move in moves:
        if not both.legal():
            return
        bids = both.twin.phase == "call" and not both.twin.must_bid
        both.step(doing(both.twin.phase), 0 if bids else both.legal()[move % len(both.legal())])
        if move % 9 == 7:
            both.step("end_hand")


def test_auctions_with_their_declarations_are_counted() -> None:
    """3,213 auctions and nine declarations each; after 14 of them nello, after 2 sevens too."""

    def count(make: Callable[[], Any], made: tuple[int, ...] = ()) -> int:
        game = make()
        game.deal(deal(1, 0, 1))
        for call in made:
            game.call(call)
        if game.phase == "declare":
            return len(game.legal_declarations())
        return sum(count(make, (*made, call)) for call in game.legal_calls())

    rule_set = RULE_SETS["by force"]
    assert count(lambda: WholeGame(rule_set, shaker=0)) == 9 * 3213 + 14 + 2
    assert count(lambda: rules.WholePosition(rule_set)) == 9 * 3213 + 14 + 2


@pytest.mark.parametrize("kind", RULE_SETS)
def test_random_whole_games_equal_twin(kind: str) -> None:
    """Random from first deal to last trick: both twins, the batch and the loop in C."""
    rule_set, seed, first, n = RULE_SETS[kind], 11, 5, 4
    batch = WholeGameBatch(n, seed=seed, first_game=first, rule_set=rule_set)
    games = [WholeGame(rule_set, seed=seed, game=first + i) for i in range(n)]
    twins = [rules.WholePosition(rule_set, rules.first_shaker(seed, first + i)) for i in range(n)]
    done = [0] * n
    while not batch.over.all():
        batch.play_random()
        for i, (game, twin) in enumerate(zip(games, twins, strict=True)):
            if game.over:
                continue
            if twin.phase == "deal":
                twin.deal(deal(seed, first + i, twin.hand_number))
            key = rules.stream_key(seed, rules.Stream.WHOLE_PLAY, first + i)
            choices = twin.legal_calls() + twin.legal_declarations() + twin.legal_plays()
            choice = choices[rules.bounded(key, done[i], len(choices))]
            getattr(twin, doing(twin.phase))(choice)
            do(game, choice)
            done[i] += 1
        assert batch.marks.tolist() == [game.marks for game in games]
        assert [PHASES[p] for p in batch.phase] == [game.phase for game in games]
        assert batch.seat.tolist() == [4 if g.seat is None else g.seat for g in games]
    for game, twin in zip(games, twins, strict=True):
        assert game.results == twin.results
        assert game.winner == twin.winner
        assert max(game.marks) >= rule_set.target
    counted = random_whole_games(n, seed=seed, first_game=first, rule_set=rule_set)
    assert counted.tolist() == batch.marks.tolist()
    assert batch.n_hands.tolist() == [len(game.results) for game in games]


def test_random_games_split_anyhow() -> None:
    whole = random_whole_games(600, seed=9)
    parts = [random_whole_games(n, seed=9, first_game=f) for f, n in ((0, 1), (1, 299), (300, 300))]
    assert np.concatenate(parts).tolist() == whole.tolist()
    assert random_whole_games(0, seed=1).shape == (0, 2)
    assert (whole.max(axis=1) >= 7).all()
    assert (whole.min(axis=1) < 7).all()


def test_every_contract_is_met_in_random_games() -> None:
    seen: Counter[str] = Counter()
    for kind, rule_set in RULE_SETS.items():
        for game in range(20):
            whole = played(rule_set, 17 * game + len(kind), 10_000)
            for result in whole.results:
                seen["thrown in"] += result.bid == 0
                if result.decl is not None:
                    seen[rules.ALL_DECLARATIONS[result.decl]] += 1
                    seen[f"contract {rules.contract_of(result.bid)}"] += 1
                    seen["made" if result.made else "set"] += 1
    wanted = {*rules.ALL_DECLARATIONS, "thrown in", "made", "set"}
    assert wanted <= set(seen)
    assert {"contract 1", "contract 2"} <= set(seen)


def replay(record: dict[str, object], path: object = None) -> int:
    """Every call, declaration, play and award of a recorded game, by both twins; plays made."""
    hands: list[dict[str, object]] = record["hands"]  # type: ignore[assignment]
    rule_set = RuleSet(
        auction=record["auction"], all_pass=record["allpass"], target=record["target"]
    )
    plays = 0
    for make in (lambda s: WholeGame(rule_set, shaker=s),
                 lambda s: rules.WholePosition(rule_set, s)):  # fmt: skip
        game = make(hands[0]["dealer"])
        for hand in hands:
            assert (game.hand_number, game.shaker) == (hand["no"], hand["dealer"])
            game.deal([[rules.domino_id(*d) for d in own] for own in hand["hands"]])
            for seat, bid in hand["bids"] if record["auction"] == "full" else []:
                assert game.seat == seat
                game.call(bid)
            if "decl" in hand:
                assert (game.bidder, game.bid) == (hand["bidder"], hand["bid"])
                game.declare(hand["decl"])
                for seat, high, low in hand["plays"]:
                    assert game.seat == seat
                    game.play(rules.domino_id(high, low))
                    plays += 1
                result, (team, stake) = game.results[-1], hand["award"]
                assert (list(result.points), result.made) == (hand["points"], hand["made"])
                assert result.award[team] == stake
                assert result.award[1 - team] == 0
            assert (len(game.results), list(game.marks)) == (hand["no"], hand["marks"])
        assert (game.phase, game.winner) == ("over", record["winner_team"])
        assert game.marks == record["marks"]
    return plays


def test_recorded_full_games() -> None:
    """Games to seven marks recorded at a table of several public players: 42 of them."""
    games = recorded(GOLDEN)
    assert len(games) == 42
    assert sum(map(replay, games)) > 20_000


def test_all_recorded_full_games(full_games_path: object) -> None:
    games = recorded(full_games_path)  # type: ignore[arg-type]
    assert len(games) == 332
    assert sum(map(replay, games)) == 2 * 81_316


# --- many at once ---------------------------------------------------------------------------------


def test_batch_act_is_all_or_nothing() -> None:
    batch = WholeGameBatch(3, seed=2)
    assert batch.legal().tolist() == [(1 << 15) - 1] * 3
    with pytest.raises(
        rules.IllegalCall, match=r"^game 2, hand 1: seat \d may not call 126: the first mark bid"
    ):
        batch.act([0, 255, 15])
    assert batch.n_calls.tolist() == [0, 0, 0]
    batch.act([1, 255, 0])
    assert batch.n_calls.tolist() == [1, 0, 1]
    assert batch.calls[:, 0].tolist() == [CALLS[1], 0, 0]
    assert batch.bid.tolist() == [30, 0, 0]
    batch.act([14], rows=[1])
    assert batch.bid.tolist() == [30, 84, 0]
    with pytest.raises(rules.IllegalCall, match="a bid must be higher than 30"):
        batch.act([1], rows=[0])
    for bad, error in (([0, 0], ValueError), ([3], IndexError), ([-1], IndexError)):
        with pytest.raises(error):
            batch.act([0] * len(bad), rows=bad)
    with pytest.raises(TypeError, match="actions must be whole numbers"):
        batch.act([0.5, 0, 0])
    with pytest.raises(rules.IllegalCall, match="-1 is no call"):
        batch.act([-1, 255, 255])
    with pytest.raises(rules.IllegalCall, match="4000000000000 is no call"):
        batch.act([4 * 10**12, 255, 255])


@pytest.mark.parametrize("kind", RULE_SETS)
def test_batch_equals_single_games(kind: str) -> None:
    rule_set, n = RULE_SETS[kind], 8
    batch = WholeGameBatch(n, seed=3, rule_set=rule_set)
    games = [WholeGame(rule_set, seed=3, game=i) for i in range(n)]
    bits = {call: bit for bit, call in enumerate(CALLS)}
    for step in range(120):
        actions = []
        for game in games:
            choices = legal(game)
            if not choices:
                actions.append(255)
                continue
            choice = choices[(step * 7 + len(choices)) % len(choices)]
            house = rules.contract_of(choice) if game.phase == "call" else 0
            bit = PLUNGE_BIT + house - 1 if house else bits.get(choice, 0)
            actions.append(bit if game.phase == "call" else choice)
            do(game, choice)
        batch.act(actions)
        assert batch.marks.tolist() == [game.marks for game in games]
        assert batch.shaker.tolist() == [game.shaker for game in games]
        assert batch.bid.tolist() == [game.bid for game in games]
        assert batch.bidder.tolist() == [4 if g.bidder is None else g.bidder for g in games]
        assert batch.decl.tolist() == [255 if g.phase != "play" else g.decl for g in games]
        assert batch.held.tolist() == [[sum(1 << d for d in h) for h in g.hands] for g in games]
        assert batch.points.tolist() == [game.points for game in games]
        assert batch.winner.tolist() == [2 if g.winner is None else g.winner for g in games]
    last = batch.last
    assert last.dtype == HAND_RESULT_DTYPE
    for row, game in zip(last, games, strict=True):
        if game.results:
            result = game.results[-1]
            assert tuple(row["award"]) == result.award
            assert (int(row["bid"]), row["made"]) == (
                result.bid,
                2 if result.made is None else result.made,
            )
        else:
            assert row["made"] == 3
    copy = batch.copy()
    assert copy == batch
    batch.play_random()
    assert (copy != batch) == (not copy.over.all())
    assert batch != 5
    again = pickle.loads(pickle.dumps(copy))
    assert again == copy
    assert again.numbers.tolist() == copy.numbers.tolist()
    again.play_random()
    assert again == batch
    assert len(pickle.loads(pickle.dumps(WholeGameBatch(0, seed=1)))) == 0


@pytest.mark.parametrize("kind", RULE_SETS)
def test_a_game_of_a_batch_goes_on_by_itself(kind: str) -> None:
    batch = WholeGameBatch(3, seed=8, games=[5, 2, 5], rule_set=RULE_SETS[kind])
    for _ in range(90):
        batch.play_random()
    one = WholeGame.from_batch(batch, 1)
    assert (one.marks, one.seed, one.game) == (batch.marks[1].tolist(), 8, 2)
    assert one.hands == [dominoes_of(mask) for mask in batch.held[1].tolist()]
    assert batch.actions(0) == batch.actions(2)
    assert WholeGame.from_text(str(one)) == one


def test_games_begin_anew_in_their_rows() -> None:
    batch = WholeGameBatch(3, seed=8)
    for _ in range(30):
        batch.play_random()
    before = batch.copy()
    batch.restart(np.array([7, 2**64 - 1], np.uint64), rows=[2, 0])
    assert batch.numbers.tolist() == [2**64 - 1, 1, 7]
    assert batch.actions(2) == b""
    assert batch.held[1].tolist() == before.held[1].tolist()
    assert batch.held[2].tolist() == WholeGameBatch(1, seed=8, first_game=7).held[0].tolist()
    batch.play_random()
    assert len(batch.actions(2)) == 1
    with pytest.raises(ValueError, match="listed twice"):
        batch.restart([1, 2], rows=[0, 0])
    with pytest.raises(TypeError, match="games must be whole numbers"):
        WholeGameBatch(1, seed=1, games=[0.5])


def test_hands_of_a_batch_go_to_players() -> None:
    batch = WholeGameBatch(6, seed=4)
    with pytest.raises(rules.WrongPhase, match=r"^game 0, hand 1: nobody may play: seat \d is to"):
        batch.hand_games()
    while not (batch.phase == 3).all():
        batch.play_random(batch.phase < 3)
    games = batch.hand_games()
    assert games.held.tolist() == batch.held.tolist()
    assert games.decl.tolist() == batch.decl.tolist()
    assert games.legal().tolist() == batch.legal().tolist()
    assert len(batch.hand_games([1, 1])) == 2


def test_what_is_forced_is_done_and_the_rest_is_a_choice() -> None:
    rule_set = RULE_SETS["house"]
    batch = WholeGameBatch(40, seed=5, rule_set=rule_set)
    before = np.zeros(40)
    while not batch.over.all():
        batch.act_forced()
        assert (batch.n_hands - before <= 1).all()
        before = batch.n_hands
        legal = batch.legal()
        assert (((legal & (legal - np.uint32(1))) != 0) == ~batch.over).all()
        play = np.flatnonzero((batch.phase == 3) & (batch.decl < 10))
        if len(play):
            assert (batch.observe(play) == batch.hand_games(play).observe()).all()
        batch.play_random(~batch.over)
        assert (batch.n_hands - before <= 1).all()
        before = batch.n_hands
    with pytest.raises(rules.WrongPhase, match=r"^game 0, hand \d+: nobody may play: the game is"):
        batch.observe()


def test_a_game_by_the_numbers_of_a_batch() -> None:
    game = WholeGame(seed=1)
    with pytest.raises(rules.IllegalCall, match="may not call 126"):
        game.act(15)
    with pytest.raises(rules.IllegalCall, match="99 is no call"):
        game.act(99)
    for action in (1, 0, 0, 0):
        game.act(action)
    assert game.bid == 30
    with pytest.raises(rules.IllegalDeclaration):
        game.act(8)
    game.act(5)
    with pytest.raises(rules.IllegalPlay):
        game.act(31)
    game.act(int(game.legal_plays()[0]))
    assert len(game.plays) == 1


def test_contracts_of_three_are_refused_in_one_sentence() -> None:
    rule_set = RuleSet(nello="own", sevens=1)
    for decl in (10, 14):
        game = WholeGame(rule_set, seed=1)
        for call in (42, 0, 0, 0):
            game.call(call)
        game.declare(decl)
        with pytest.raises(NoStraightHand, match=r"^hand 1: (nello|sevens) is played by its own"):
            game.hand_game()


def test_hand_of_a_game_is_the_game() -> None:
    game = WholeGame(seed=1)
    with pytest.raises(rules.WrongPhase, match=r"nobody may play: seat \d is to call"):
        game.hand_game()
    for call in (30, 0, 0, 0):
        game.call(call)
    game.declare(5)
    while game.hand_number == 1:
        hand = game.hand_game()
        assert (hand.dealt, hand.plays, hand.legal()) == (
            game.dealt, game.plays, game.legal_plays())  # fmt: skip
        assert hand == type(hand).from_text(str(hand))
        game.play(hand.legal()[0])


def test_a_game_for_points() -> None:
    """To 250: made, both score what they took; set, the others what they took and the bid."""
    game = played(RULE_SETS["points"], 3, 10_000)
    total = [0, 0]
    for result in game.results:
        assert result.bidder is not None
        team = result.bidder % 2
        assert sum(result.points) == 42
        expected = list(result.points)
        if result.made and result.bid > 42:
            expected[team] = result.bid
        elif not result.made:
            expected[team], expected[1 - team] = 0, result.points[1 - team] + result.bid
        assert list(result.award) == expected
        total = [have + more for have, more in zip(total, result.award, strict=True)]
    assert game.marks == total
    assert max(total) >= 250
    assert game.winner is not None
    assert total[game.winner] >= 250


@given(seed=seeds, kind=kinds)
@settings(max_examples=20, deadline=None)
def test_a_game_for_marks_is_never_longer_than_it_can_be(seed: int, kind: str) -> None:
    game = played(RULE_SETS[kind], seed, 20_000)
    assert game.over
    contracts = [result for result in game.results if result.bid]
    if game.rule_set.scoring == "marks":
        assert len(contracts) <= 2 * game.rule_set.target - 1
    assert outcome(lambda: game.call(0))[0] is rules.WrongPhase
    assert [game.seat, legal(game)] == [None, []]
