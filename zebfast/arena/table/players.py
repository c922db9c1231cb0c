"""Players of whole games: a bidder that calls and declares, and a player of hands that plays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.bidders.auctions import Auctions
from zebfast.arena.bidders.base import Bidder
from zebfast.arena.bidders.policy import PolicyBidder
from zebfast.arena.bidders.specs import build_bidder, parse_whole
from zebfast.arena.pairs import Rows
from zebfast.arena.players.build import open_policy
from zebfast.arena.players.policy import PolicyPlayer
from zebfast.arena.players.specs import PolicyOptions
from zebfast.arena.policies.policy import renumbered
from zebfast.arena.table.hands import act_one_by_one, hand_number, plays_of
from zebfast.arena.table.house import HouseOptions, house_play, house_plays, possible_worlds
from zebfast.core.engine import Game, mask_of
from zebfast.core.whole_game import WholeGameBatch
from zebfast.rules import (
    CALLS,
    N_DECLARATIONS,
    N_DOMINOES,
    N_SEATS,
    TOTAL_POINTS,
    Contract,
    SeatView,
)

if TYPE_CHECKING:
    from zebfast.arena.players.api import GamePlayer
    from zebfast.arena.policies.asking import Asked
    from zebfast.core.solver_pool import SolverPool


class TablePlayer(Protocol):
    """What a table needs of a player. It keeps nothing of one seat for the other."""

    @property
    def name(self) -> str:
        """What results are labelled with."""

    def call(self, view: SeatView) -> int:
        """One of ``view.legal``: a call."""

    def declare(self, view: SeatView) -> int:
        """One of ``view.legal``: a declaration's id."""

    def play(self, view: SeatView) -> int:
        """One of ``view.legal``: a domino."""


class WholePlayer:
    """A bidder calls and declares, and a player of hands plays: either can be held fixed.

    Nello and sevens, which players of hands do not know, are `house_plays`'.

    Args:
        bidder: see `zebfast.arena.bidders`.
        player: plays straight hands.
        name: what results are labelled with.
        seed: of the layouts that `house_plays` draws.
        house: how many of them, or for how long.
        policies: users' policies among the two, of which answers that were replaced are counted.
    """

    def __init__(
        self, bidder: Bidder, player: GamePlayer, name: str, *, seed: int = 0,
        house: HouseOptions | None = None, policies: Sequence[Asked] = (),
    ) -> None:  # fmt: skip
        self.name = name
        self.bidder = bidder
        self._seed = seed
        self._house = house or HouseOptions()
        self._player = player
        self._policies = policies

    @property
    def illegal(self) -> int:
        """Answers of policies that were not legal, and were replaced."""
        return sum(policy.replaced for policy in self._policies)

    def call(self, view: SeatView) -> int:
        """See TablePlayer."""
        auctions = Auctions.of_view(view)
        if not auctions.legal[0]:  # house contracts alone
            return view.legal[0]
        return CALLS[int(self.bidder.call(auctions)[0])]

    def declare(self, view: SeatView) -> int:
        """See TablePlayer."""
        auctions = Auctions.of_view(view)
        return int(self.bidder.declare(auctions)[0]) if auctions.legal[0] else view.legal[0]

    def play(self, view: SeatView) -> int:
        """See TablePlayer."""
        number = hand_number(mask_of(view.dealt), view.hand_number)
        if view.decl is not None and view.decl >= N_DECLARATIONS:
            return house_play(view, self._house, seed=self._seed, number=number)
        bid = min(view.bid, TOTAL_POINTS)
        return self._player.choose(seen_game(view), bid=bid, number=number)

    def act(self, games: WholeGameBatch, rows: Rows) -> NDArray[np.uint8]:
        """See ManyPlayer: what the three others say of every seat."""
        phases, found = games.phase[rows], np.empty(len(rows), np.uint8)
        for phase, choose in ((1, self._calls), (2, self._declarations), (3, self._plays)):
            some = np.flatnonzero(phases == phase)
            if len(some):
                with renumbered(some):
                    found[some] = choose(games, rows[some])
        return found

    def _calls(self, games: WholeGameBatch, rows: Rows) -> NDArray[np.uint8]:
        auctions, found = Auctions.of_games(games, rows), np.empty(len(rows), np.uint8)
        some, house = np.flatnonzero(auctions.legal), np.flatnonzero(auctions.legal == 0)
        if len(some):
            with renumbered(some):
                found[some] = self.bidder.call(auctions.take(some))
        if len(house):  # house contracts alone
            with renumbered(house):
                found[house] = act_one_by_one(self, games, rows[house])
        return found

    def _declarations(self, games: WholeGameBatch, rows: Rows) -> NDArray[np.uint8]:
        return self.bidder.declare(Auctions.of_games(games, rows))

    def _plays(self, games: WholeGameBatch, rows: Rows) -> NDArray[np.uint8]:
        return plays_of(self._player, games, rows, self._house_plays)

    def _house_plays(
        self, games: WholeGameBatch, rows: Rows, numbers: NDArray[np.uint64]
    ) -> NDArray[np.uint8]:
        return house_plays(games, rows, self._house, seed=self._seed, numbers=numbers)


def table_player(
    spec: str, *, seed: int = 0, device: str = "cpu", pool: SolverPool | None = None,
    threads: int | None = None,
) -> WholePlayer:  # fmt: skip
    """The player of whole games that a spec names, BIDDER+PLAY; see `zebfast.arena.bidders.specs`.

    ``pool`` and ``threads``: as `load_player`.
    Raises PlayerSpecError and PlayerLoadError as `zebfast.load_player`.
    """
    from zebfast.arena.players.api import GamePlayer, load_player

    parsed = parse_whole(spec)
    house = HouseOptions.of(parsed.play.options)
    policies: list[Asked] = []
    options = parsed.play.options
    if isinstance(options, PolicyOptions):
        asked = open_policy(options.place, options.asking)
        policies.append(asked)
        player = GamePlayer(PolicyPlayer(parsed.play.text, asked), ask=None, seed=seed)
    else:
        player = load_player(parsed.play.text, seed=seed, device=device, pool=pool, threads=threads)
    if policies and parsed.bidder.policy == options:
        bidder: Bidder = PolicyBidder(parsed.text, policies[0], seed)
    else:
        bidder = build_bidder(parsed.bidder, seed=seed, pool=pool)
        policies += [bidder.asked] if isinstance(bidder, PolicyBidder) else []
    return WholePlayer(bidder, player, parsed.text, seed=seed, house=house, policies=policies)


def seen_game(view: SeatView) -> Game:
    """The hand as a Game in which the others' dominoes lie in some way that the view allows.

    Players look at what the seat to play knows, which is the same in all of those ways. Raises
    ImpossibleWorlds where there is none.
    """
    assert view.decl is not None
    played = [[domino for seat, domino in view.plays if seat == own] for own in range(N_SEATS)]
    worlds = possible_worlds(view)
    layout = worlds.unrank([0])[0].tolist()
    hands = [
        [*played[seat], *(d for d in range(N_DOMINOES) if layout[seat] >> d & 1)]
        for seat in range(N_SEATS)
    ]
    hands[view.seat] = list(view.dealt)
    leader = view.plays[0][0] if view.plays else view.seat
    game = Game(hands, view.decl, leader, contract=Contract.of_view(view))
    for _, domino in view.plays:
        game.play(domino)
    return game
