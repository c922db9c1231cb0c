"""Bidders: what a seat knows of an auction, prices, the yardsticks, and specs."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from zebfast import GamePlayer, WholeGame, load_player, rules
from zebfast.arena.bidders.auctions import (
    NO_SEAT,
    NOT_MADE,
    Auctions,
    declared,
    lowest_bid,
    points_of,
)
from zebfast.arena.bidders.base import Bidder
from zebfast.arena.bidders.open_handed import drawn_layouts
from zebfast.arena.bidders.prices import PRICED, NetworkPrices
from zebfast.arena.bidders.rule import losers
from zebfast.arena.bidders.specs import build_bidder, network_prices, parse_bidder, parse_whole
from zebfast.arena.players.build import PlayerLoadError
from zebfast.arena.players.specs import PlayerSpecError
from zebfast.arena.table.players import WholePlayer
from zebfast.core.engine import Game, dominoes_of, mask_of
from zebfast.core.whole_game import WholeGameBatch
from zebfast.rules import CALLS, RuleSet, SeatView

seeds = st.integers(0, 2**64 - 1)
RULES = [RuleSet(), RuleSet(all_pass="force", plunge=4, splash=2, nello="own"),
         RuleSet(auction="drop30"), RuleSet(scoring="points", target=250)]  # fmt: skip
BIDDERS = ["rule", "jump", "thirty", "lowest:0.5", "open:0.75,n=4", "value"]


@pytest.fixture(scope="module", params=BIDDERS)
def bidder(request: pytest.FixtureRequest) -> Bidder:
    return build_bidder(parse_bidder(request.param), seed=5)


@pytest.fixture(scope="module")
def prices() -> NetworkPrices:
    return network_prices(parse_bidder("lowest:0.5"))


def ids(text: str) -> tuple[int, ...]:
    return tuple(rules.domino_id(int(part[0]), int(part[1])) for part in text.split())


def hands(seed: int, n: int) -> NDArray[np.uint32]:
    draw = random.Random(seed)
    return np.array([mask_of(draw.sample(range(28), 7)) for _ in range(n)], np.uint32)


def in_auction(n: int, *, seed: int, rule_set: RuleSet, steps: int) -> WholeGameBatch:
    games = WholeGameBatch(n, seed=seed, rule_set=rule_set)
    for _ in range(steps):
        games.play_random(np.flatnonzero(games.phase < 3))
    return games


def same(one: Auctions, other: Auctions) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in vars(one))


@given(seed=seeds, steps=st.integers(0, 5), rule_set=st.sampled_from(RULES))
@settings(max_examples=40, deadline=None)
def test_a_seat_of_a_batch_knows_its_hand_and_the_auction(
    seed: int, steps: int, rule_set: RuleSet
) -> None:
    games = in_auction(6, seed=seed, rule_set=rule_set, steps=steps)
    rows = np.flatnonzero(games.phase < 3)
    table = Auctions.of_games(games, rows)
    for i, row in enumerate(rows):
        one = table.take(np.array([i]))
        assert one.position[0] == (int(games.seat[row]) - int(games.shaker[row]) - 1) % 4
        assert one.hand[0] == games.held[row, games.seat[row]]
        assert (one.bidder[0] == NO_SEAT) == (one.bid[0] == 0)
        assert (one.calls[0] != NOT_MADE).sum() == games.n_calls[row]


@given(seed=seeds, n=st.integers(0, 4))
@settings(max_examples=60, deadline=None)
def test_views_and_batches_agree(seed: int, n: int) -> None:
    games, game, draw = WholeGameBatch(1, seed=seed), WholeGame(seed=seed), random.Random(seed)
    for _ in range(n):
        call = draw.choice(game.legal_calls()[:4])
        game.call(call)
        games.act([CALLS.index(call)])
        if game.phase != "call":
            break
    if game.hand_number != 1:
        return
    assert game.seat is not None
    view = game.seen_by(game.seat)
    assert same(Auctions.of_view(view), Auctions.of_games(games, np.array([0])))


@given(seed=seeds, rule_set=st.sampled_from(RULES), steps=st.integers(0, 4))
@settings(max_examples=15, deadline=None)
def test_bidders_call_and_declare_what_is_legal_whatever_the_batch(
    bidder: Bidder, seed: int, rule_set: RuleSet, steps: int
) -> None:
    games = in_auction(8, seed=seed, rule_set=rule_set, steps=steps)
    for phase, ask in ((1, bidder.call), (2, bidder.declare)):
        table = Auctions.of_games(games, np.flatnonzero(games.phase == phase))
        table = table.take(np.flatnonzero(table.legal))
        answers = ask(table)
        assert ((table.legal >> answers) & 1).all()
        for i in range(len(table)):
            assert ask(table.take(np.array([i])))[0] == answers[i]


@given(seed=seeds, other=seeds, n=st.integers(0, 3))
@settings(max_examples=15, deadline=None)
def test_games_that_differ_only_in_hidden_hands_get_the_same_calls(
    bidder: Bidder, seed: int, other: int, n: int
) -> None:
    found = []
    for shuffle in (seed, other):
        draw, game = random.Random(seed), WholeGame(shaker=3)
        dealt = draw.sample(range(28), 28)
        hidden = dealt[7:]
        random.Random(shuffle).shuffle(hidden)
        layout = [hidden[:7], hidden[7:14], hidden[14:]]
        game.deal([*layout[:n], dealt[:7], *layout[n:]])
        for _ in range(n):
            game.call(draw.choice(game.legal_calls()[:3]))
        found.append(bidder.call(Auctions.of_view(game.seen_by(n)))[0])
        game.call(42 if 42 in game.legal_calls() else game.legal_calls()[-1])
        while game.phase == "call":
            game.call(0)
        found[-1] = (found[-1], bidder.declare(Auctions.of_view(game.seen_by(n)))[0])
    assert found[0] == found[1]


def test_losers_are_counted() -> None:
    fives, sixes, doubles = rules.Declaration.FIVES, rules.Declaration.SIXES, 7
    strong, weak = ids("55 65 54 53 66 44 10"), ids("65 54 53 52 51 50 10")
    found = losers(np.array([mask_of(strong), mask_of(weak)], np.uint32))
    assert found[0, fives] == 1
    assert found[0, sixes] == 7 - 2 - 2  # 6-6 and 6-5, and two doubles beside
    assert found[0, doubles] == 4  # 6-6, 5-5 and 4-4 are the highest of them
    assert found[1, fives] == 7  # without the double none is sure


@given(seed=seeds)
@settings(max_examples=40, deadline=None)
def test_losers_are_those_of_the_slow_count(seed: int) -> None:
    [hand] = hands(seed, 1)
    assert losers(np.array([hand]))[0].tolist() == [
        slow_losers(dominoes_of(int(hand)), decl) for decl in range(8)
    ]


def slow_losers(hand: list[int], decl: int) -> int:
    def strength(domino: int) -> int:
        return rules.rank(domino, rules.CALLED_SUIT, decl)

    suit = [d for d in range(28) if rules.in_called_suit(d, decl)]
    trumps = [d for d in hand if d in suit]
    lost = 0
    for domino in hand:
        if domino not in suit:
            lost += rules.DOMINOES[domino][0] != rules.DOMINOES[domino][1]
            continue
        higher = [d for d in suit if strength(d) > strength(domino)]
        highest = max(suit, key=strength) in trumps
        lost += not (set(higher) <= set(trumps) or (highest and len(trumps) >= 4))
    return lost


def test_prices_are_what_the_network_says_of_the_first_play(prices: NetworkPrices) -> None:
    player: GamePlayer = load_player()
    found = prices.of(hands(3, 4))
    for hand, of_hand in zip(hands(3, 4), found, strict=True):
        rest = [d for d in range(28) if not hand >> d & 1]
        layout = [dominoes_of(int(hand)), rest[:7], rest[7:14], rest[14:]]
        for i, decl in enumerate(PRICED):
            points = player.points(Game(layout, int(decl), 0))
            want = points[::-1].cumsum()[::-1][30:]
            assert np.abs(of_hand[i] - want).max() < 0.02  # in int8, where there is that
    again = np.concatenate([prices.of(hands(3, 4)[i : i + 1]) for i in range(4)])
    assert np.array_equal(found, again)
    assert (np.diff(found, axis=2) <= 0).all()


def test_layouts_share_out_what_the_hand_does_not_hold() -> None:
    own = hands(9, 3)
    layouts = drawn_layouts(own, 50, seed=1)
    assert (layouts[:, :, 0] == own[:, None]).all()
    assert (np.bitwise_or.reduce(layouts, axis=2) == 2**28 - 1).all()
    assert np.bitwise_count(layouts).max() == 7
    assert np.array_equal(drawn_layouts(own[1:], 50, seed=1), layouts[1:])
    assert not np.array_equal(drawn_layouts(own, 50, seed=2), layouts)
    often = np.mean([(layouts[0, :, 1] >> d) & 1 for d in range(28) if not own[0] >> d & 1])
    assert 0.3 < often < 0.37


def test_places_of_calls() -> None:
    legal = np.array([0b1, 0b11, 1 << 14 | 1, 1 << 13 | 1 << 14], np.uint32)
    assert lowest_bid(legal).tolist() == [0, 1, 14, 13]
    assert points_of(np.array([1, 12, 13, 14], np.uint8)).tolist() == [30, 41, 42, 42]
    score = np.zeros((1, 10))
    assert declared(np.array([0b1000100], np.uint32), score).tolist() == [2]


def test_a_player_of_whole_games_is_a_bidder_and_a_play() -> None:
    spec = parse_whole("lowest:0.55+eq:n=10")
    assert (spec.bidder.kind, spec.bidder.threshold, spec.play.text) == ("lowest", 0.55, "eq:n=10")
    assert parse_whole("zeb:source=a+b.safetensors").play.text == "zeb:source=a+b.safetensors"
    assert parse_whole("heuristic2").bidder.kind == "rule"
    assert parse_whole("zeb").bidder.kind == "value"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lowest:0.5", "write it as lowest:0.5\\+zeb"),
        ("lowest+zeb", "from which chance on it bids"),
        ("lowest:2+zeb", "threshold '2'"),
        ("open:0.7,n=0+zeb", "n '0'"),
        ("rule:x+zeb", "takes no options"),
        ("jumps+zeb", "Unknown player"),
        ("rule+zob", "Unknown player"),
    ],
)
def test_a_spec_that_is_none_says_what_to_write(text: str, words: str) -> None:
    with pytest.raises(PlayerSpecError, match=words):
        parse_whole(text)


def test_files_that_are_not_there_are_named() -> None:
    with pytest.raises(PlayerLoadError, match=r"nothing.safetensors"):
        build_bidder(parse_bidder("lowest:0.5,source=nothing.safetensors"))
    with pytest.raises(PlayerLoadError, match=r"nothing.safetensors does not exist"):
        build_bidder(parse_bidder("value:bids=nothing.safetensors"))


def test_house_contracts_alone_are_answered() -> None:
    game = WholeGame(RuleSet(nello="own"), shaker=3)
    game.deal([list(range(i, i + 7)) for i in range(0, 28, 7)])
    view: SeatView = game.seen_by(0)
    player = WholePlayer(build_bidder(parse_bidder("rule")), load_player("random"), "r")
    assert player.call(view) in view.legal
