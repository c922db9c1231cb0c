"""Hands up to their first play: auctions that the rules allow, each a function of its number."""

from __future__ import annotations

import numpy as np
import pytest
from slow_tree import hashed_evaluate

from zebfast.core.records import GAME_DTYPE
from zebfast.core.whole_game import WholeGame
from zebfast.rules import Declaration
from zebfast.selfplay.auctions import AuctionOptions, Auctions
from zebfast.selfplay.contracts import check_contracts
from zebfast.system.settings import SettingError

PASS = 1


def values(obs: np.ndarray) -> np.ndarray:
    return hashed_evaluate(obs)[:, 7]


def auctions(*, first_game: int = 0, stride: int = 1, **options: float) -> Auctions:
    return Auctions(
        values, options=AuctionOptions(**options), seed=9, first_game=first_game, stride=stride
    )


@pytest.fixture(scope="module")
def starts() -> np.ndarray:
    return auctions().starts(0, 300)


def test_starts_are_hands_that_can_be(starts: np.ndarray) -> None:
    check_contracts(starts)
    assert not starts["plays"].any()
    assert not starts["policy"].any()
    bid = starts["contract"]["bid"]
    assert 0.6 < (bid > 0).mean() < 0.9
    assert {30, 31, 36, 42, 43} <= set(bid.tolist())


def test_a_start_hangs_on_its_number_alone(starts: np.ndarray) -> None:
    for first_game, stride in ((0, 1), (2, 3), (7, 1)):
        some = auctions(first_game=first_game, stride=stride)
        parts = [some.starts(first, n) for first, n in ((0, 1), (1, 13))]
        want = starts[first_game::stride][:14]
        assert np.concatenate(parts).tobytes() == want.tobytes()


def test_hands_without_an_auction_are_dealt_as_ever() -> None:
    plain = auctions(auction_share=0, contract_share=0).starts(0, 20)
    assert not plain["contract"]["bid"].any()
    for number, game in enumerate(plain):
        hands, decl, leader = _deal(number)
        assert (game["hands"].tolist(), game["decl"], game["leader"]) == (hands, decl, leader)


def _deal(number: int) -> tuple[list[list[int]], int, int]:
    from zebfast import rules

    return rules.deal(9, number)


def test_auctions_are_legal(starts: np.ndarray) -> None:
    """Those of which every call is told, held again by the rules."""
    contract = starts["contract"]
    told = starts[(contract["calls"] > 0).all(axis=1)]
    assert len(told) > 30
    for start in told:
        replay(start)
    assert (told["decl"] != Declaration.DOUBLES_SUIT).all()


def replay(start: np.void) -> None:
    contract = start["contract"]
    game = WholeGame(shaker=int(contract["shaker"]))
    game.deal(start["hands"].tolist())
    while game.phase == "call":
        call = int(contract["calls"][game.seat])
        game.call(0 if call == PASS else call if call < 42 else 42 * (call - 41))
    assert game.bidder == contract["bidder"]
    game.declare(int(start["decl"]))
    assert game.leader == start["leader"]


def test_a_seat_calls_what_its_price_allows() -> None:
    """Without wild calls: the same threshold for all, and every call is worth it."""
    sure = auctions(
        auction_share=1,
        contract_share=0,
        least_threshold=0.8,
        most_threshold=0.8,
        overbid=0,
        wild=0,
    ).starts(0, 100)
    bid = sure["contract"]["bid"]
    assert set(bid.tolist()) <= {0, 30, 31, 32, 33}
    half = Auctions(
        lambda obs: np.zeros(len(obs), np.float32),
        options=AuctionOptions(auction_share=1, contract_share=0, least_threshold=0.6, wild=0),
        seed=9,
        first_game=0,
        stride=1,
    ).starts(0, 100)
    assert not half["contract"]["bid"].any(), "all pass: played for points"


def test_nothing_hidden_is_asked() -> None:
    """A seat's hand alone says what it calls where nobody has called before it."""
    asked: list[np.ndarray] = []

    def remember(obs: np.ndarray) -> np.ndarray:
        asked.append(obs.copy())
        return values(obs)

    Auctions(remember, options=AuctionOptions(), seed=9, first_game=0, stride=1).starts(0, 5)
    for obs in asked:
        assert (obs["n_plays"] == 0).all()
        assert not obs["plays"].any()
        assert (obs["contract"]["bidder"] == 0).all(), "who prices imagines to declare"


def test_shares_that_cannot_be() -> None:
    with pytest.raises(SettingError, match="at most 1 together"):
        AuctionOptions(auction_share=0.8, contract_share=0.3)
    with pytest.raises(SettingError, match="at most most_threshold"):
        AuctionOptions(least_threshold=0.8, most_threshold=0.3)


def test_starts_fit_the_record(starts: np.ndarray) -> None:
    assert starts.dtype == GAME_DTYPE
